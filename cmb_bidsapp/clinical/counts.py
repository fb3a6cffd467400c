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


def at_least(probabilities: Sequence[float], count: int) -> float:
    """Probability of ``count`` events or more; NaN where one probability is not known.

    Without any event it is 0, or 1 for a count of 0.
    """
    chances = distribution(probabilities)
    if np.isnan(chances).any():
        return float("nan")
    return min(1.0, float(chances[max(count, 0) :].sum()))
