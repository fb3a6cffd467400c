"""What a change of the judges gains: microbleeds found at as many marks per scan as before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.core.arrays import Floats, Image
from cmb_bidsapp.core.statistics import interval, ratio, ratios, resample
from cmb_bidsapp.lesions.second_look import SecondLook
from cmb_bidsapp.models.calibration import CLOSEST, Knots, calibrate, log_odds
from cmb_bidsapp.train.held_back import Trial

#: Candidates of the scans held back, at least, that carry a calibration over.
LEAST_CANDIDATES = 20
#: Knots of a calibration that was carried over, besides those it had.
GRID = 15


@dataclass(frozen=True)
class EqualMarks:
    """From scores of one network to those of another at which as many candidates are marked.

    Attributes
    ----------
    before, after
        Log-odds of the same scans' candidates by either network, each in rising order. Between two
        the way is straight; beyond the ends the difference stays.
    """

    before: Floats
    after: Floats

    @classmethod
    def of(cls, before: Image, after: Image) -> EqualMarks:
        """Compare the scores of the same candidates.

        Parameters
        ----------
        before, after
            Of each candidate, shape ``(n,)``.
        """
        return cls(np.sort(log_odds(before)), np.sort(log_odds(after)))

    def __call__(self, probability: npt.ArrayLike) -> Floats:
        """Probability that means as many marks."""
        odds = log_odds(probability)
        if not len(self.before):
            return 1 / (1 + np.exp(-odds))
        # Of candidates that one network cannot tell apart the other's highest counts.
        known, last = np.unique(self.before[::-1], return_index=True)
        moved = self.after[::-1][last]
        within = np.clip(odds, known[0], known[-1])
        there = np.interp(within, known, moved) + odds - within
        return np.clip(1 / (1 + np.exp(-there)), CLOSEST, 1 - CLOSEST)

    def carried(self, knots: Knots) -> Knots:
        """A calibration for the other network's scores; none where it rests on too few.

        Candidates of the same rank are as likely microbleeds as before.
        """
        if not knots or len(self.before) < LEAST_CANDIDATES:
            return ()
        known = log_odds([knot[0] for knot in knots])
        grid = np.union1d(known, np.linspace(known[0], known[-1], GRID))
        old = 1 / (1 + np.exp(-grid))
        level = calibrate(np.maximum(old, knots[0][0]), knots)
        pairs = zip(np.round(self(old), 6).tolist(), np.round(level, 4).tolist(), strict=True)
        # Of several that round to one probability the last stands.
        return tuple(dict(pairs).items())


@dataclass(frozen=True)
class HeldBack:
    """Scans held back, with the trials that choose and those that check the choice.

    Attributes
    ----------
    scans
        Each as it is.
    choosing, checking
        The same with simulated microbleeds, others in either.
    """

    scans: Sequence[Trial]
    choosing: Sequence[Trial]
    checking: Sequence[Trial]

    @classmethod
    def of(cls, trials: Sequence[Sequence[Trial]]) -> HeldBack:
        """Take apart what :func:`~cmb_bidsapp.train.held_back.trials_of` made of each scan."""
        drawn = [own[1:] for own in trials]
        return cls(
            [own[0] for own in trials],
            [trial for own in drawn for trial in own[::2]],
            [trial for own in drawn for trial in own[1::2]],
        )


@dataclass(frozen=True, kw_only=True)
class Gain:
    """What changes where each scan gets as many marks as before.

    Attributes
    ----------
    scans, implants
        How many there are.
    marks_per_scan
        Of candidates that the scans have without any that were drawn.
    same_marks
        Share of these marks that are still made; NaN where there are none.
    before, after
        Share of the simulated microbleeds that is found.
    low, high
        95 % interval of the difference (bootstrap over the simulated microbleeds).
    threshold
        That means as many marks.
    """

    scans: int
    implants: int
    marks_per_scan: float
    same_marks: float
    before: float
    after: float
    low: float
    high: float
    threshold: float

    @property
    def better(self) -> bool:
        """Whether more is found, beyond chance."""
        return self.low > 0

    def __str__(self) -> str:
        """Return the figures for a person."""
        return (
            f"{self.after:.1%} of {self.implants} simulated microbleeds are found, before "
            f"{self.before:.1%}, at {self.marks_per_scan:.2f} marks per scan in {self.scans} "
            f"{'scan' if self.scans == 1 else 'scans'} "
            f"held back (difference {self.low:+.1%} to {self.high:+.1%})"
        )


class Judged:
    """What a second look, which must not change any more, says of scans held back."""

    def __init__(self, network: SecondLook, held_back: HeldBack) -> None:
        self.network, self.held_back = network, held_back
        self.own = [trial.scores(network) for trial in held_back.scans]
        self._choosing = [trial.scores(network) for trial in held_back.choosing]

    @cached_property
    def _checking(self) -> list[Image]:
        """Asked for of the start and of what was chosen alone, which saves time."""
        return [trial.scores(self.network) for trial in self.held_back.checking]

    def way_from(self, start: Judged) -> EqualMarks:
        """From the start's scores to one's own, at as many marks in the scans as they are."""
        return EqualMarks.of(np.concatenate(start.own), np.concatenate(self.own))

    def share(self, start: Judged, thresholds: Sequence[float]) -> float:
        """Share of the simulated microbleeds for choosing that is found, mean over thresholds.

        Parameters
        ----------
        start
            What the second look that training started from says of the same scans.
        thresholds
            Of the start; one's own mean as many marks.
        """
        moved = self.way_from(start)(thresholds)
        found = [_found(self.held_back.choosing, self._choosing, one) for one in moved.tolist()]
        return float(np.mean(found))

    def marks(self, start: Judged, thresholds: Sequence[float]) -> float:
        """Marks per scan without what was drawn, mean over the thresholds of :meth:`share`.

        As many as the start makes, but for candidates that either cannot tell apart.

        Parameters
        ----------
        start, thresholds
            See :meth:`share`.
        """
        moved, own = self.way_from(start)(thresholds), np.concatenate(self.own)
        return float((own >= moved[:, None]).sum(axis=1).mean() / len(self.own))

    def gain_over(self, start: Judged, threshold: float, seed: int) -> Gain:
        """What is gained at a threshold of the start, by the simulated microbleeds for checking.

        Parameters
        ----------
        start
            The same candidates, judged by the model that was adapted.
        threshold
            Of the start.
        seed
            Of the resampling behind the interval.
        """
        (moved,) = self.way_from(start)([threshold]).tolist()
        trials = self.held_back.checking
        before = _found(trials, start._checking, threshold)
        after = _found(trials, self._checking, moved)
        marked = np.concatenate(start.own) >= threshold
        still = marked & (np.concatenate(self.own) >= moved)
        sums = np.stack([after.astype(float) - before, np.ones(len(after))], axis=1)
        samples = resample(sums, [str(number) for number in range(len(after))], seed)
        low, high = interval(ratios(samples[:, 0], samples[:, 1]))
        return Gain(
            scans=len(self.own),
            implants=len(after),
            marks_per_scan=ratio(float(marked.sum()), len(self.own)),
            same_marks=ratio(float(still.sum()), float(marked.sum())),
            before=ratio(float(before.sum()), len(before)),
            after=ratio(float(after.sum()), len(after)),
            low=low,
            high=high,
            threshold=moved,
        )


def _found(
    trials: Sequence[Trial], scores: Sequence[Image], threshold: float
) -> npt.NDArray[np.bool_]:
    """Which of all simulated microbleeds are found."""
    each = [trial.found(own, threshold) for trial, own in zip(trials, scores, strict=True)]
    return np.concatenate(each)
