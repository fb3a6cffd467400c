"""Quality measures of masks, registration and regions, with their limits.

The limits are wide: they should catch failures, not unusual people. Volumes are those that
FreeSurfer reports for adults of 20 to 95 years, widened by a quarter for atrophy and for other
methods; those of structures grow and shrink with the intracranial volume, as large heads have
large structures.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.anatomy.parcellation import Parcellation
from cmb_bidsapp.core.arrays import Affine, Volume
from cmb_bidsapp.core.contrast import Contrast
from cmb_bidsapp.core.labels import ids, where
from cmb_bidsapp.preprocess.registration import GOOD_DICE
from cmb_bidsapp.preprocess.resampling import Grid

#: Least and most volume (ml) of brain with CSF, and of structures, both sides together.
#: The skulls of men hold 1469 ml, with a standard deviation of 102 (Matsumae et al. 1996, J
#: Neurosurg 84:982): five of these more are 1979 ml, and 100 ml are for masks that are too wide.
BRAIN_ML = (900.0, 2100.0)
#: Brains outside these are none, or are not shown.
POSSIBLE_BRAIN_ML = (400.0, 2400.0)
#: As many times the most that adults have, a structure has no volume a person can have.
IMPOSSIBLE_TIMES = 5.0
#: Least certainty of the brain in a good image, by contrast; see ``anatomy.recognition``.
SURE_OF_BRAIN = MappingProxyType({Contrast.T2STARW: 0.96, Contrast.T1W: 0.96})
#: Limits of structures are for this volume inside the skull (brain with CSF, ml).
USUAL_HEAD_ML = 1500.0
STRUCTURE_ML = MappingProxyType(
    {
        "thalamus": (8.0, 27.0),
        "caudate": (3.5, 13.0),
        "putamen": (5.0, 20.0),
        "pallidum": (1.5, 6.0),
        "hippocampus": (3.5, 12.0),
        "brainstem": (12.0, 38.0),
        "cerebellum": (75.0, 220.0),
        "cerebrum": (600.0, 1600.0),
        "ventricles": (3.0, 200.0),
    }
)
#: Label sets that are no single structure of the table.
_PARTS = MappingProxyType(
    {
        "cerebellum": ("cerebellar-wm", "cerebellar-cortex"),
        "cerebrum": ("cerebral-wm", "cerebral-cortex"),
        "ventricles": ("lateral-ventricle",),
    }
)
#: Largest difference of the sides, as a share of their mean.
ASYMMETRY = MappingProxyType(
    {"cerebrum": 0.10, "cerebellum": 0.25, "thalamus": 0.25, "putamen": 0.30, "hippocampus": 0.35}
)
#: Least share of the T1w's brain that the T2*w shows.
COVERAGE = 0.90
#: Least mutual information (nats) of two registered images inside the brain.
MUTUAL_INFORMATION = 0.10
#: Largest correlation of a T1w with its T2*w inside the brain: -0.5 to -0.3 in four real sessions,
#: -0.8 to 0.3 in fifteen simulated ones. Echoes of one gradient echo have 0.5 to 0.8 in two small
#: crops (7 T), so a T2*w of quite another echo time may pass.
CORRELATION = 0.5
#: Most that the ventricles of a T1w have of the brightness of white matter: the real T1w of three
#: persons have 0.26 to 0.46, their gradient echoes in the place of it 0.61 to 0.76.
FLUID = 0.55
#: Largest share of the brain that may lie beyond the image.
BEYOND = 0.10

COLUMNS: Mapping[str, dict[str, Any]] = MappingProxyType(
    {
        "measure": {"Description": "Name of the measure"},
        "value": {"Description": "Value of the measure"},
        "units": {"Description": "Units of value, low and high"},
        "low": {"Description": "Lowest plausible value; n/a without a lower limit"},
        "high": {"Description": "Highest plausible value; n/a without an upper limit"},
        "flag": {
            "Description": "Whether the value is within its limits",
            "Levels": {"ok": "within the limits", "low": "below low", "high": "above high"},
        },
    }
)


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One number with its limits."""

    measure: str
    value: float
    units: str
    low: float | None = None
    high: float | None = None
    consequence: str = ""
    """What it means where the value is out of its limits."""

    @property
    def flag(self) -> str:
        """``ok``, ``low`` or ``high``."""
        if self.low is not None and not self.value >= self.low:
            return "low"
        return "high" if self.high is not None and not self.value <= self.high else "ok"

    def row(self) -> dict[str, Any]:
        """As the table has it."""
        return {name: getattr(self, name) for name in COLUMNS}


