"""Cut-offs of which nobody can be sure, and the candidates that it turns on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cmb_bidsapp.clinical.counts import turning, unsure
from cmb_bidsapp.clinical.summary import ClinicalSummary, least_counts, probability
from cmb_bidsapp.lesions.lesion import Lesion


@dataclass(frozen=True)
class Doubt:
    """A cut-off of which nobody can be sure.

    Attributes
    ----------
    least
        The smallest count that crosses it.
    chance
        Probability that the true count does.
    candidates
        Numbers of those that a reader should look at first: with them decided it is sure.
    """

    least: int
    chance: float
    candidates: tuple[int, ...]


def doubts_of(lesions: Sequence[Lesion], summary: ClinicalSummary) -> list[Doubt]:
    """The cut-offs of the count that are in doubt, the lowest first.

    None where a microbleed has no calibrated probability.

    Parameters
    ----------
    lesions
        Of the session; those that count are looked at.
    summary
        Of the same lesions.
    """
    counted = [lesion for lesion in lesions if lesion.counted]
    chances = [probability(lesion) for lesion in counted]
    if any(map(math.isnan, chances)):
        return []
    least = least_counts(summary.baseline_limit)
    crossed = {name: chance for name, _, chance in summary.crossed()}
    by_count = {number: crossed[name] for name, number in least.items()}
    return [
        Doubt(number, chance, tuple(counted[place].number for place in turning(chances, number)))
        for number, chance in sorted(by_count.items())
        if unsure(chance)
    ]
