"""The figures: Dice, precision, recall, F1, and how far they may be from the truth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.evaluation.comparison import Fate

NAN = float("nan")
#: Samples of the bootstrap, and the share of them that an interval holds.
SAMPLES = 2000
SHARE = 0.95
#: Samples drawn at once: bounds the memory, whatever the number of participants.
_BLOCK = 100
#: Smallest counts of the burden classes 0, 1-4, 5-9, 10 and more.
BURDEN = (1, 5, 10)


def ratio(numerator: float, denominator: float) -> float:
    """A quotient; NaN where the denominator is 0."""
    return numerator / denominator if denominator else NAN


@dataclass(frozen=True)
class Overlap:
    """Voxels of two masks and of what they share."""

    reference: int
    predicted: int
    shared: int

    @classmethod
    def of(cls, reference: npt.NDArray[np.bool_], predicted: npt.NDArray[np.bool_]) -> Overlap:
        """Count the voxels of two masks of one shape."""
        counts = (int(np.count_nonzero(m)) for m in (reference, predicted, reference & predicted))
        return cls(*counts)

    @property
    def dice(self) -> float:
        """Dice; NaN where both masks are empty."""
        return ratio(2 * self.shared, self.reference + self.predicted)


@dataclass(frozen=True)
class Counts:
    """Lesions by their fate; what is ignored is neither right nor wrong."""

    tp: int = 0
    fp: int = 0
    fn: int = 0
    ignored: int = 0

    @classmethod
    def of(cls, fates: Iterable[Fate]) -> Counts:
        """Count the fates of one or more sessions."""
        names = [fate.fate for fate in fates]
        return cls(
            *(names.count(n) for n in ("true-positive", "false-positive", "missed", "ignored"))
        )

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.tp + other.tp,
            self.fp + other.fp,
            self.fn + other.fn,
            self.ignored + other.ignored,
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
    def f1(self) -> float:
        """Harmonic mean of the two; NaN without lesions on either side."""
        return ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def session_f1(self) -> float:
        """F1 of one session: NaN where the reference is empty, so that it is not averaged."""
        return self.f1 if self.reference else NAN


def burden(count: int) -> int:
    """Class of a number of microbleeds: 0, 1-4, 5-9, 10 and more.

    >>> [burden(n) for n in (0, 1, 4, 5, 9, 10, 30)]
    [0, 1, 1, 2, 2, 3, 3]
    """
    return sum(count >= smallest for smallest in BURDEN)


def bootstrap_interval(
    numerators: npt.ArrayLike,
    denominators: npt.ArrayLike,
    participants: Sequence[str],
    seed: int,
) -> tuple[float, float]:
    """95 % interval of a ratio of sums over sessions, by resampling participants.

    All sessions of a participant are drawn together, for they resemble each other; with one
    session each, this is resampling sessions.

    Parameters
    ----------
    numerators, denominators
        What each session adds to the two sums, shape ``(sessions,)``; a mean has ones below.
    participants
        Whose session it is.
    seed
        Of the random numbers: the same seed gives the same interval.

    Returns
    -------
    low, high
        NaN with fewer than two participants, or where the sum below is 0.
    """
    people, owner = np.unique(np.asarray(participants), return_inverse=True)
    if len(people) < 2 or not np.any(denominators):
        return NAN, NAN
    top = np.bincount(owner, np.asarray(numerators, np.float64), len(people))
    bottom = np.bincount(owner, np.asarray(denominators, np.float64), len(people))
    rng = np.random.default_rng(seed)
    even = np.full(len(people), 1 / len(people))
    values = []
    for _ in range(SAMPLES // _BLOCK):
        times_drawn = rng.multinomial(len(people), even, size=_BLOCK)
        below = times_drawn @ bottom
        drawn = below > 0
        values.append((times_drawn @ top)[drawn] / below[drawn])
    sampled = np.concatenate(values)
    low, high = np.quantile(sampled, [(1 - SHARE) / 2, (1 + SHARE) / 2])
    return float(low), float(high)