def brain_measures(
    contrast: Contrast,
    mask: npt.NDArray[np.bool_],
    spacing: tuple[float, float, float],
    certainty: float,
) -> list[Measure]:
    """Volume of a brain mask, how sure it is, and how much of the brain lies beyond the image.

    Parameters
    ----------
    contrast
        ``T1w`` or ``T2starw``, for the names.
    mask, spacing
        Brain with CSF on the grid of the image, and its voxel size (mm).
    certainty
        Of the anatomy network, that it is brain.
    """
    volume = float(mask.sum()) * math.prod(spacing) / 1000
    return [
        Measure(
            measure=f"{contrast} brain volume",
            value=volume,
            units="ml",
            low=BRAIN_ML[0],
            high=BRAIN_ML[1],
        ),
        Measure(
            measure=f"{contrast} brain beyond the field of view",
            value=share_beyond(mask),
            units="share",
            low=None,
            high=BEYOND,
            consequence="microbleeds there cannot be found",
        ),
        Measure(
            measure=f"{contrast} certainty of the brain",
            value=certainty,
            units="probability",
            low=SURE_OF_BRAIN[contrast],
            consequence="the image may be incomplete, damaged or of the wrong kind",
        ),
    ]


def share_beyond(mask: npt.NDArray[np.bool_]) -> float:
    """Estimate the share of a brain that the faces of its image cut off, as if it were a ball.

    A section tells more than what lies behind it: a face through the middle of the cerebellum
    shows 40 % of the widest cross-section and cuts off 3 % of the brain.

    Parameters
    ----------
    mask
        Brain with CSF on the grid of the image.
    """
    beyond = 0.0
    for axis in range(3):
        areas = mask.sum(axis=tuple(a for a in range(3) if a != axis))
        for area in (areas[0], areas[-1]):
            # Height of the cap by the ball's radius, then its volume by the ball's.
            height = 1 - math.sqrt(1 - float(area) / max(int(areas.max()), 1))
            beyond += height**2 * (3 - height) / 4
    return min(beyond, 1.0)


def registration_measures(
    mask_dice: float, mutual_information: float, coverage: float
) -> list[Measure]:
    """How well T1w and T2*w lie on each other.

    Parameters
    ----------
    mask_dice, mutual_information
        As the registration found them.
    coverage
        See :func:`share_shown`.
    """
    return [
        Measure(
            measure="overlap of the brain masks",
            value=mask_dice,
            units="Dice",
            low=GOOD_DICE,
            consequence="the registration is poor, so the regions of lesions may be wrong",
        ),
        Measure(
            measure="mutual information of T1w and T2*w",
            value=mutual_information,
            units="nats",
            low=MUTUAL_INFORMATION,
        ),
        Measure(
            measure="brain of the T1w within the T2*w", value=coverage, units="share", low=COVERAGE
        ),
    ]


