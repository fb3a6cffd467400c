"""Calibrated probability: what share of candidates like this one are microbleeds.

A network trained on few and small lesions is sure of nearly all it marks: its highest probability
orders candidates, but is no probability of being right. A calibration is a rising line from one to
the other, straight between knots on the scale of log-odds, fitted to candidates whose truth is
known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.core.defaults import DEFINITE_PROBABILITY
from cmb_bidsapp.core.statistics import rising_line

#: Pairs of the network's highest probability and the calibrated one; the former rises, the latter
#: does not fall.
Knots = tuple[tuple[float, float], ...]
#: Values of one candidate each.
Values = npt.NDArray[np.float64]
Truth = npt.NDArray[np.bool_]
#: Fits knots to candidates that reach a threshold.
Method = Callable[[Values, Truth, float], Knots]

#: Tables hold six digits: closer to 0 or 1, probabilities cannot be told apart.
CLOSEST = 1e-6
#: Parts that participants are divided into for the cross-validation.
FOLDS = 10
#: Candidates in a bin of the reliability curve, at least, and bins at most.
BIN, BINS = 15, 10


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A fitted calibration, with what it was fitted to and how well it does on others.

    Attributes
    ----------
    knots
        See :data:`Knots`; the first is at the lowest probability that it holds for.
    method
        ``constant``, ``logistic`` or ``isotonic``: the one of the lowest held-out log-loss.
    candidates, microbleeds, participants
        How many it was fitted to.
    log_loss, brier
        Of the network's highest probability (``network``) and, held out, of each method; the less
        the better.
    reliability
        Bins of the chosen method, held out: mean probability, observed share, candidates.
    definite
        ``candidates`` whose held-out probability makes them definite, and ``microbleeds`` of them.
    """

    knots: Knots
    method: str
    candidates: int
    microbleeds: int
    participants: int
    log_loss: Mapping[str, float]
    brier: Mapping[str, float]
    reliability: tuple[Mapping[str, float], ...]
    definite: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for the card of a model."""
        return asdict(self)


def log_odds(probability: npt.ArrayLike) -> Values:
    """Logarithm of the odds, finite at 0 and 1."""
    p = np.clip(np.asarray(probability, np.float64), CLOSEST, 1 - CLOSEST)
    odds: Values = np.log(p / (1 - p))
    return odds


def _probability(odds: Values) -> Values:
    """Inverse of :func:`log_odds`."""
    probability: Values = 1 / (1 + np.exp(-odds))
    return probability


def calibrate(probability: npt.ArrayLike, knots: Knots) -> Values:
    """Calibrated probability of candidates.

    Parameters
    ----------
    probability
        Highest probability of the network in each candidate.
    knots
        Of the model; between them log-odds are linear, beyond the last one constant.

    Returns
    -------
    calibrated
        NaN without knots, and below the first knot: nothing is known of such candidates.
    """
    p = np.asarray(probability, np.float64)
    if not knots:
        return np.full(p.shape, np.nan)
    known, level = np.array(knots).T
    odds = np.interp(log_odds(p), log_odds(known), log_odds(level))
    # The network's probabilities are of single precision.
    return np.where(p < known[0] - CLOSEST, np.nan, _probability(odds))


def fit(
    probability: Values, true: Truth, participant: npt.NDArray[np.str_], least: float
) -> Calibration:
    """Fit a calibration, of the method that does best on participants left out.

    Parameters
    ----------
    probability
        Highest probability of the network in each candidate, ``least`` or more.
    true
        Whether each is a microbleed; there must be some of both kinds.
    participant
        Whose candidate each is: those of one participant are left out together.
    least
        From where on the calibration holds.
    """
    labels, belongs = np.unique(participant, return_inverse=True)
    held_out = {
        name: _held_out(method, probability, true, belongs % FOLDS, least)
        for name, method in METHODS.items()
    }
    scored = {"network": probability, **held_out}
    log_loss = {name: _log_loss(p, true) for name, p in scored.items()}
    chosen = min(METHODS, key=lambda name: log_loss[name])
    definite = held_out[chosen] >= DEFINITE_PROBABILITY
    return Calibration(
        knots=METHODS[chosen](probability, true, least),
        method=chosen,
        candidates=len(true),
        microbleeds=int(true.sum()),
        participants=len(labels),
        log_loss=log_loss,
        brier={name: round(float(((p - true) ** 2).mean()), 4) for name, p in scored.items()},
        reliability=_reliability(held_out[chosen], true),
        definite={"candidates": int(definite.sum()), "microbleeds": int((definite & true).sum())},
    )


def _constant(_: Values, true: Truth, least: float) -> Knots:
    """The share of microbleeds (rule of succession), whatever the network says."""
    return ((least, round((float(true.sum()) + 1) / (len(true) + 2), 4)),)


def _targets(true: Truth) -> tuple[float, float]:
    """What a candidate that is none, and one that is, shall be called (Platt 1999)."""
    yes, no = float(true.sum()), float((~true).sum())
    return 1 / (no + 2), (yes + 1) / (yes + 2)


def _logistic(probability: Values, true: Truth, least: float) -> Knots:
    """A straight line that does not fall, on the scale of log-odds (Platt 1999, his targets)."""
    low, high = _targets(true)
    slope, offset = rising_line(log_odds(probability), np.where(true, high, low))
    ends = np.array([least, 1 - CLOSEST])
    level = _probability(slope * log_odds(ends) + offset)
    return tuple((float(p), round(float(q), 4)) for p, q in zip(ends, level, strict=True))


def _isotonic(probability: Values, true: Truth, least: float) -> Knots:
    """Steps that do not fall, between the targets that the straight line has (Platt 1999)."""
    # It takes a second to import, which whoever reads calibrations does without.
    from sklearn.isotonic import IsotonicRegression

    # Few microbleeds, be they the surest of all, say little of the next.
    low, high = _targets(true)
    steps = IsotonicRegression(y_min=low, y_max=high).fit(probability, true)
    knots = [
        (float(p), round(float(q), 4))
        for p, q in zip(steps.X_thresholds_, steps.y_thresholds_, strict=True)
    ]
    return ((least, knots[0][1]), *knots) if least < knots[0][0] else tuple(knots)


#: Simplest first: of equals the first is chosen.
METHODS: Mapping[str, Method] = {
    "constant": _constant,
    "logistic": _logistic,
    "isotonic": _isotonic,
}


def _held_out(
    method: Method,
    probability: Values,
    true: Truth,
    fold: npt.NDArray[np.intp],
    least: float,
) -> Values:
    """Calibrated probability of every candidate by a fit to the other folds."""
    found = np.empty(len(true))
    for one in np.unique(fold):
        out = fold == one
        found[out] = calibrate(probability[out], method(probability[~out], true[~out], least))
    return found


def _log_loss(probability: Values, true: Truth) -> float:
    odds = log_odds(probability)
    return round(float(np.logaddexp(0, np.where(true, -odds, odds)).mean()), 4)


def _reliability(probability: Values, true: Truth) -> tuple[Mapping[str, float], ...]:
    order = np.argsort(probability, kind="stable")
    bins = np.array_split(order, min(BINS, max(1, len(order) // BIN)))
    return tuple(
        {
            "probability": round(float(probability[one].mean()), 4),
            "observed": round(float(true[one].mean()), 4),
            "candidates": len(one),
        }
        for one in bins
    )
