"""From sessions to a group: sums, means, intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.core.arrays import Floats
from cmb_bidsapp.core.burden import BURDEN_NAMES, burden_class
from cmb_bidsapp.core.labels import MIMICS
from cmb_bidsapp.core.statistics import NAN, Agreement, interval, ratio, ratios, resample
from cmb_bidsapp.evaluation.comparison import NOTHING_KNOWN
from cmb_bidsapp.evaluation.metrics import Counts, Overlap
from cmb_bidsapp.evaluation.regions import RegionCalls, region_confusion
from cmb_bidsapp.evaluation.results import ANATOMY, Point, SessionResult

Figure = float | int | None
#: What each session adds above and below, of a figure that is a ratio of sums.
Parts = tuple[npt.ArrayLike, npt.ArrayLike]

#: The group that every session is in.
EVERYBODY = "all"


@dataclass(frozen=True)
class Group:
    """Sessions of one method that are summarised together."""

    method: str
    name: str
    results: tuple[SessionResult, ...]

    @property
    def stages(self) -> tuple[str, ...]:
        """What was evaluated; a method's sessions may be of different kinds."""
        return tuple(dict.fromkeys(stage for result in self.results for stage in result.stages))

    def at(self, stage: str) -> list[SessionResult]:
        """Sessions that were evaluated at a stage."""
        return [result for result in self.results if stage in result.stages]


def groups_of(results: Sequence[SessionResult]) -> list[Group]:
    """Per method all sessions, then those of each protocol."""
    groups = []
    for method in dict.fromkeys(result.method for result in results):
        own = [result for result in results if result.method == method]
        groups.append(Group(method, EVERYBODY, tuple(own)))
        for protocol in sorted({result.protocol for result in own}):
            alike = tuple(result for result in own if result.protocol == protocol)
            groups.append(Group(method, protocol, alike))
    return groups


def false_positives_by_place(result: SessionResult, stage: str) -> dict[str, Figure]:
    """How many false positives lie on what; ``None`` where the reference knows no mimics.

    Parameters
    ----------
    result
        One session.
    stage
        One of its stages.
    """
    places = Counter(fate.lies_on for fate in result.stages[stage].fates)
    names = (*MIMICS.values(), NOTHING_KNOWN)
    return {name: places[name] if result.mimics_known else None for name in names}


def summarise(results: Sequence[SessionResult], stage: str, seed: int) -> dict[str, Figure]:
    """Figures of a group at a stage; see the columns of the summary table.

    Sessions whose reference is empty have no F1 and no Dice; their false positives per scan are
    given apart.

    Parameters
    ----------
    results
        Of one method.
    stage
        One that all of them have.
    seed
        Of the resampling behind the intervals.
    """
    stages = [result.stages[stage] for result in results]
    each = [one.counts for one in stages]
    total = sum(each, Counts())
    free = [counts for counts in each if not counts.reference]
    session_f1 = np.array([counts.session_f1 for counts in each])
    dice = np.array([one.dice for one in stages])
    matched = [f.dice for one in stages for f in one.fates if f.fate == "found"]
    calls = [RegionCalls.of(one.fates) for one in stages]
    side_errors = np.array([result.side_errors for result in results])
    volumes = np.array([volume_error(result, stage) for result in results])
    anatomy = {
        name: np.array([result.anatomy.get(name, NAN) for result in results]) for name in ANATOMY
    }
    parts: dict[str, Parts] = {
        "f1": _f1_parts(each),
        "recall": ([c.tp for c in each], [c.reference for c in each]),
        "precision": ([c.tp for c in each], [c.predicted for c in each]),
        "session_f1_mean": _mean(session_f1),
        "fp_per_scan": ([c.fp for c in each], np.ones(len(each))),
        "fp_per_scan_free": (
            [0 if c.reference else c.fp for c in each],
            [not c.reference for c in each],
        ),
        "dice_mean": _mean(dice),
        "region_agreement": ([c.right for c in calls], [c.known for c in calls]),
        "mars_agreement": ([c.mars_right for c in calls], [c.mars_known for c in calls]),
        "side_errors_mean": _mean(side_errors),
        **{f"{name}_dice_mean": _mean(values) for name, values in anatomy.items()},
    }
    participants = [result.participant for result in results]
    agreement = Agreement.of(
        [c.reference for c in each], [c.predicted for c in each], participants, seed
    )
    figures: dict[str, Figure] = {
        "sessions": len(results),
        "participants": len(set(participants)),
        **counts_of(total),
        "session_f1_median": _median(session_f1),
        "session_f1_n": int(np.isfinite(session_f1).sum()),
        "sessions_free": len(free),
        "sessions_free_right": sum(c.fp == 0 for c in free),
        "dice_median": _median(dice),
        "dice_n": int(np.isfinite(dice).sum()),
        "dice_pooled": sum((one.overlap for one in stages), Overlap()).dice,
        "matched_dice_mean": ratio(sum(matched), len(matched)),
        **sum(calls, RegionCalls()).figures(),
        "side_errors_n": int(np.isfinite(side_errors).sum()),
        "count_error_mean": ratio(sum(abs(c.predicted - c.reference) for c in each), len(each)),
        "volume_error_mean": _mean_of(np.abs(volumes)),
        **{f"count_{name}": value for name, value in vars(agreement).items()},
        "burden_agreement": ratio(
            sum(burden_class(c.predicted) == burden_class(c.reference) for c in each), len(each)
        ),
        **with_intervals(parts, participants, seed),
    }
    places = [false_positives_by_place(result, stage) for result in results]
    for name in places[0]:
        figures[f"fp_{name}".replace("-", "_")] = _sum_known(place[name] for place in places)
    for name, values in anatomy.items():
        known = values[np.isfinite(values)]
        figures[f"{name}_dice_lowest"] = float(known.min()) if known.size else NAN
        figures[f"{name}_dice_n"] = int(known.size)
    return figures


