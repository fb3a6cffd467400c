"""``logs/status.tsv``: how every session of an output folder ended, in whichever run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from cmb_bidsapp.bids.index import printable
from cmb_bidsapp.bids.locks import tidied
from cmb_bidsapp.bids.outputs import write_text
from cmb_bidsapp.bids.scans import Choice, Unit
from cmb_bidsapp.bids.tables import read_table, write_table
from cmb_bidsapp.core.errors import ExitCode
from cmb_bidsapp.core.outcome import UNFINISHED
from cmb_bidsapp.engine.children import Outcome
from cmb_bidsapp.workflow import Stage

COLUMNS = ("participant_id", "session_id", "stage", "status", "exit_code", "message", "seconds")

#: Of one that has not.
UNREACHED = "not started: the run ended earlier, or is still running"


def ended(outcomes: Iterable[Outcome], stage: Stage) -> list[Mapping[str, object]]:
    """Rows of what has ended.

    Parameters
    ----------
    outcomes
        How sessions ended.
    stage
        Stage that has ended.
    """
    return [
        {
            "participant_id": f"sub-{outcome.session.participant}",
            "session_id": f"ses-{outcome.session.session}" if outcome.session.session else None,
            "stage": stage,
            "status": "ok" if outcome.ok else "failed",
            "exit_code": outcome.code,
            "message": outcome.message or None,
            "seconds": outcome.seconds,
        }
        for outcome in outcomes
    ]


def waiting(sessions: Iterable[Unit], stage: Stage) -> list[Mapping[str, object]]:
    """Rows of what is to run and has not begun; they stand as failed until it has ended.

    Parameters
    ----------
    sessions
        Sessions or participants that are to run.
    stage
        Stage that they are to run.
    """
    unreached = (Outcome(session=s, code=ExitCode.TEMPORARY, message=UNREACHED) for s in sessions)
    return ended(unreached, stage)


def begun(sessions: Iterable[Unit], stage: Stage) -> list[Mapping[str, object]]:
    """Rows of what begins to run; they stand as failed until it has ended.

    Parameters
    ----------
    sessions
        Sessions or participants that begin.
    stage
        Stage that begins.
    """
    unfinished = (Outcome(session=s, code=ExitCode.TEMPORARY, message=UNFINISHED) for s in sessions)
    return ended(unfinished, stage)


def left_out(choice: Choice) -> list[Mapping[str, object]]:
    """Rows of participants and sessions that have nothing to process, or nothing usable."""
    return [
        {
            "participant_id": printable(one.path.parts[0]),
            "session_id": printable(one.path.parts[1]) if len(one.path.parts) > 1 else None,
            "stage": "session",
            "status": status,
            "exit_code": code,
            "message": one.reason,
        }
        for status, code, several in (
            ("skipped", None, choice.skipped),
            ("failed", int(ExitCode.DATA), choice.failed),
        )
        for one in several
    ]


def write_status(
    out_dir: Path, rows: Sequence[Mapping[str, object]], *, new_only: bool = False
) -> None:
    """Put rows into the table; those of other sessions, such as an array's other tasks', stay.

    With ``new_only`` what is known of a session already stays, too.

    Parameters
    ----------
    out_dir
        Output folder of the app; the table is ``logs/status.tsv``.
    rows
        Rows to put in; one replaces the row of the same session and stage.
    new_only
        Whether rows that are there already stay as they are.
    """
    logs = out_dir / "logs"
    with tidied(logs / "locks" / "status.lock", logs, "status.*"):
        known = {_whose(row): row for row in _read(logs / "status.tsv")}
        given = {_whose(row): row for row in rows}
        together = {**given, **known} if new_only else {**known, **given}
        merged = sorted(together.values(), key=_whose)
        write_table(logs / "status.tsv", COLUMNS, merged)
        counts = Counter(str(row["status"]) for row in merged)
        content = {"counts": counts, "sessions": merged}
        write_text(logs / "status.json", json.dumps(content, indent=2) + "\n")


def failures(out_dir: Path) -> dict[tuple[str, str | None], str]:
    """Why sessions failed when they were last run, by the labels of participant and session.

    Parameters
    ----------
    out_dir
        Output folder of the app.
    """
    return {
        (
            str(row["participant_id"]).removeprefix("sub-"),
            str(row["session_id"]).removeprefix("ses-") if row["session_id"] else None,
        ): str(row["message"])
        for row in _read(out_dir / "logs" / "status.tsv")
        if row["stage"] == "session" and row["status"] == "failed" and row["message"]
    }


def _whose(row: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(str(row[name] or "") for name in ("participant_id", "session_id", "stage"))


def _read(table: Path) -> list[Mapping[str, object]]:
    """Rows as they are; none where the table cannot be read."""
    try:
        rows = read_table(table, COLUMNS)
    except (OSError, ValueError):
        return []
    return [{name: _value(name, text) for name, text in row.items()} for row in rows]


def _value(column: str, text: str) -> str | int | float | None:
    """A cell as it was when it was written."""
    if text == "n/a":
        return None
    with suppress(ValueError):
        if column == "exit_code":
            return int(text)
        if column == "seconds":
            return float(text)
    return text
