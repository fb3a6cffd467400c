"""Grade of a candidate after MARS: definite, possible, below size, macrohemorrhage.

The grade is algorithmic; it stands in for a rater's impression of size, shape and darkness.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from cmb_bidsapp.core.defaults import DEFINITE_PROBABILITY, MAX_DIAMETER_MM, MIN_DIAMETER_MM
from cmb_bidsapp.lesions.candidates import Candidate
from cmb_bidsapp.lesions.lesion import Grade

#: A definite microbleed is at least this round and dark,
DEFINITE_ROUNDNESS, DEFINITE_CONTRAST = 0.5, 0.25
#: and as probable as ``DEFINITE_PROBABILITY`` says. Where the model has no calibration, there is
#: only the network's own probability, which is too high: 0.9999 of an nnU-Net trained on simulated
#: scans was 0.73 when calibrated on such.
DEFINITE_UNCALIBRATED = 0.9999


@dataclass(frozen=True)
class Grading:
    """A grade and, in words, what it rests on."""

    grade: Grade
    reason: str


def size_grading(diameter: float, min_diameter: float = MIN_DIAMETER_MM) -> Grading | None:
    """Grade by size alone: of what is too small or too large to count; ``None`` for all else.

    Parameters
    ----------
    diameter
        Largest in-plane diameter, mm.
    min_diameter
        Smallest one (mm) that counts.
    """
    # Headers hold voxel sizes such as 0.99999 mm.
    diameter = round(diameter, 3)
    size = f"diameter {diameter:.3g} mm"
    if diameter > MAX_DIAMETER_MM:
        return Grading(Grade.MACRO, f"{size}, above {MAX_DIAMETER_MM:g} mm")
    if diameter < min_diameter:
        return Grading(Grade.BELOW_SIZE, f"{size}, below {min_diameter:g} mm")
    return None


def grade(
    candidate: Candidate,
    min_diameter: float = MIN_DIAMETER_MM,
    calibrated: float = math.nan,
) -> Grading:
    """Grade one candidate.

    Parameters
    ----------
    candidate
        Its size and place.
    min_diameter
        Lesions with a smaller in-plane diameter (mm) are below the size that counts.
    calibrated
        Calibrated probability of the candidate, NaN where it has none.
    """
    not_counted = size_grading(candidate.diameter, min_diameter)
    if not_counted is not None:
        return not_counted
    probable = (
        ("calibrated probability", calibrated, DEFINITE_PROBABILITY)
        if math.isfinite(calibrated)
        else ("uncalibrated probability", candidate.probability_max, DEFINITE_UNCALIBRATED)
    )
    seen = (
        probable,
        ("roundness", candidate.roundness, DEFINITE_ROUNDNESS),
        ("contrast", candidate.contrast, DEFINITE_CONTRAST),
    )
    doubts = [
        f"{name} {value:.6g}, below {least:g}" if math.isfinite(value) else f"{name} not known"
        for name, value, least in seen
        if not value >= least
    ]
    if doubts:
        return Grading(Grade.POSSIBLE, "; ".join(doubts))
    size = f"diameter {round(candidate.diameter, 3):.3g} mm"
    return Grading(Grade.DEFINITE, "; ".join([size, *(f"{n} {v:.6g}" for n, v, _ in seen)]))
