"""How many of several uncertain lesions are real: the Poisson-binomial distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def distribution(probabilities: Sequence[float]) -> npt.NDArray[np.floating[Any]]:
    """Probability of each count of independent events, exact, by convolution.

    Parameters
    ----------
    probabilities
        Probability of each event, 0 to 1; NaN where it is not known.

    Returns
    -------
    chances
        Shape (n + 1,): of 0, 1, ... n events; all NaN where one probability is not known.

    Raises
    ------
    ValueError
        A probability is below 0 or above 1.
    """
    chances: npt.NDArray[np.floating[Any]] = np.ones(1)
    for p in probabilities:
        if p < 0 or p > 1:
            raise ValueError(f"{p} is no probability")
        chances = np.convolve(chances, (1 - p, p))
    return chances


#: An answer is sure from this probability on, and its contrary below the rest.
SURE = 0.9


def unsure(chance: float) -> bool:
    """Whether a probability is neither of a sure yes nor of a sure no; unknown ones are not."""
    return 1 - SURE < chance < SURE


def turning(probabilities: Sequence[float], count: int) -> list[int]:
    """Which events decide whether there are ``count`` or more.

    The fewest of the least certain ones such that, once it is known which of them happened,
    whichever they are, the answer is sure (:data:`SURE`).

    Parameters
    ----------
    probabilities
        Of each event; all must be known.
    count
        Number of events in question, such as the 5 microbleeds of a cut-off.

    Returns
    -------
    places
        In the order of the events; empty where the answer is sure already.
    """
    order = sorted(range(len(probabilities)), key=lambda i: -min(p := probabilities[i], 1 - p))
    for number in range(len(order) + 1):
        chances = distribution([probabilities[place] for place in order[number:]])
        tails = [float(chances[max(count - happened, 0) :].sum()) for happened in range(number + 1)]
        if not any(map(unsure, tails)):
            return sorted(order[:number])
    raise AssertionError("what is known is sure")


def at_least(probabilities: Sequence[float], count: int) -> float:
    """Probability of ``count`` events or more; NaN where one probability is not known.

    Without any event it is 0, or 1 for a count of 0.

    Parameters
    ----------
    probabilities
        Of independent events, 0 to 1.
    count
        Of events.
    """
    chances = distribution(probabilities)
    if np.isnan(chances).any():
        return float("nan")
    return min(1.0, float(chances[max(count, 0) :].sum()))
