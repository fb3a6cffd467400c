"""The order of a participant's sessions in time."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.bids.text import cause_of
from cmb_bidsapp.bids.typed import NOT_KNOWN


@dataclass(frozen=True, kw_only=True)
class Order:
    """Sessions in the order they are compared in.

    Attributes
    ----------
    sessions
        Labels without ``ses-``.
    source
        What the order rests on: ``sessions.tsv``, ``scans.tsv`` or ``labels``.
    times
        When each session was, where ``source`` is a table.
    problems
        Tables that are there and could not be read, and times that are none.
    """

    sessions: tuple[str, ...]
    source: str
    times: Mapping[str, datetime.datetime] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def days(self, session: str) -> float | None:
        """Days from the first session to another; ``None`` where times are not known."""
        if not self.times:
            return None
        return (self.times[session] - self.times[self.sessions[0]]).total_seconds() / 86400


def order_of(bids_dir: Path, participant: str, sessions: Sequence[str]) -> Order:
    """Order sessions by their ``acq_time``, else by their labels.

    ``acq_time`` is taken from ``sub-<label>_sessions.tsv``, or else from the ``scans.tsv`` of each
    session (its earliest scan). A table counts where it tells a readable time of every session, no
    two the same. Numbers in labels are compared as numbers: ``ses-2`` is before ``ses-10``.

    Parameters
    ----------
    bids_dir
        The raw dataset.
    participant
        Label without ``sub-``.
    sessions
        Labels without ``ses-``.
    """
    folder = bids_dir / f"sub-{participant}"
    table = folder / f"sub-{participant}_sessions.tsv"
    problems: list[str] = []
    told: dict[str, set[datetime.datetime]] = {label: set() for label in sessions}
    for row in _rows(table, problems):
        label = row.get("session_id", "").strip().removeprefix("ses-")
        if label in told and (time := _time(row, table, problems)) is not None:
            told[label].add(time)
    problems += [
        f"{table} has several times of ses-{label}, of which none is taken"
        for label, times in told.items()
        if len(times) > 1
    ]
    by_session = {label: min(times) for label, times in told.items() if len(times) == 1}
    by_scans: dict[str, datetime.datetime | None] = {}
    for label in sessions:
        scans = folder / f"ses-{label}" / f"sub-{participant}_ses-{label}_scans.tsv"
        all_times = [_time(row, scans, problems) for row in _rows(scans, problems)]
        by_scans[label] = min((time for time in all_times if time is not None), default=None)
    for source, found in (("sessions.tsv", by_session), ("scans.tsv", by_scans)):
        known = {label: time for label in sessions if (time := found.get(label)) is not None}
        if len(set(known.values())) == len(sessions):
            in_time = tuple(sorted(sessions, key=known.__getitem__))
            return Order(sessions=in_time, source=source, times=known, problems=tuple(problems))
    return Order(
        sessions=tuple(sorted(sessions, key=natural)), source="labels", problems=tuple(problems)
    )


def _rows(table: Path, problems: list[str]) -> list[dict[str, str]]:
    """Rows of a table; none, and a word of it, where it is damaged."""
    try:
        return read_table(table)
    except FileNotFoundError:
        if table.is_symlink():
            problems.append(f"{table} is not fetched; sessions are ordered without it")
    except (OSError, ValueError) as error:
        problems.append(
            f"{table} cannot be read ({cause_of(error)}); sessions are ordered without it"
        )
    return []


def _time(row: Mapping[str, str], table: Path, problems: list[str]) -> datetime.datetime | None:
    """When a row was acquired; time zones, which are the same in a dataset, are left out."""
    given = row.get("acq_time", NOT_KNOWN).strip()
    try:
        return datetime.datetime.fromisoformat(given).replace(tzinfo=None)
    except ValueError:
        # 01/02/2020 is two days; nobody knows which. Once for each table is enough.
        if given not in ("", NOT_KNOWN) and not any(p.startswith(f"{table}: ") for p in problems):
            problems.append(f"{table}: {given} is not an acq_time such as 2020-01-31T10:00:00")
        return None


def natural(label: str) -> list[tuple[int, str]]:
    """Key that sorts labels with their numbers compared as numbers: 2 is before 10."""
    parts = re.findall(r"\d+|\D+", label)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
