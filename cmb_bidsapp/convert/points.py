"""Masks of microbleeds of which only the centre and the volume are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Mask = npt.NDArray[np.bool_]

#: A point may lie this far (mm) from the darkest voxel of its microbleed.
RECENTRE_MM = 1.5
#: Smallest and largest radius (mm) of a mask, and how much wider than the sphere of the volume it
#: may be: microbleeds are not quite round.
RADIUS_MM, SLACK = (1.2, 4.0), 1.15
#: Width (mm) of the surroundings that the darkness is measured against.
RING_MM = 3.0


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
        Centre, in voxels from 0.
    volume_mm3
        Volume of the microbleed; nothing beyond the radius of such a sphere belongs to it.

    Returns
    -------
    mask
        On the grid of ``t2star``; in one piece, and at least the darkest voxel.
    """
    radius = float(np.clip(SLACK * (6 * volume_mm3 / np.pi) ** (1 / 3) / 2, *RADIUS_MM))
    size = np.array(voxel)
    reach = np.ceil((radius + RING_MM + RECENTRE_MM) / size).astype(int)
    middle = np.round(point).astype(int)
    window = tuple(slice(max(0, m - r), m + r + 1) for m, r in zip(middle, reach, strict=True))
    part = t2star[window]
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in part.shape), indexing="ij"), -1)
    grid = grid + np.array([w.start for w in window])
    mask = np.zeros(t2star.shape, np.bool_)
    inside = part > 0
    from_point = np.linalg.norm((grid - point) * size, axis=-1)
    # Slices may be thicker than the search is wide: the nearest voxel is always looked at.
    close = inside & (from_point <= max(RECENTRE_MM, float(from_point[inside].min(initial=0))))
    if not close.any():
        mask[tuple(middle)] = True
        return mask
    darkest = np.unravel_index(int(np.where(close, part, np.inf).argmin()), part.shape)
    distance = np.linalg.norm((grid - grid[darkest]) * size, axis=-1)
    ring = inside & (distance > radius) & (distance <= radius + RING_MM)
    around = float(np.median(part[ring])) if ring.any() else float(np.median(part[inside]))
    dark = inside & (distance <= radius) & (part < (around + part[darkest]) / 2)
    dark[darkest] = True
    pieces, _ = ndimage.label(dark, np.ones((3, 3, 3)))
    mask[window] = pieces == pieces[darkest]
    return mask
