"""Dark spots of a brain: the places that may be microbleeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cmb_bidsapp.core.arrays import Image

#: Surroundings in plane that the brightness of a voxel is relative to: standard deviation, mm.
AROUND_MM = 2.5
#: A spot is the darkest voxel of so many millimeters in plane.
SPOT_MM = 2.0


def relative_brightness(t2star: Image, voxel: Sequence[float]) -> Image:
    """Brightness relative to the brain within a few millimeters in plane; 1 outside the brain.

    Parameters
    ----------
    t2star
        Magnitude, slices along the last axis, 0 outside the brain.
    voxel
        Voxel size along each axis, mm.
    """
    inside = (t2star > 0).astype(np.float32)
    blur = [AROUND_MM / voxel[0], AROUND_MM / voxel[1], 0]
    around = ndimage.gaussian_filter(t2star, blur) / np.maximum(
        ndimage.gaussian_filter(inside, blur), 0.2
    )
    ratio: Image = np.where(t2star > 0, t2star / np.maximum(around, 1e-6), 1)
    return ratio


def dark_places(relative: Image, voxel: Sequence[float], below: float) -> npt.NDArray[np.intp]:
    """Centers of small dark spots of a brain, the darkest first, relative to what is around each.

    Shape ``(n, 3)``; microbleeds and what resembles them are among these.

    Parameters
    ----------
    relative
        See :func:`relative_brightness`.
    voxel
        Voxel size, mm.
    below
        Relative brightness of the brightest spot.
    """
    size = [max(1, round(SPOT_MM / mm)) | 1 for mm in voxel[:2]]
    lowest = ndimage.minimum_filter(relative, (*size, 1)) == relative
    spots = np.argwhere(lowest & (relative < below))
    order = np.argsort(relative[tuple(spots.T)], kind="stable")
    darkest_first: npt.NDArray[np.intp] = spots[order]
    return darkest_first


def darkest(t2star: Image, pieces: npt.NDArray[np.integer], count: int) -> npt.NDArray[np.intp]:
    """Darkest voxel of every piece 1 to ``count``, shape ``(count, 3)``.

    Parameters
    ----------
    t2star
        Image in which it is looked for, shape ``(x, y, z)``.
    pieces
        Number of the piece of each voxel, 0 for none; same shape.
    count
        Highest number; every one up to it has voxels.
    """
    if not count:
        return np.zeros((0, 3), np.intp)
    # Sorts what it is given: pieces are a small part of an image.
    inside = np.flatnonzero(pieces)
    found = ndimage.minimum_position(
        t2star.flat[inside], pieces.flat[inside], np.arange(1, count + 1)
    )
    first = inside[np.array(found, np.intp).reshape(-1)]
    return np.stack(np.unravel_index(first, pieces.shape), axis=1)