def with_intervals(
    parts: Mapping[str, Parts], participants: Sequence[str], seed: int
) -> dict[str, Figure]:
    """Ratios of sums over sessions with 95 % intervals, by column (participants drawn again).

    Fewer than :data:`cmb_bidsapp.core.statistics.LEAST_PEOPLE` participants have no interval.

    Parameters
    ----------
    parts
        By column what each session adds above and below, shape ``(sessions,)`` each.
    participants
        Label of each session's participant: a participant's sessions are drawn together.
    seed
        Of the resampling.
    """
    above, below = (
        np.stack([np.asarray(pair[side], np.float64) for pair in parts.values()], axis=1)
        for side in (0, 1)
    )
    sampled = resample(np.concatenate([above, below], axis=1), participants, seed)
    spread = ratios(sampled[:, : len(parts)], sampled[:, len(parts) :])
    figures: dict[str, Figure] = {}
    for column, name in enumerate(parts):
        low, high = interval(spread[:, column])
        value = ratio(float(above[:, column].sum()), float(below[:, column].sum()))
        figures |= {name: value, f"{name}_low": low, f"{name}_high": high}
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


def volume_error(result: SessionResult, stage: str) -> float:
    """Predicted minus reference volume, mm3; NaN where predictions have no extent.

    Parameters
    ----------
    result
        One session.
    stage
        One of its stages.
    """
    overlap = result.stages[stage].overlap
    return (overlap.predicted - overlap.reference) * result.voxel_mm3


def summarise_froc(results: Sequence[SessionResult]) -> list[dict[str, Figure]]:
    """A row per threshold, of the sessions that have probabilities or scores."""
    rows: list[dict[str, Figure]] = []
    for threshold in sorted({t for result in results for t in result.froc}):
        each = [result.froc[threshold] for result in results if threshold in result.froc]
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


def summarise_radii(results: Sequence[SessionResult], seed: int) -> list[dict[str, Figure]]:
    """A row per radius of CFPR, of the sessions that have predicted regions.

    Parameters
    ----------
    results
        Of one method.
    seed
        Of the resampling behind the intervals.
    """
    swept = [result for result in results if result.radii]
    participants = [result.participant for result in swept]
    rows: list[dict[str, Figure]] = []
    for radius in sorted({radius for result in swept for radius in result.radii}):
        points: list[Point] = [result.radii[radius] for result in swept]
        counts = [point.counts for point in points]
        total = sum(counts, Counts())
        dice = np.array([point.dice for point in points])
        parts: dict[str, Parts] = {
            "f1": _f1_parts(counts),
            "session_f1_mean": _mean(np.array([one.session_f1 for one in counts])),
            "dice_mean": _mean(dice),
        }
        rows.append(
            {
                "radius": radius,
                "sessions": len(points),
                **counts_of(total),
                "fp_per_scan": ratio(total.fp, len(points)),
                "dice_n": int(np.isfinite(dice).sum()),
                **with_intervals(parts, participants, seed),
            }
        )
    return rows


def confuse_regions(results: Iterable[SessionResult], stage: str) -> Counter[tuple[str, str]]:
    """Matched lesions by their class in the reference and in the prediction.

    Parameters
    ----------
    results
        Of one method.
    stage
        One that all of them have.
    """
    confusion: Counter[tuple[str, str]] = Counter()
    for result in results:
        confusion += region_confusion(result.stages[stage].fates)
    return confusion


def confuse_burden(results: Iterable[SessionResult], stage: str) -> npt.NDArray[np.intp]:
    """Sessions by the burden class of the reference (rows) and of the prediction (columns).

    Parameters
    ----------
    results
        Of one method.
    stage
        One that all of them have.
    """
    confusion = np.zeros((len(BURDEN_NAMES),) * 2, np.intp)
    for result in results:
        counts = result.stages[stage].counts
        confusion[burden_class(counts.reference), burden_class(counts.predicted)] += 1
    return confusion


def _f1_parts(each: Sequence[Counts]) -> Parts:
    return [one.f1_parts[0] for one in each], [one.f1_parts[1] for one in each]


def _mean(values: Floats) -> Parts:
    """What each session adds to a mean over those that have a value: above and below."""
    return np.nan_to_num(values), np.isfinite(values)


def _mean_of(values: Floats) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else NAN


def _median(values: Floats) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else NAN


def _sum_known(values: Iterable[Figure]) -> Figure:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
