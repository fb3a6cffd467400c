"""Connected pieces of the few voxels of an image that are lesions."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def connected(
    voxels: npt.NDArray[np.intp], shape: tuple[int, ...], connectivity: int = 26
) -> npt.NDArray[np.intp]:
    """Number of the connected piece that each voxel belongs to.

    Numbers are those of :func:`scipy.ndimage.label`, which takes the time that the whole image
    needs.

    Parameters
    ----------
    voxels
        In C order, shape ``(n, 3)``.
    shape
        Of their image.
    connectivity
        6 (faces) or 26 (faces, edges and corners).

    Returns
    -------
    numbers
        From 1, in C order of the first voxel of each piece, shape ``(n,)``.
    """
    # One voxel of room, so that nobody's neighbor is the last one of the row before.
    _, y, z = shape
    strides = np.array([(y + 2) * (z + 2), z + 2, 1])
    places = (voxels + 1) @ strides
    pairs = [np.zeros((2, 0), np.intp)]
    for step in product((-1, 0, 1), repeat=3):
        ahead = int(strides @ step)
        if ahead > 0 and (connectivity == 26 or np.abs(step).sum() == 1):
            # Places ascend, so the neighbor of each is where it would have to be inserted.
            other = np.searchsorted(places, places + ahead)
            there = np.flatnonzero(places[np.minimum(other, len(places) - 1)] == places + ahead)
            pairs.append(np.stack([there, other[there]]))
    links = np.concatenate(pairs, axis=1)
    graph = coo_array((np.ones(links.shape[1], np.bool_), tuple(links)), (len(voxels),) * 2)
    _, piece = connected_components(graph, directed=False)
    _, first, piece = np.unique(piece, return_index=True, return_inverse=True)
    numbers: npt.NDArray[np.intp] = first.argsort().argsort()[piece] + 1
    return numbers
