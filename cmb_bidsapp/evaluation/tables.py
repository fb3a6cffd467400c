"""The tables an evaluation writes, each with its JSON dictionary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cmb_bidsapp.bids.outputs import write_table
from cmb_bidsapp.evaluation.columns import (
    LESION_COLUMNS,
    REGION_COLUMNS,
    SESSION_COLUMNS,
    SUMMARY_COLUMNS,
    SWEEP_COLUMNS,
)
from cmb_bidsapp.evaluation.metrics import burden, ratio
from cmb_bidsapp.evaluation.regions import RegionCalls, region_confusion
from cmb_bidsapp.evaluation.results import REGIONS, STAGES, SessionResult
from cmb_bidsapp.evaluation.summary import (
    Group,
    counts_of,
    false_positives_by_place,
    summarise_sweep,
)
from cmb_bidsapp.lesions.candidates import UNASSIGNED

Row = dict[str, Any]


def identity(participant: str, session: str | None) -> Row:
    """The columns that name a session."""
    return {
        "participant_id": f"sub-{participant}",
        "session_id": f"ses-{session}" if session else None,
    }


def session_row(result: SessionResult, stage: str) -> Row:
    """Figures of one session before or after CFPR."""
    one = result.stages[stage]
    counts = one.counts
    matched = [fate.dice for fate in one.fates if fate.fate == "found"]
    places = false_positives_by_place(result, stage)
    return {
        **identity(result.participant, result.session),
        "status": "evaluated",
        "protocol": result.protocol,
        "stage": stage,
        **counts_of(counts),
        "f1": counts.session_f1,
        "dice": one.overlap.dice if one.overlap.reference else None,
        "matched_dice": ratio(sum(matched), len(matched)),
        **{f"fp_{name}".replace("-", "_"): count for name, count in places.items()},
        **RegionCalls.of(one.fates).figures(),
        "count_error": counts.predicted - counts.reference,
        "burden_reference": burden(counts.reference),
        "burden_predicted": burden(counts.predicted),
        **{f"{name}_dice": value for name, value in result.anatomy.items()},
        "side_errors": result.side_errors,
    }


def lesion_rows(results: Iterable[SessionResult]) -> Iterator[Row]:
    """Every reference and predicted lesion, before and after CFPR."""
    for result in results:
        for stage in STAGES:
            for fate in result.stages[stage].fates:
                known = result.candidates[fate.lesion] if fate.side == "predicted" else {}
                apart = ("lesion", "centre", "place")
                values = {k: v for k, v in vars(fate).items() if k not in apart}
                yield {
                    **identity(result.participant, result.session),
                    "protocol": result.protocol,
                    "stage": stage,
                    "lesion_id": fate.lesion,
                    **known,
                    **values,
                    **vars(fate.place),
                    **dict(zip("xyz", fate.centre, strict=True)),
                }


def region_rows(groups: Iterable[Group]) -> Iterator[Row]:
    """Confusion of regions, a row per group, stage and region of the reference."""
    for group in groups:
        for stage in STAGES:
            confusion: Counter[tuple[str, str]] = Counter()
            for result in group.results:
                confusion += region_confusion(result.stages[stage].fates)
            for own in (*REGIONS, UNASSIGNED):
                found = {name: confusion[own, name] for name in (*REGIONS, UNASSIGNED)}
                yield {"group": group.name, "stage": stage, "reference_region": own, **found}


def sweep_rows(groups: Iterable[Group]) -> Iterator[Row]:
    """A row per group and threshold."""
    for group in groups:
        for row in summarise_sweep(group.results):
            yield {"group": group.name, **row}


def write_tables(
    out_dir: Path,
    groups: Sequence[Group],
    summaries: Iterable[Row],
    others: Iterable[Row],
) -> list[Path]:
    """Write all tables.

    Parameters
    ----------
    groups
        The first holds all sessions.
    summaries
        Rows of the summary table.
    others
        Rows of the sessions that were not evaluated.
    """
    results = groups[0].results
    sessions = [session_row(result, stage) for result in results for stage in STAGES]
    sessions = sorted(
        [*sessions, *others], key=lambda r: (r["participant_id"], r["session_id"] or "")
    )
    written = []
    for name, columns, rows in (
        ("sessions", SESSION_COLUMNS, sessions),
        ("summary", SUMMARY_COLUMNS, summaries),
        ("sweep", SWEEP_COLUMNS, sweep_rows(groups)),
        ("regions", REGION_COLUMNS, region_rows(groups)),
        ("lesions", LESION_COLUMNS, lesion_rows(results)),
    ):
        path = out_dir / f"evaluation_{name}.tsv"
        write_table(path, list(columns), rows, columns)
        written.append(path)
    return written
