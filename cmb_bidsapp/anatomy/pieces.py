"""Connected pieces of masks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage


def largest_piece(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Piece of a mask, connected across faces, with most voxels; of an empty mask none.

    >>> largest_piece(np.array([True, False, True, True])).tolist()
    [False, False, True, True]
    """
    pieces, count = ndimage.label(mask)
    if count == 0:
        return np.zeros(mask.shape, np.bool_)
    largest: npt.NDArray[np.bool_] = pieces == 1 + int(np.bincount(pieces.ravel())[1:].argmax())
    return largest
