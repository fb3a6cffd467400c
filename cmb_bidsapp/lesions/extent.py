"""How far a dark spot reaches in the image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cmb_bidsapp.lesions.windows import Window

#: Width (mm) of the surroundings that the darkness of a spot is measured against.
RING_MM = 3.0
#: A spot reaches to where half of its depth is left, as raters outline it.
HALF = 0.5


def box_around(middle: Sequence[int], reach: float, voxel: Sequence[float]) -> Window:
    """Part of an image that holds all voxels up to a distance (mm) from one.

    Parameters
    ----------
    middle
        The voxel.
    reach
        The distance, mm.
    voxel
        Voxel size along each axis, mm.
    """
    return tuple(
        slice(max(0, m - r), m + r + 1)
        for m, r in zip(middle, (math.ceil(reach / size) for size in voxel), strict=True)
    )


def depth(
    t2star: npt.NDArray[np.floating],
    voxel: Sequence[float],
    darkest: Sequence[int],
    radius: float,
) -> tuple[Window, npt.NDArray[np.float32]]:
    """Depth of the voxels of a dark spot, relative to its darkest one.

    Parameters
    ----------
    t2star
        Brain-extracted T2*w magnitude, 0 outside the brain.
    voxel
        Voxel size, mm.
    darkest
        Darkest voxel of the spot; it is brain.
    radius
        Nothing farther (mm) from the darkest voxel belongs to the spot.

    Returns
    -------
    window
        Part of the image around the spot.
    depth
        In that part: 1 where a voxel is as dark as the darkest, down to :data:`HALF` half way to
        the surroundings; 0 where it is brighter, or not connected to the darkest.
    """
    window = box_around(darkest, radius + RING_MM, voxel)
    part = t2star[window]
    own = np.array(darkest) - [side.start for side in window]
    offsets = np.indices(part.shape).reshape(3, -1).T - own
    distance = np.linalg.norm(offsets * voxel, axis=1).reshape(part.shape)
    inside = part > 0
    ring = inside & (distance > radius) & (distance <= radius + RING_MM)
    around = float(np.median(part[ring if ring.any() else inside]))
    least = float(part[tuple(own)])
    share = (around - part) / (around - least) if around > least else np.zeros(part.shape)
    dark = inside & (distance <= radius) & (share > HALF)
    dark[tuple(own)] = True
    pieces, _ = ndimage.label(dark, np.ones((3, 3, 3)))
    own_piece = pieces == pieces[tuple(own)]
    found = np.where(own_piece, np.clip(share, HALF, 1), 0).astype(np.float32)
    found[tuple(own)] = 1
    return window, found
