"""Grade of a candidate after MARS: definite, possible, below size, macrohaemorrhage.

The grade is algorithmic; it stands in for a rater's impression of size, shape and darkness.
"""

from __future__ import annotations

from dataclasses import dataclass

from cmb_bidsapp.lesions.candidates import Candidate
from cmb_bidsapp.lesions.defaults import MAX_DIAMETER_MM, MIN_DIAMETER_MM

#: A definite microbleed is at least this probable, round and dark.
DEFINITE_PROBABILITY, DEFINITE_ROUNDNESS, DEFINITE_CONTRAST = 0.9999, 0.5, 0.25

GRADES = ("definite", "possible", "below-size", "macro")
#: Grades that MARS counts.
COUNTED = ("definite", "possible")


@dataclass(frozen=True)
class Grade:
    """A grade and, in words, what it rests on."""

    name: str
    reason: str


def grade(candidate: Candidate, min_diameter: float = MIN_DIAMETER_MM) -> Grade:
    """Grade one candidate.

    Parameters
    ----------
    min_diameter
        Lesions with a smaller in-plane diameter (mm) are ``below-size``.
    """
    if candidate.diameter > MAX_DIAMETER_MM:
        return Grade("macro", f"diameter above {MAX_DIAMETER_MM:g} mm")
    if candidate.diameter < min_diameter:
        return Grade("below-size", f"diameter below {min_diameter:g} mm")
    doubts = [
        text
        for doubtful, text in (
            (candidate.probability_max < DEFINITE_PROBABILITY, "low probability"),
            (candidate.roundness < DEFINITE_ROUNDNESS, "not round"),
            (not candidate.contrast >= DEFINITE_CONTRAST, "low contrast"),
        )
        if doubtful
    ]
    if doubts:
        return Grade("possible", ", ".join(doubts))
    return Grade("definite", "size, shape, contrast and probability")
