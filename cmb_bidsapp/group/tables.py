"""Group level: the lesion tables of all sessions as one, and counts per session after MARS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmb_bidsapp.bids.outputs import write_table
from cmb_bidsapp.group.records import Problem, Record, records
from cmb_bidsapp.lesions.grading import COUNTED
from cmb_bidsapp.lesions.table import COLUMNS

#: Regions of the MARS table so far, in the order of its columns.
REGIONS = ("lobar", "deep", "infratentorial", "unassigned")

IDENTITY = {
    "participant_id": {"Description": "Participant"},
    "session_id": {"Description": "Session, n/a where the dataset has none"},
}
PROTOCOL = {
    "sequence": {"Description": "BIDS suffix of the T2*w image; counts of SWI and GRE differ"},
    "field_strength": {"Description": "Field strength", "Units": "T"},
    "echo_time": {"Description": "Echo time", "Units": "s"},
    "slice_distance": {"Description": "Largest voxel side", "Units": "mm"},
}


def _mars_columns() -> dict[str, dict[str, Any]]:
    counts: dict[str, dict[str, Any]] = {}
    for region in (*REGIONS, "total"):
        for grade in COUNTED:
            counts[f"{region}_{grade}"] = {"Description": f"{grade} microbleeds, {region}"}
        counts[region] = {"Description": f"definite and possible microbleeds, {region}"}
    return {
        **IDENTITY,
        **PROTOCOL,
        **counts,
        "border": {"Description": "counted microbleeds within 2 mm of another region"},
        "below_size": {"Description": "kept candidates below the size MARS counts"},
        "macro": {"Description": "kept candidates above 10 mm, not counted"},
        "rejected": {"Description": "candidates rejected by CFPR"},
    }


MARS_COLUMNS = _mars_columns()
LESION_COLUMNS = {**IDENTITY, **COLUMNS}


def identity(participant: str, session: str | None) -> dict[str, str | None]:
    """The columns that name a session, first in every table of several."""
    return {
        "participant_id": f"sub-{participant}",
        "session_id": f"ses-{session}" if session else None,
    }


@dataclass(frozen=True)
class Cohort:
    """All sessions that could be read, and what could not."""

    sessions: tuple[Record, ...]
    problems: tuple[str, ...]


def collect(out_dir: Path) -> Cohort:
    """Read the lesion tables below an output folder."""
    found = list(records(out_dir))
    return Cohort(
        tuple(one for one in found if isinstance(one, Record)),
        tuple(str(one) for one in found if isinstance(one, Problem)),
    )


def mars_row(session: Record) -> dict[str, Any]:
    """Counts of one session."""
    row: dict[str, Any] = {
        **identity(session.files.participant, session.files.session),
        **session.protocol,
    }
    kept = [lesion for lesion in session.lesions if lesion["status"] == "kept"]
    counted = [lesion for lesion in kept if lesion["grade"] in COUNTED]
    for region in REGIONS:
        here = [lesion["grade"] for lesion in counted if lesion["region"] == region]
        row[region] = len(here)
        row |= {f"{region}_{grade}": here.count(grade) for grade in COUNTED}
    for grade in COUNTED:
        row[f"total_{grade}"] = sum(lesion["grade"] == grade for lesion in counted)
    row["total"] = len(counted)
    row["border"] = sum(lesion["border"] == "true" for lesion in counted)
    row["below_size"] = sum(lesion["grade"] == "below-size" for lesion in kept)
    row["macro"] = sum(lesion["grade"] == "macro" for lesion in kept)
    row["rejected"] = len(session.lesions) - len(kept)
    return row


def write_tables(cohort: Cohort, out_dir: Path) -> tuple[Path, Path]:
    """Write ``group_lesions.tsv`` and ``group_mars.tsv`` with their dictionaries."""
    lesions, mars = out_dir / "group_lesions.tsv", out_dir / "group_mars.tsv"
    write_table(
        lesions,
        list(LESION_COLUMNS),
        (
            {**identity(s.files.participant, s.files.session), **lesion}
            for s in cohort.sessions
            for lesion in s.lesions
        ),
        LESION_COLUMNS,
    )
    write_table(mars, list(MARS_COLUMNS), (mars_row(s) for s in cohort.sessions), MARS_COLUMNS)
    return lesions, mars
