"""Tables of the group level: their columns, and the rows that a session gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cmb_bidsapp.bids.protocol import Protocol
from cmb_bidsapp.bids.tables import IDENTITY, describe, identity, read_table
from cmb_bidsapp.bids.typed import columns_of, decode
from cmb_bidsapp.clinical.follow_up import CHANGE_COLUMNS, ChangeRow
from cmb_bidsapp.clinical.mars import Form, Place, wide_columns, wide_row
from cmb_bidsapp.clinical.summary import SUMMARY_COLUMNS
from cmb_bidsapp.clinical.tracks import TRACK_COLUMNS, TrackRow
from cmb_bidsapp.core.labels import MARS_FORM
from cmb_bidsapp.group.reading import ReadLesion
from cmb_bidsapp.group.records import ALGORITHM, Problem, Record
from cmb_bidsapp.lesions.lesion import COUNTED

Columns = Mapping[str, Mapping[str, Any]]

SOURCE = {
    "source": describe(
        "Whose decisions the numbers rest on",
        algorithm="nobody has looked",
        reader="those of the readers named, made in the participant's report",
    )
}
PROTOCOL = columns_of(Protocol)
_SESSION = {**IDENTITY, **SOURCE}

#: By the name of each table (``group_<name>.tsv``), its columns with their JSON dictionary.
TABLES: Mapping[str, Columns] = MappingProxyType(
    {
        "lesions": {**_SESSION, **columns_of(ReadLesion)},
        "mars": {**_SESSION, **PROTOCOL, **wide_columns()},
        "mars_long": {
            **_SESSION,
            "group": describe("Group of regions of the MARS form, or unassigned"),
            "region": describe("Region of the MARS form, or unassigned"),
            "side": describe("right, left or unassigned"),
            "grade": describe("Grade", definite="counted", possible="counted"),
            "count": describe("Microbleeds; unassigned regions and sides only where there are any"),
        },
        "summary": {**_SESSION, **PROTOCOL, **SUMMARY_COLUMNS},
        "changes": {**_SESSION, **PROTOCOL, **CHANGE_COLUMNS},
        "tracks": {
            **_SESSION,
            **PROTOCOL,
            "baseline_session_id": CHANGE_COLUMNS["baseline_session_id"],
            "days": CHANGE_COLUMNS["days"],
            **TRACK_COLUMNS,
        },
        "problems": {
            **IDENTITY,
            "file": describe("File, from the output folder on"),
            "reason": describe("Why it is not in the other tables"),
        },
    }
)


def about(record: Record) -> dict[str, Any]:
    """The columns that say which session it is, and whose decisions the numbers rest on."""
    return {**identity(record.files.participant, record.files.session), "source": record.source}


def lesion_rows(record: Record) -> Iterator[dict[str, Any]]:
    """Every candidate of a session, kept or rejected."""
    first = about(record)
    # Where readers decided, each lesion has a source of its own.
    return ({**first, **vars(lesion)} for lesion in record.lesions)


def mars_row(record: Record, form: Form) -> dict[str, Any]:
    """The MARS form of a session in one row."""
    return {**about(record), **vars(record.protocol), **wide_row(form)}


def mars_long_rows(record: Record, form: Form) -> Iterator[dict[str, Any]]:
    """The MARS form of a session, a row per region, side and grade, zeros among them."""
    places = [
        Place(group, region, side)
        for region, (_, group, _) in MARS_FORM.items()
        for side in ("right", "left")
    ]
    places += sorted({place for place, _ in form.counts} - set(places))
    first = about(record)
    for place in places:
        for grade in COUNTED:
            yield {
                **first,
                "group": place.group,
                "region": place.region,
                "side": place.side,
                "grade": grade,
                "count": form.counts.get((place, grade), 0),
            }


def read_tracks(path: Path) -> list[TrackRow]:
    """Read a participant's microbleeds through time.

    Raises
    ------
    OSError
        The file cannot be opened.
    ValueError
        It is no table, or a cell is not what its column holds.
    """
    return [decode(TrackRow, row) for row in read_table(path, ("track_id", "state"))]


def change_row(row: ChangeRow, later: Record) -> dict[str, Any]:
    """A follow-up."""
    return {**vars(row), **_followed(later)}


def track_row(row: TrackRow, record: Record, follow_ups: Sequence[ChangeRow]) -> dict[str, Any]:
    """A microbleed in a session that has follow-ups or is one."""
    days = {one.session_id: one.days for one in follow_ups}
    timed = any(value is not None for value in days.values())
    return {
        **vars(row),
        **_followed(record),
        "baseline_session_id": follow_ups[0].baseline_session_id,
        "days": days.get(row.session_id, 0 if timed else None),
    }


def _followed(record: Record) -> dict[str, Any]:
    # Microbleeds are followed as the algorithm found them, whatever readers said.
    return {**vars(record.protocol), **about(record), "source": ALGORITHM}


def problem_row(problem: Problem, out_dir: Path) -> dict[str, Any]:
    """What could not be read or used."""
    files, path = problem.files, problem.path
    inside = path.is_relative_to(out_dir)
    return {
        **(identity(files.participant, files.session) if files else {}),
        "file": path.relative_to(out_dir) if inside else path,
        "reason": problem.reason,
    }
