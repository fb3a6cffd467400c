"""From sessions to a group: sums, means, intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.evaluation.comparison import NOTHING_KNOWN
from cmb_bidsapp.evaluation.metrics import (
    NAN,
    Counts,
    Overlap,
    bootstrap_interval,
    burden,
    ratio,
)
from cmb_bidsapp.evaluation.regions import RegionCalls
from cmb_bidsapp.evaluation.results import ANATOMY, SessionResult
from cmb_bidsapp.labels import MIMICS

Figure = float | int | None

#: The group that every session is in.
EVERYBODY = "all"


@dataclass(frozen=True)
class Group:
    """Sessions that are summarised together."""

    name: str
    results: tuple[SessionResult, ...]


def groups_of(results: Sequence[SessionResult]) -> list[Group]:
    """All sessions, then those of each protocol."""
    protocols = sorted({result.protocol for result in results})
    return [Group(EVERYBODY, tuple(results))] + [
        Group(name, tuple(r for r in results if r.protocol == name)) for name in protocols
    ]


def false_positives_by_place(result: SessionResult, stage: str) -> dict[str, Figure]:
    """How many false positives lie on what; ``None`` where the reference knows no mimics."""
    places = Counter(fate.lies_on for fate in result.stages[stage].fates)
    names = (*MIMICS.values(), NOTHING_KNOWN)
    return {name: places[name] if result.mimics_known else None for name in names}


def summarise(results: Sequence[SessionResult], stage: str, seed: int) -> dict[str, Figure]:
    """Figures of a group before or after CFPR; see the columns of the summary table.

    Sessions whose reference is empty have no F1 and no Dice; their false positives per scan are
    given apart.
    """
    stages = [result.stages[stage] for result in results]
    each = [one.counts for one in stages]
    total = sum(each, Counts())
    free = [counts for counts in each if not counts.reference]
    session_f1 = np.array([counts.session_f1 for counts in each])
    dice = np.array([one.overlap.dice if one.overlap.reference else NAN for one in stages])
    voxels = Overlap(
        sum(one.overlap.reference for one in stages),
        sum(one.overlap.predicted for one in stages),
        sum(one.overlap.shared for one in stages),
    )
    matched = [f.dice for one in stages for f in one.fates if f.fate == "found"]
    calls = [RegionCalls.of(one.fates) for one in stages]
    side_errors = np.array([result.side_errors for result in results])
    anatomy = {
        name: np.array([result.anatomy.get(name, NAN) for result in results]) for name in ANATOMY
    }
    # What each session adds above and below, of every figure that comes with an interval.
    sums: dict[str, tuple[npt.ArrayLike, npt.ArrayLike]] = {
        "f1": ([2 * c.tp for c in each], [2 * c.tp + c.fp + c.fn for c in each]),
        "session_f1_mean": _mean(session_f1),
        "fp_per_scan": ([c.fp for c in each], np.ones(len(each))),
        "dice_mean": _mean(dice),
        "region_agreement": ([c.right for c in calls], [c.known for c in calls]),
        "mars_agreement": ([c.mars_right for c in calls], [c.mars_known for c in calls]),
        "side_errors_mean": _mean(side_errors),
        **{f"{name}_dice_mean": _mean(values) for name, values in anatomy.items()},
    }
    participants = [result.participant for result in results]
    figures: dict[str, Figure] = {
        "sessions": len(results),
        "participants": len(set(participants)),
        **counts_of(total),
        "session_f1_median": _median(session_f1),
        "session_f1_n": int(np.isfinite(session_f1).sum()),
        "sessions_free": len(free),
        "fp_per_scan_free": ratio(sum(c.fp for c in free), len(free)),
        "sessions_free_right": sum(c.fp == 0 for c in free),
        "dice_median": _median(dice),
        "dice_n": int(np.isfinite(dice).sum()),
        "dice_pooled": voxels.dice,
        "matched_dice_mean": ratio(sum(matched), len(matched)),
        **sum(calls, RegionCalls()).figures(),
        "side_errors_n": int(np.isfinite(side_errors).sum()),
        "count_error_mean": ratio(sum(abs(c.predicted - c.reference) for c in each), len(each)),
        "burden_agreement": ratio(
            sum(burden(c.predicted) == burden(c.reference) for c in each), len(each)
        ),
    }
    for name, (top, bottom) in sums.items():
        low, high = bootstrap_interval(top, bottom, participants, seed)
        value = ratio(float(np.sum(top)), float(np.sum(bottom)))
        figures |= {name: value, f"{name}_low": low, f"{name}_high": high}
    places = [false_positives_by_place(result, stage) for result in results]
    for name in places[0]:
        figures[f"fp_{name}".replace("-", "_")] = _sum_known(place[name] for place in places)
    for name, values in anatomy.items():
        known = values[np.isfinite(values)]
        figures[f"{name}_dice_lowest"] = float(known.min()) if known.size else NAN
        figures[f"{name}_dice_n"] = int(known.size)
    return figures


def counts_of(counts: Counts) -> dict[str, Figure]:
    """Counts and the ratios they give, by column."""
    return {
        "reference": counts.reference,
        "predicted": counts.predicted,
        "tp": counts.tp,
        "fp": counts.fp,
        "fn": counts.fn,
        "ignored": counts.ignored,
        "precision": counts.precision,
        "recall": counts.recall,
        "f1": counts.f1,
    }


def summarise_sweep(results: Sequence[SessionResult]) -> list[dict[str, Figure]]:
    """A row per threshold, of the sessions that have a probability map."""
    rows: list[dict[str, Figure]] = []
    for threshold in sorted({t for result in results for t in result.sweep}):
        each = [result.sweep[threshold] for result in results if threshold in result.sweep]
        free = [counts for counts in each if not counts.reference]
        total = sum(each, Counts())
        rows.append(
            {
                "threshold": threshold,
                "sessions": len(each),
                **counts_of(total),
                "fp_per_scan": ratio(total.fp, len(each)),
                "fp_per_scan_free": ratio(sum(c.fp for c in free), len(free)),
            }
        )
    return rows


def _mean(values: npt.NDArray[np.float64]) -> tuple[npt.ArrayLike, npt.ArrayLike]:
    """What each session adds to a mean over those that have a value: above and below."""
    return np.nan_to_num(values), np.isfinite(values)


def _median(values: npt.NDArray[np.float64]) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else NAN


def _sum_known(values: Iterable[Figure]) -> Figure:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
