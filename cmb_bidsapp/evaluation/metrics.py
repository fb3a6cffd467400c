"""The figures of a session and of sums of sessions: Dice, precision, recall, F1."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.core.statistics import NAN, ratio
from cmb_bidsapp.evaluation.comparison import Fate


@dataclass(frozen=True)
class Overlap:
    """Voxels of two masks and of what they share; NaN where a side has no extent."""

    reference: float = 0
    predicted: float = 0
    shared: float = 0

    @classmethod
    def of(cls, reference: npt.NDArray[np.bool_], predicted: npt.NDArray[np.bool_]) -> Overlap:
        """Count the voxels of two masks of one shape.

        Parameters
        ----------
        reference, predicted
            Of one shape.
        """
        counts = (int(np.count_nonzero(m)) for m in (reference, predicted, reference & predicted))
        return cls(*counts)

    @classmethod
    def of_places(cls, reference: npt.NDArray[np.intp], predicted: npt.NDArray[np.intp]) -> Overlap:
        """Count two sets of voxels.

        Parameters
        ----------
        reference, predicted
            Places in an image, C order, each once, shape ``(n,)``.
        """
        shared = np.intersect1d(reference, predicted, assume_unique=True)
        return cls(len(reference), len(predicted), len(shared))

    def __add__(self, other: Overlap) -> Overlap:
        return Overlap(
            self.reference + other.reference,
            self.predicted + other.predicted,
            self.shared + other.shared,
        )

    @property
    def dice(self) -> float:
        """Dice; NaN where both masks are empty."""
        return ratio(2 * self.shared, self.reference + self.predicted)


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Lesions by their fate; what is ignored is neither right nor wrong.

    Attributes
    ----------
    tp_doubt, fn_doubt
        What the weights of found and missed reference lesions lack to 1, in all.
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0
    ignored: int = 0
    tp_doubt: float = 0.0
    fn_doubt: float = 0.0

    @classmethod
    def of(cls, fates: Iterable[Fate]) -> Counts:
        """Count the fates of one or more sessions."""
        fates = list(fates)
        names = [fate.fate for fate in fates]
        found, missed = (
            sum(1 - fate.weight for fate in fates if fate.fate == name)
            for name in ("found", "missed")
        )
        return cls(
            tp=names.count("true-positive"),
            fp=names.count("false-positive"),
            fn=names.count("missed"),
            ignored=names.count("ignored"),
            tp_doubt=found,
            fn_doubt=missed,
        )

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            tp=self.tp + other.tp,
            fp=self.fp + other.fp,
            fn=self.fn + other.fn,
            ignored=self.ignored + other.ignored,
            tp_doubt=self.tp_doubt + other.tp_doubt,
            fn_doubt=self.fn_doubt + other.fn_doubt,
        )

    @property
    def reference(self) -> int:
        """Reference lesions."""
        return self.tp + self.fn

    @property
    def predicted(self) -> int:
        """Predicted lesions that count."""
        return self.tp + self.fp

    @property
    def precision(self) -> float:
        """Share of the predicted lesions that are right; NaN without any."""
        return ratio(self.tp, self.predicted)

    @property
    def recall(self) -> float:
        """Share of the reference lesions that are found; NaN without any."""
        return ratio(self.tp, self.reference)

    @property
    def f1_parts(self) -> tuple[float, float]:
        """Numerator and denominator of F1; they add up over sessions."""
        hit = 2 * (self.tp - self.tp_doubt)
        return hit, hit + self.fp + self.fn - self.fn_doubt

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN), reference lesions by weight; NaN without lesions."""
        return ratio(*self.f1_parts)

    @property
    def session_f1(self) -> float:
        """F1 of one session: NaN where the reference is empty, so that it is not averaged."""
        return self.f1 if self.reference else NAN
