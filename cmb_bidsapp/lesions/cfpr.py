"""CFPR: clinically derived false-positive reduction (paper, section 2.2 and figure 3).

A candidate stays when at least half of its periphery is brain. Two modes say what that is:

``paper``
    Voxels within ``radius`` mm of the candidate (Euclidean, voxel size applied) that are not its
    own; in its own slices only where slices are thicker than 2 mm. Voxels of other candidates are
    neither brain nor background and do not count.
``reference``
    The decisions of the code that the authors published: slices of any thickness take part, voxels
    of other candidates and the candidate's own interior count as not brain.

All decisions look at the original prediction, so their order does not matter, and each looks at the
surroundings of its candidate only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cmb_bidsapp.core.arrays import Mask, Spacing
from cmb_bidsapp.core.defaults import CFPR_MODE, CFPR_RADIUS_MM, CFPR_RATIO, CfprMode
from cmb_bidsapp.core.labels import CMB, PROXY
from cmb_bidsapp.lesions.lesion import Reason
from cmb_bidsapp.lesions.windows import windows

#: Slices farther apart than this are not neighbors (paper, section 2.2).
THICK_SLICE_MM = 2.0
#: Distances that differ by less are equal: 2 mm is within 2 mm whatever the rounding.
TOLERANCE_MM = 1e-4
#: Where thick slices are put, so that none is near another.
FAR_MM = 1e6


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Decision on one candidate and what it rests on.

    Attributes
    ----------
    lesion
        Value of the candidate in the instance image.
    mode
        ``paper`` or ``reference``.
    kept
        Whether it stays in the final mask.
    reason
        One of those of CFPR.
    ratio
        Share of brain among the counted voxels, or ``nan`` without any.
    lobar, deep, infratentorial, background, other_cmb
        Voxels of each kind in the periphery; ``paper`` mode leaves other candidates out of the
        ratio.
    own
        Voxels of the candidate itself in its periphery; none in ``paper`` mode.
    """

    lesion: int
    mode: CfprMode
    kept: bool
    reason: Reason
    ratio: float
    lobar: int
    deep: int
    infratentorial: int
    background: int
    other_cmb: int
    own: int


def paper_periphery(own: Mask, spacing: Spacing, radius: float = CFPR_RADIUS_MM) -> Mask:
    """Voxels around a candidate, itself left out, as the paper describes them.

    Parameters
    ----------
    own
        The candidate in a part of the image that holds its surroundings.
    spacing
        Voxel size in mm per axis; the last axis need not be the slice axis.
    radius
        How far (mm) they may be.
    """
    steps = [FAR_MM if step > THICK_SLICE_MM + TOLERANCE_MM else step for step in spacing]
    distance = ndimage.distance_transform_edt(~own, steps)
    around: Mask = (distance <= radius + TOLERANCE_MM) & ~own
    return around


def reference_periphery(
    own: Mask, first: Sequence[int], spacing: Spacing, radius: float = CFPR_RADIUS_MM
) -> Mask:
    """Voxels that the authors' code takes for those around a candidate.

    It takes a signed distance map (Maurer, from the candidate's outermost voxels, in single
    precision), the part of it from 0 to ``radius`` mm, and of that and the candidate what is in
    one but not in both. So the candidate's interior, whose distances are negative, is in; and so is
    an outermost voxel whose distance, by rounding, is not quite 0. Whether it is depends on the
    position in the image and on the voxel size; never where the latter is a number of single
    precision, as all in a NIfTI header are.

    Parameters
    ----------
    own, spacing, radius
        As for :func:`paper_periphery`; ``own`` ends one voxel beyond the candidate or later, but
        where the image itself ends.
    first
        Position of ``own`` in the image: index of its first voxel.
    """
    outermost = own & ~ndimage.binary_erosion(own, np.ones((3, 3, 3)), border_value=1)
    squared = np.where(outermost, 0, np.inf).astype(np.float32)
    for axis, (start, step) in enumerate(zip(first, spacing, strict=True)):
        index = np.arange(start, start + own.shape[axis])
        # Positions of voxels and of sites are rounded after and before the product: so does ITK.
        here, there = (index * step).astype(np.float32), index.astype(np.float32) * np.float32(step)
        squared = np.moveaxis(squared, axis, -1)
        nearest = np.full_like(squared, np.inf)
        for position, site in enumerate(there):
            np.minimum(nearest, squared[..., position, None] + (site - here) ** 2, out=nearest)
        squared = np.moveaxis(nearest, -1, axis)
    near: Mask = np.sqrt(squared) <= np.float32(radius)
    return np.where(own, squared > 0, near)


def judge(
    instances: npt.NDArray[np.integer],
    labels: npt.NDArray[np.integer],
    spacing: Spacing,
    *,
    mode: CfprMode = CFPR_MODE,
    radius: float = CFPR_RADIUS_MM,
    min_ratio: float = CFPR_RATIO,
) -> list[Verdict]:
    """Decide on every candidate.

    Parameters
    ----------
    instances
        0, or the number of the candidate (26-connected).
    labels
        Predicted classes: 1, 2, 3 are brain, 4 is CMB, the rest is background. Voxels of
        candidates count as CMB whatever they hold.
    spacing
        Voxel size in mm per axis.
    mode
        ``paper`` or ``reference``: what the periphery is.
    radius
        Periphery of a candidate, mm.
    min_ratio
        Smallest share of brain in it.
    """
    # One voxel at least: an outermost voxel is known by its neighbors.
    margin = [max(1, int((radius + TOLERANCE_MM) / step)) for step in spacing]
    verdicts = []
    for number, window, own in windows(instances, margin):
        if mode == "reference":
            around = reference_periphery(own, [s.start for s in window], spacing, radius)
        else:
            around = paper_periphery(own, spacing, radius)
        kinds = np.where(instances[window] > 0, CMB, labels[window])[around]
        verdicts.append(_verdict(number, mode, kinds, int((around & own).sum()), min_ratio))
    return verdicts


def _verdict(
    lesion: int, mode: CfprMode, kinds: npt.NDArray[np.integer], own: int, min_ratio: float
) -> Verdict:
    """Weigh the classes of a periphery, of which ``own`` voxels are the candidate's."""
    lobar, deep, infratentorial = (
        int((kinds == PROXY[name]).sum()) for name in ("lobar", "deep", "infratentorial")
    )
    brain, cmb = lobar + deep + infratentorial, int((kinds == CMB).sum())
    counted = len(kinds) - (cmb if mode == "paper" else 0)
    ratio = brain / counted if counted else float("nan")
    # A half is a half, and 55 of 100 are 0.55, whatever the rounding.
    kept = not ratio < min_ratio - 1e-9
    reason = Reason.PARENCHYMA if kept else Reason.PERIPHERY_NOT_BRAIN
    outside = len(kinds) - brain - cmb
    return Verdict(
        lesion=lesion,
        mode=mode,
        kept=kept,
        reason=reason if counted else Reason.NO_PERIPHERY,
        ratio=ratio,
        lobar=lobar,
        deep=deep,
        infratentorial=infratentorial,
        background=outside,
        other_cmb=cmb - own,
        own=own,
    )
