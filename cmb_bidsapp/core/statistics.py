"""How far figures may be from the truth, and how well two counts of the same scans agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.core.arrays import Floats

NAN = float("nan")

#: Samples of the bootstrap, and the share of them that an interval holds.
SAMPLES = 2000
SHARE = 0.95
#: Tables of a cohort tell numbers of fewer participants without an interval.
LEAST_PEOPLE = 10
#: Samples drawn at once: bounds the memory, whatever the number of participants.
_BLOCK = 100


def ratio(numerator: float, denominator: float) -> float:
    """A quotient; NaN where the denominator is 0.

    Parameters
    ----------
    numerator, denominator
        Of one unit.
    """
    return numerator / denominator if denominator else NAN


def wilson(part: int, whole: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927); NaN of nothing.

    Parameters
    ----------
    part, whole
        Counts, ``part`` at most ``whole``.

    >>> [round(end, 3) for end in wilson(9, 10)]
    [0.596, 0.982]
    """
    if not whole:
        return NAN, NAN
    from scipy.stats import binomtest

    found = binomtest(part, whole).proportion_ci(confidence_level=SHARE, method="wilson")
    return float(found.low), float(found.high)


def poisson(events: int) -> tuple[float, float]:
    """95 % interval of the expected number of independent events (Garwood 1936, exact).

    >>> [round(end, 3) for end in poisson(0)], [round(end, 2) for end in poisson(10)]
    ([0.0, 3.689], [4.8, 18.39])
    """
    from scipy.stats import chi2

    tail = (1 - SHARE) / 2
    low = chi2.ppf(tail, 2 * events) / 2 if events else 0.0
    return float(low), float(chi2.ppf(1 - tail, 2 * events + 2) / 2)


def rising_line(x: Floats, share: Floats, *, spread: float = math.inf) -> tuple[float, float]:
    """Logistic regression of shares on one variable, whose slope does not fall.

    Parameters
    ----------
    x, share
        Variable, and share from 0 to 1, of each point.
    spread
        Standard deviation of a normal prior of the slope, which keeps it finite where one value of
        ``x`` parts all points of share 0 from all those of share 1; none by default.

    Returns
    -------
    slope, offset
        Log-odds of the share are ``slope * x + offset``.
    """
    # It takes a second to import, which the command line does without.
    from sklearn.linear_model import LogisticRegression

    middle = float(x.mean())
    model = LogisticRegression(C=spread**2, tol=1e-8, max_iter=1000)
    # Each point is of both kinds, of one as much as its share says.
    both = np.concatenate([x, x])[:, None] - middle
    model.fit(both, np.repeat([1, 0], len(x)), np.concatenate([share, 1 - share]))
    slope, offset = float(model.coef_.item()), float(model.intercept_.item())
    if slope < 0:
        mean = float(share.mean())
        return 0.0, math.log(mean / (1 - mean))
    return slope, offset - slope * middle


def resample(sums: Floats, participants: Sequence[str], seed: int) -> Floats:
    """Sums over sessions, of participants drawn again and again.

    All sessions of a participant are drawn together, for they resemble each other; with one
    session each, this is resampling sessions.

    Parameters
    ----------
    sums
        What each session adds, shape ``(sessions, sums)``.
    participants
        Whose session it is.
    seed
        Of the random numbers: the same seed gives the same samples.

    Returns
    -------
    sampled
        Shape ``(samples, sums)``; no samples with fewer than two participants.
    """
    people, owner = np.unique(np.asarray(participants), return_inverse=True)
    if len(people) < 2:
        return np.zeros((0, sums.shape[1]))
    each = np.zeros((len(people), sums.shape[1]))
    np.add.at(each, owner, sums)
    rng = np.random.default_rng(seed)
    even = np.full(len(people), 1 / len(people))
    blocks = [
        rng.multinomial(len(people), even, size=_BLOCK) @ each for _ in range(SAMPLES // _BLOCK)
    ]
    return np.concatenate(blocks)


def interval(values: Floats) -> tuple[float, float]:
    """The range that holds 95 % of the samples; those without a value do not count."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return NAN, NAN
    low, high = np.quantile(finite, [(1 - SHARE) / 2, (1 + SHARE) / 2])
    return float(low), float(high)


def ratios(numerators: Floats, denominators: Floats) -> Floats:
    """Quotients; NaN where the denominator is 0.

    Parameters
    ----------
    numerators, denominators
        One shape; denominators are not negative.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(denominators > 0, numerators / denominators, np.nan)


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How well the predicted counts of some sessions agree with the reference's.

    Attributes
    ----------
    bias
        Mean of predicted minus reference.
    limit_low, limit_high
        Bias minus and plus 1.96 standard deviations of the difference (Bland and Altman 1986).
    icc
        Intraclass correlation, two-way random effects, absolute agreement, single measurement:
        ICC(2,1) of Shrout and Fleiss 1979, ICC(A,1) of McGraw and Wong 1996.
    icc_low, icc_high
        Its bootstrap interval.
    """

    bias: float
    limit_low: float
    limit_high: float
    icc: float
    icc_low: float
    icc_high: float

    @classmethod
    def of(
        cls, reference: npt.ArrayLike, predicted: npt.ArrayLike, people: Sequence[str], seed: int
    ) -> Agreement:
        """Compare two counts of each session; NaN with fewer than two sessions.

        Parameters
        ----------
        reference, predicted
            Counts, shape ``(sessions,)``.
        people
            Whose session each is: those of one person are drawn together.
        seed
            Of the bootstrap.
        """
        own, found = np.asarray(reference, np.float64), np.asarray(predicted, np.float64)
        if len(own) < 2:
            bias = float(found[0] - own[0]) if len(own) else NAN
            return cls(bias=bias, limit_low=NAN, limit_high=NAN, icc=NAN, icc_low=NAN, icc_high=NAN)
        difference = found - own
        bias, spread = float(difference.mean()), 1.96 * float(difference.std(ddof=1))
        sums = _icc_sums(own, found)
        low, high = interval(_icc(resample(sums, people, seed)))
        icc = float(_icc(sums.sum(axis=0)[None])[0])
        return cls(
            bias=bias,
            limit_low=bias - spread,
            limit_high=bias + spread,
            icc=icc,
            icc_low=low,
            icc_high=high,
        )


def _icc_sums(own: Floats, found: Floats) -> Floats:
    """What each session adds: one; sum and difference of its counts, and their squares."""
    both, difference = own + found, found - own
    return np.stack([np.ones_like(own), both, both**2, difference, difference**2], axis=1)


def _icc(sums: Floats) -> Floats:
    """ICC(2,1) of two counts from their sums over sessions, shape ``(samples, 5)``."""
    n, both, both_squared, difference, difference_squared = sums.T
    with np.errstate(invalid="ignore", divide="ignore"):
        sessions = (both_squared - both**2 / n) / (2 * (n - 1))
        error = (difference_squared - difference**2 / n) / (2 * (n - 1))
        sides = difference**2 / n / 2
        below = sessions + error + 2 / n * (sides - error)
        return np.where(below > 1e-12, (sessions - error) / below, np.nan)
