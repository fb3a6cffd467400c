"""Masks of microbleeds of which only the center and the volume are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.core.arrays import Mask
from cmb_bidsapp.lesions.extent import box_around, depth

#: A point may lie this far (mm) from the darkest voxel of its microbleed.
RECENTER_MM = 1.5
#: Smallest and largest radius (mm) of a mask, and how much wider than the sphere of the volume it
#: may be: microbleeds are not quite round.
RADIUS_MM, SLACK = (1.2, 4.0), 1.15


def grow(
    t2star: npt.NDArray[np.floating],
    voxel: Sequence[float],
    point: Sequence[float],
    volume_mm3: float,
) -> Mask:
    """Voxels around a point that are darker than half way to the darkest one.

    Parameters
    ----------
    t2star
        Brain-extracted T2*w magnitude.
    voxel
        Voxel size, mm.
    point
        Center, in voxels from 0.
    volume_mm3
        Volume of the microbleed; nothing beyond the radius of such a sphere belongs to it.

    Returns
    -------
    mask
        On the grid of ``t2star``; in one piece, and at least the darkest voxel.
    """
    radius = float(np.clip(SLACK * (6 * volume_mm3 / np.pi) ** (1 / 3) / 2, *RADIUS_MM))
    size = np.array(voxel)
    mask = np.zeros(t2star.shape, np.bool_)
    # Slices may be thicker than the search is wide.
    search = max(RECENTER_MM, float(size.max()) / 2)
    middle = np.round(point).astype(int)
    window = box_around(middle.tolist(), search, voxel)
    start = [side.start for side in window]
    inside = np.argwhere(t2star[window] > 0) + start
    near = inside[np.linalg.norm((inside - point) * size, axis=1) <= search]
    if not len(near):
        mask[tuple(middle)] = True
        return mask
    darkest = near[t2star[tuple(near.T)].argmin()]
    window, share = depth(t2star, voxel, darkest.tolist(), radius)
    mask[window] = share > 0
    return mask
