"""Lesions one by one, each in the part of the image around it.

Lesions fill little of an image: what there is of them is looked up once, and the rest is not
looked at again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

#: A part of an image, along each of its axes.
Window = tuple[slice, ...]


def voxels_in(image: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Voxels that are not 0, shape ``(n, axes)``, in C order."""
    # Read as it lies in memory.
    order: Literal["C", "F"] = "F" if image.flags.f_contiguous else "C"
    # Of truth values it is found three times as fast.
    flat = np.flatnonzero(image.ravel(order).astype(np.bool_))
    voxels = np.stack(np.unravel_index(flat, image.shape, order=order), axis=1)
    return voxels if order == "C" else voxels[np.lexsort(voxels.T[::-1])]


def boxes(instances: npt.NDArray[np.integer]) -> Iterator[tuple[int, Window]]:
    """Number of each lesion, ascending, and the box that it just fits into.

    Parameters
    ----------
    instances
        0, or the number of the lesion; numbers that are missing are passed over.
    """
    voxels = voxels_in(instances)
    numbers = instances[tuple(voxels.T)]
    order = np.argsort(numbers, kind="stable")
    found, first = np.unique(numbers[order], return_index=True)
    if not len(found):
        return
    low, high = (side.reduceat(voxels[order], first) for side in (np.minimum, np.maximum))
    for number, start, last in zip(found.tolist(), low.tolist(), high.tolist(), strict=True):
        yield number, tuple(slice(a, b + 1) for a, b in zip(start, last, strict=True))


def windows(
    instances: npt.NDArray[np.integer], margin: Sequence[int]
) -> Iterator[tuple[int, Window, npt.NDArray[np.bool_]]]:
    """Number of each lesion, the box around it, and its voxels within that box.

    Parameters
    ----------
    instances
        0, or the number of the lesion; numbers that are missing are passed over.
    margin
        Voxels per axis that a box reaches beyond its lesion, where the image goes on.
    """
    for number, box in boxes(instances):
        window = tuple(
            slice(max(0, s.start - m), min(n, s.stop + m))
            for s, m, n in zip(box, margin, instances.shape, strict=True)
        )
        yield number, window, instances[window] == number
