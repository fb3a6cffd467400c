"""Lesions one by one, each in the part of the image around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Window = tuple[slice, ...]


def windows(
    instances: npt.NDArray[np.integer], margin: Sequence[int]
) -> Iterator[tuple[int, Window, npt.NDArray[np.bool_]]]:
    """Number of each lesion, the box around it, and its voxels within that box.

    One pass over the image finds all boxes; numbers that are missing are passed over.

    Parameters
    ----------
    instances
        0, or the number of the lesion.
    margin
        Voxels per axis that a box reaches beyond its lesion, where the image goes on.
    """
    boxes = ndimage.find_objects(instances.astype(np.int32, copy=False))
    for number, box in enumerate(boxes, 1):
        if box is not None:
            window = tuple(
                slice(max(0, s.start - m), min(n, s.stop + m))
                for s, m, n in zip(box, margin, instances.shape, strict=True)
            )
            yield number, window, instances[window] == number
