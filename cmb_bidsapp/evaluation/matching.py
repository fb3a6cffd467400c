"""Which predicted lesion is which reference lesion: one to one, by distance in the world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

Affine = npt.NDArray[np.float64]
Points = npt.NDArray[np.float64]

#: Lesions whose centres are this close (mm) may be the same one (paper, section 3.4).
HIT_MM = 5.0
#: Distances that differ by less are equal: 5 mm is within 5 mm whatever the rounding.
TOLERANCE_MM = 1e-4


@dataclass(frozen=True)
class Lesion:
    """One lesion of an instance image.

    Attributes
    ----------
    number
        Its value in the image.
    centre
        Mean of its voxel centres, world coordinates (RAS mm).
    voxels
        Array indices, shape ``(n, 3)``.
    """

    number: int
    centre: tuple[float, float, float]
    voxels: npt.NDArray[np.intp]


@dataclass(frozen=True)
class Pair:
    """A reference and a predicted lesion that are one; positions in the lists, distance in mm."""

    reference: int
    predicted: int
    distance: float


def lesions_of(instances: npt.NDArray[np.integer], affine: Affine) -> list[Lesion]:
    """Lesions of an instance image (0, or the number of the lesion), in the order of numbers.

    ``affine`` is voxel to world (RAS mm).
    """
    lesions = []
    for number, box in enumerate(ndimage.find_objects(instances.astype(np.int32, copy=False)), 1):
        if box is None:
            continue
        start = np.array([s.start for s in box])
        voxels = np.argwhere(instances[box] == number) + start
        x, y, z = (affine[:3, :3] @ voxels.mean(axis=0) + affine[:3, 3]).tolist()
        lesions.append(Lesion(number, (x, y, z), voxels))
    return lesions


def centres_of(lesions: Sequence[Lesion]) -> Points:
    """Centres of lesions, shape ``(n, 3)``, mm."""
    return np.array([lesion.centre for lesion in lesions], np.float64).reshape(-1, 3)


def match(reference: Points, predicted: Points, reach: float = HIT_MM) -> list[Pair]:
    """Pair centres that are at most ``reach`` mm apart, each at most once.

    As many pairs as there can be; among those choices, the one with the smallest sum of distances.

    Parameters
    ----------
    reference, predicted
        World coordinates (mm), shapes ``(n, 3)`` and ``(m, 3)``.
    """
    distance = np.linalg.norm(reference[:, None] - predicted[None], axis=-1)
    near = distance <= reach + TOLERANCE_MM
    # One pair out of reach costs more than all pairs within it, so none is taken needlessly.
    forbidden = (reach + 1) * (min(distance.shape) + 1)
    rows, columns = linear_sum_assignment(np.where(near, distance, forbidden))
    return [
        Pair(int(i), int(j), float(distance[i, j]))
        for i, j in zip(rows, columns, strict=True)
        if near[i, j]
    ]
