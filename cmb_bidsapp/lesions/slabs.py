"""Thin slices, averaged in groups for networks that look at a few thicker ones at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

#: Thinner slices are averaged to about this before our own networks see them: a microbleed is in
#: more of them than the networks look at together, and their noise hides the regions.
SLAB_MM = 1.6


def slices_in_slab(slice_mm: float, slab_mm: float = SLAB_MM) -> int:
    """How many slices are averaged.

    Parameters
    ----------
    slice_mm
        Distance of the slices (mm).
    slab_mm
        Thickness (mm) that the average is to have.

    >>> [slices_in_slab(mm) for mm in (0.5, 0.8, 1.0, 1.25, 6.5)]
    [3, 2, 2, 1, 1]
    """
    return max(1, round(slab_mm / slice_mm))


def to_slabs(
    stack: npt.NDArray[np.floating[Any]], slices: int, first: int
) -> npt.NDArray[np.floating[Any]]:
    """Means of groups of slices along the second axis.

    The first group holds ``slices - first`` slices; the outermost ones count several times where
    a group reaches beyond the image, so no slice is left out.

    Parameters
    ----------
    stack
        Shape ``(channels, slices, rows, columns)``.
    slices
        Of a group.
    first
        How many slices the first group lacks.
    """
    depth = stack.shape[1]
    after = -(depth + first) % slices
    padded = np.pad(stack, ((0, 0), (first, after), (0, 0), (0, 0)), mode="edge")
    groups = padded.reshape(len(stack), -1, slices, *stack.shape[2:])
    means: npt.NDArray[np.floating[Any]] = groups.mean(axis=2, dtype=np.float32)
    return means


def label_slabs(labels: npt.NDArray[np.uint8], slices: int, first: int) -> npt.NDArray[np.uint8]:
    """Label that most slices of a group have, of equals the largest, for training on means.

    Parameters
    ----------
    labels
        Shape ``(depth, ...)``; grouped as :func:`to_slabs` groups images.
    slices
        Of a group.
    first
        How many slices the first group lacks.
    """
    most: npt.NDArray[np.floating[Any]] | None = None
    chosen = np.zeros(0, np.uint8)
    for value in range(int(labels.max()) + 1):
        share = to_slabs((labels == value)[None].astype(np.float32), slices, first)[0]
        if most is None:
            most, chosen = share, np.zeros(share.shape, np.uint8)
        wins = share >= most
        chosen[wins], most[wins] = value, share[wins]
    return chosen


def from_slabs(
    slabs: npt.NDArray[np.floating[Any]], slices: int, first: int, depth: int
) -> npt.NDArray[np.floating[Any]]:
    """Give every slice what its group has; inverse of :func:`to_slabs` in shape.

    Parameters
    ----------
    slabs
        Shape ``(channels, groups, rows, columns)``.
    slices, first
        See :func:`to_slabs`.
    depth
        Number of slices that are wanted.
    """
    every: npt.NDArray[np.floating[Any]] = np.repeat(slabs, slices, axis=1)
    return every[:, first : first + depth]