def contrast_measures(correlation: float, brightness: float, name: str) -> list[Measure]:
    """Whether a T1w has the contrast of one, and another than the T2*w.

    Parameters
    ----------
    correlation
        Of the two, registered, inside the brain.
    brightness
        Of the ventricles in the T1w, by that of its white matter.
    name
        The T1w, for words.

    Returns
    -------
    measures
        Without those whose value is NaN.
    """
    meaning = f"{name} may be a T2*w image; check it, then convert it again or leave it out"
    both = (
        ("correlation of T1w and T2*w", correlation, CORRELATION),
        ("ventricles by white matter in the T1w", brightness, FLUID),
    )
    return [
        Measure(measure=what, value=value, units="", high=most, consequence=meaning)
        for what, value, most in both
        if math.isfinite(value)
    ]


def share_shown(brain: Volume[np.bool_], image: Grid, *, pull: Affine) -> float:
    """Share of a brain (of the T1w) that lies within another image (the T2*w).

    Parameters
    ----------
    brain
        Its mask.
    image
        Voxels of the other image.
    pull
        World of the other image to world of the mask.
    """
    to_voxel = np.linalg.inv(pull @ image.affine) @ brain.affine
    # A few thousand voxels tell the share as well as millions do.
    voxels = np.argwhere(brain.data)
    voxels = voxels[:: max(1, len(voxels) // 20_000)]
    there = voxels @ to_voxel[:3, :3].T + to_voxel[:3, 3]
    inside = (there >= -0.5) & (there <= np.array(image.shape) - 0.5)
    return float(inside.all(axis=1).mean()) if len(voxels) else 0.0


def region_measures(parcellation: Parcellation, head_ml: float) -> list[Measure]:
    """Volumes of structures against those of adults, and differences of the sides they have.

    Parameters
    ----------
    parcellation
        In FreeSurfer ids.
    head_ml
        Volume of brain with CSF; the limits of volumes are relative to it.
    """
    # A mask that is wrong, which its own limits tell, must not take the others along.
    size = min(max(head_ml, BRAIN_ML[0]), BRAIN_ML[1]) / USUAL_HEAD_ML
    milliliters = math.prod(parcellation.grid.spacing) / 1000

    def volume(name: str, side: str | None = None) -> float:
        wanted = [i for part in _PARTS.get(name, (name,)) for i in ids(structure=part, side=side)]
        return float(where(parcellation.dseg, wanted).sum()) * milliliters

    found = [
        Measure(
            measure=f"{name} volume",
            value=volume(name),
            units="ml",
            low=size * low,
            high=size * high,
        )
        for name, (low, high) in STRUCTURE_ML.items()
    ]
    for name, most in ASYMMETRY.items():
        left, right = volume(name, "L"), volume(name, "R")
        # Where there is nothing the volume says so.
        if left + right:
            difference = 2 * abs(left - right) / (left + right)
            found.append(
                Measure(
                    measure=f"{name} asymmetry",
                    value=difference,
                    units="share",
                    low=None,
                    high=most,
                )
            )
    return found


def impossible(measures: Iterable[Measure]) -> tuple[str, ...]:
    """What no person has, in words: a structure of many times its largest volume."""
    return tuple(
        f"{m.measure} is {readable(m.value)} {m.units} (expected at most {readable(m.high)})"
        for m in measures
        if m.units == "ml" and m.high is not None and m.value > IMPOSSIBLE_TIMES * m.high
    )


def readable(value: float) -> str:
    """Three digits of a number, or all of it before the point.

    >>> readable(2262.07), readable(24.67), readable(0.0118721)
    ('2262', '24.7', '0.0119')
    """
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def warnings(measures: Iterable[Measure]) -> tuple[str, ...]:
    """What is out of its limits, in one line; nothing where all is within."""
    found = []
    for m in measures:
        if m.flag == "ok":
            continue
        limit = f"at least {_limit(m.low)}" if m.flag == "low" else f"at most {_limit(m.high)}"
        meaning = f": {m.consequence}" if m.consequence else ""
        found.append(f"{m.measure} is {readable(m.value)} {m.units} (expected {limit}){meaning}")
    return (f"check the anatomy: {'; '.join(found)}",) if found else ()


def _limit(value: float | None) -> str:
    return "n/a" if value is None else readable(value)
