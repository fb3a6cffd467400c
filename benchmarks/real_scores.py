"""Marks of a scan at any threshold, and counts of them per cohort; for ``real.py``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from real_scans import Label, Scan

from cmb_bidsapp.core.statistics import interval, ratios, resample
from cmb_bidsapp.evaluation.matching import Mark, Pair, centers_of, lesions_of, match
from cmb_bidsapp.evaluation.metrics import Counts
from cmb_bidsapp.lesions.cfpr import Verdict, judge
from cmb_bidsapp.lesions.instances import find_instances
from cmb_bidsapp.preprocess.resampling import Grid

THRESHOLDS = (0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.999)
COHORTS = {"1": "1 SABRE", "2": "2 Rotterdam", "3": "3 ALFA"}
#: Stands for the threshold that each scan's model is used with.
IN_USE = 0.0
SEED = 0


@dataclass(frozen=True)
class Marks:
    """What a scan's probabilities give at a threshold: marks, and CFPR's verdict on each."""

    lesions: Sequence[Mark]
    verdicts: Sequence[Verdict]

    @classmethod
    def of(cls, scan: Scan, threshold: float) -> Marks:
        """Marks as the app makes them, from the network's own classes."""
        spacing = Grid.of(scan.probability, scan.affine).spacing
        instances = find_instances(scan.probability, scan.t2star, scan.affine, threshold)
        return cls(lesions_of(instances, scan.affine), judge(instances, scan.classes, spacing))

    def kept(self, *, cfpr: bool) -> list[Mark]:
        """Marks that stay; all of them without CFPR."""
        pairs = zip(self.lesions, self.verdicts, strict=True)
        return [lesion for lesion, verdict in pairs if verdict.kept or not cfpr]


@dataclass(frozen=True)
class Score:
    """Counts of one scan at one threshold; ``threshold`` may be :data:`IN_USE`."""

    scan: str
    participant: str
    threshold: float
    cfpr: bool
    counts: Counts


def pair(labels: Sequence[Label], marks: Sequence[Mark]) -> list[Pair]:
    """One-to-one pairs of labels and marks within 5 mm."""
    points = np.array([label.center for label in labels]).reshape(-1, 3)
    return match(points, centers_of(marks))


def count(labels: Sequence[Label], marks: Sequence[Mark]) -> Counts:
    """Labels found and missed, and marks without a label."""
    hits = len(pair(labels, marks))
    return Counts(tp=hits, fp=len(marks) - hits, fn=len(labels) - hits)


def scores_of(scan: Scan) -> Iterator[Score]:
    """Counts at the threshold in use and at every other, with and without CFPR."""
    for threshold in (IN_USE, *THRESHOLDS):
        marks = Marks.of(scan, scan.threshold if threshold == IN_USE else threshold)
        for cfpr in (True, False):
            counts = count(scan.labels, marks.kept(cfpr=cfpr))
            yield Score(scan.name, scan.participant, threshold, cfpr, counts)


def cohort_of(participant: str) -> str:
    """Cohort by the first digit of the label.

    >>> cohort_of("sub-106"), cohort_of("sub-901"), cohort_of("sub-x")
    ('1 SABRE', '9', 'x')
    """
    first = participant.removeprefix("sub-")[:1]
    return COHORTS.get(first, first)


def sweep(scores: Sequence[Score]) -> Iterator[dict[str, Any]]:
    """Sums over the scans of every cohort, and of all, per threshold, with and without CFPR."""
    groups: dict[tuple[str, float, bool], list[Score]] = {}
    for score in scores:
        for cohort in (cohort_of(score.participant), "all"):
            groups.setdefault((cohort, score.threshold, score.cfpr), []).append(score)
    for (cohort, threshold, cfpr), members in sorted(groups.items()):
        total = sum((score.counts for score in members), Counts())
        parts = np.array([score.counts.f1_parts for score in members], np.float64)
        sampled = resample(parts, [score.participant for score in members], SEED)
        low, high = interval(ratios(*sampled.T))
        yield {
            "cohort": cohort,
            "threshold": "in use" if threshold == IN_USE else threshold,
            "cfpr": cfpr,
            "scans": len(members),
            "labels": total.reference,
            "found": total.tp,
            "false": total.fp,
            "false_per_scan": total.fp / len(members),
            "f1": total.f1,
            "f1_low": low,
            "f1_high": high,
        }
