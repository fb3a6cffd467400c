"""The tables an evaluation writes, each with its JSON dictionary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cmb_bidsapp.bids.tables import identity, write_table
from cmb_bidsapp.core.burden import burden_class
from cmb_bidsapp.core.statistics import ratio
from cmb_bidsapp.evaluation import columns
from cmb_bidsapp.evaluation.paper import paper_rows
from cmb_bidsapp.evaluation.regions import RegionCalls
from cmb_bidsapp.evaluation.results import REGIONS, SessionResult
from cmb_bidsapp.evaluation.summary import (
    Group,
    confuse_burden,
    confuse_regions,
    counts_of,
    false_positives_by_place,
    groups_of,
    summarize,
    summarize_froc,
    summarize_radii,
    volume_error,
)
from cmb_bidsapp.lesions.lesion import UNASSIGNED

#: A row of a table of an evaluation.
ResultRow = Mapping[str, Any]
#: Rows of each table by its name.
Tables = Mapping[str, Sequence[ResultRow]]


def session_rows(result: SessionResult) -> Iterator[dict[str, Any]]:
    """Figures of one session at each stage."""
    for stage, one in result.stages.items():
        counts = one.counts
        matched = [fate.dice for fate in one.fates if fate.fate == "found"]
        places = false_positives_by_place(result, stage)
        yield {
            "method": result.method,
            **identity(result.participant, result.session),
            "status": "evaluated",
            "protocol": result.protocol,
            "stage": stage,
            **counts_of(counts),
            "f1": counts.session_f1,
            "dice": one.dice,
            "matched_dice": ratio(sum(matched), len(matched)),
            **{f"fp_{name}".replace("-", "_"): count for name, count in places.items()},
            **RegionCalls.of(one.fates).figures(),
            "count_error": counts.predicted - counts.reference,
            "volume_error": volume_error(result, stage),
            "burden_reference": burden_class(counts.reference),
            "burden_predicted": burden_class(counts.predicted),
            **{f"{name}_dice": value for name, value in result.anatomy.items()},
            "side_errors": result.side_errors,
        }


def lesion_rows(result: SessionResult) -> Iterator[dict[str, Any]]:
    """Every reference and predicted lesion of a session, at each stage."""
    for stage, one in result.stages.items():
        for fate in one.fates:
            yield {
                "method": result.method,
                **identity(result.participant, result.session),
                "protocol": result.protocol,
                "stage": stage,
                "lesion_id": fate.lesion,
                **fate.told,
                **{name: getattr(fate, name) for name in _OF_FATE},
                **vars(fate.place),
                **dict(zip("xyz", fate.center, strict=True)),
            }


_OF_FATE = ("side", "fate", "partner", "distance", "dice", "lies_on", "voxels")


def tables_of(
    results: Sequence[SessionResult], others: Iterable[dict[str, Any]], seed: int
) -> Tables:
    """Rows of all tables but that of the lesions, which are many.

    Parameters
    ----------
    results
        All sessions of all methods.
    others
        Rows of the sessions that were not evaluated.
    seed
        Of the bootstrap.
    """
    groups = groups_of(results)
    sessions = [row for result in results for row in session_rows(result)] + list(others)
    order = {name: place for place, name in enumerate(dict.fromkeys(r["method"] for r in sessions))}
    sessions.sort(key=lambda r: (order[r["method"]], r["participant_id"], r["session_id"] or ""))
    summaries = [
        {**_named(group, stage), **summarize(group.at(stage), stage, seed)}
        for group in groups
        for stage in group.stages
    ]
    return {
        "paper": paper_rows(summaries),
        "summary": summaries,
        "sessions": sessions,
        "burden": [row for group in groups for row in _burden_rows(group)],
        "regions": [row for group in groups for row in _region_rows(group)],
        "froc": [
            {**_named(group), **row} for group in groups for row in summarize_froc(group.results)
        ],
        "radii": [
            {**_named(group), **row}
            for group in groups
            for row in summarize_radii(group.results, seed)
        ],
    }


def _named(group: Group, stage: str | None = None) -> dict[str, Any]:
    return {"method": group.method, "group": group.name} | ({"stage": stage} if stage else {})


def _burden_rows(group: Group) -> Iterator[dict[str, Any]]:
    for stage in group.stages:
        confusion = confuse_burden(group.at(stage), stage)
        for own, row in enumerate(confusion.tolist()):
            found = {f"predicted_{number}": sessions for number, sessions in enumerate(row)}
            yield {**_named(group, stage), "reference_class": own, **found}


def _region_rows(group: Group) -> Iterator[dict[str, Any]]:
    for stage in group.stages:
        confusion = confuse_regions(group.at(stage), stage)
        for own in (*REGIONS, UNASSIGNED):
            found = {name: confusion[own, name] for name in (*REGIONS, UNASSIGNED)}
            yield {**_named(group, stage), "reference_region": own, **found}


def write_tables(out_dir: Path, tables: Tables, results: Sequence[SessionResult]) -> list[Path]:
    """Write every table as ``evaluation_NAME.tsv``, with its JSON dictionary.

    Parameters
    ----------
    out_dir
        Where they go.
    tables
        Rows by the name of the table.
    results
        All sessions, for the table of lesions.
    """
    lesions = (row for result in results for row in lesion_rows(result))
    written = []
    rows: Iterable[ResultRow]
    for name, rows in (*tables.items(), ("lesions", lesions)):
        path = out_dir / f"evaluation_{name}.tsv"
        described = columns.COLUMNS[name]
        write_table(path, list(described), rows, described)
        written.append(path)
    return written
