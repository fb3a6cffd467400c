"""CFPR: clinically derived false-positive reduction (paper, section 2.2 and figure 3).

A candidate stays when at least half of the voxels around it are brain. What is around it, exactly:
voxels within ``radius`` mm of the candidate (Euclidean, voxel size applied) that are not its own;
in its own slices only where slices are thicker than 2 mm; voxels of other candidates are neither
brain nor background and do not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cmb_bidsapp.labels import CMB, PROXY
from cmb_bidsapp.lesions.defaults import CFPR_RADIUS_MM, CFPR_RATIO

#: Slices farther apart than this are not neighbours (paper, section 2.2).
THICK_SLICE_MM = 2.0
#: Distances that differ by less are equal: 2 mm is within 2 mm whatever the rounding.
TOLERANCE_MM = 1e-4


@dataclass(frozen=True)
class Verdict:
    """Decision on one candidate and what it rests on.

    Attributes
    ----------
    lesion
        Value of the candidate in the instance image.
    kept
        Whether it stays in the final mask.
    reason
        ``parenchyma``, ``no-periphery`` (kept) or ``periphery-not-brain`` (rejected).
    ratio
        Share of brain among the counted voxels, or ``nan`` without any.
    lobar, deep, infratentorial, background, other_cmb
        Voxels of each kind in the shell.
    """

    lesion: int
    kept: bool
    reason: str
    ratio: float
    lobar: int
    deep: int
    infratentorial: int
    background: int
    other_cmb: int


def shell_offsets(
    spacing: tuple[float, float, float], radius: float = CFPR_RADIUS_MM
) -> npt.NDArray[np.intp]:
    """Voxel offsets within ``radius`` mm of a voxel, itself left out; shape ``(n, 3)``.

    >>> len(shell_offsets((0.4286, 0.4286, 6.5))), len(shell_offsets((1, 1, 1)))
    (68, 32)
    """
    reach = [
        0 if step > THICK_SLICE_MM + TOLERANCE_MM else int((radius + TOLERANCE_MM) / step)
        for step in spacing
    ]
    offsets = np.array(list(product(*(range(-r, r + 1) for r in reach))), np.intp)
    distance = np.linalg.norm(offsets * np.array(spacing), axis=1)
    inside = (distance > 0) & (distance <= radius + TOLERANCE_MM)
    chosen: npt.NDArray[np.intp] = offsets[inside]
    return chosen


def shell_of(
    voxels: npt.NDArray[np.intp], shape: tuple[int, ...], offsets: npt.NDArray[np.intp]
) -> npt.NDArray[np.intp]:
    """Flat indices of the voxels around a set of voxels, the set left out."""
    around = (voxels[:, None, :] + offsets[None, :, :]).reshape(-1, 3)
    inside = ((around >= 0) & (around < np.array(shape))).all(axis=1)
    flat = np.unique(np.ravel_multi_index(tuple(around[inside].T), shape))
    own = np.ravel_multi_index(tuple(voxels.T), shape)
    return np.setdiff1d(flat, own, assume_unique=True)


def judge(
    instances: npt.NDArray[np.integer],
    labels: npt.NDArray[np.integer],
    spacing: tuple[float, float, float],
    *,
    radius: float = CFPR_RADIUS_MM,
    min_ratio: float = CFPR_RATIO,
) -> list[Verdict]:
    """Decide on every candidate, in ``paper`` mode.

    All decisions look at the original prediction, so their order does not matter.

    Parameters
    ----------
    instances
        0, or the number of the candidate (26-connected).
    labels
        Predicted classes: 1, 2, 3 are brain, 4 is CMB, the rest is background. Voxels of
        candidates count as CMB whatever they hold.
    spacing
        Voxel size in mm per axis; the last axis need not be the slice axis.
    """
    offsets = shell_offsets(spacing, radius)
    flat_labels = np.where(instances > 0, CMB, labels).ravel()
    verdicts = []
    for number, box in enumerate(ndimage.find_objects(instances.astype(np.int32)), 1):
        if box is None:
            continue
        start = np.array([s.start for s in box])
        voxels = np.argwhere(instances[box] == number) + start
        around = flat_labels[shell_of(voxels, instances.shape, offsets)]
        counts = {name: int((around == value).sum()) for name, value in PROXY.items()}
        other = int((around == CMB).sum())
        brain = counts["lobar"] + counts["deep"] + counts["infratentorial"]
        outside = len(around) - brain - other
        counted = brain + outside
        ratio = brain / counted if counted else float("nan")
        # A half is a half, and 55 of 100 are 0.55, whatever the rounding.
        kept = counted == 0 or brain >= min_ratio * counted - 1e-9 * counted
        reason = "no-periphery" if counted == 0 else "parenchyma"
        verdicts.append(
            Verdict(
                number,
                kept,
                reason if kept else "periphery-not-brain",
                ratio,
                counts["lobar"],
                counts["deep"],
                counts["infratentorial"],
                outside,
                other,
            )
        )
    return verdicts
