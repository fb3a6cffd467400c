"""Lesions, and which predicted one is which reference one; distances in the world, in mm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from cmb_bidsapp.core.arrays import Affine, Points
from cmb_bidsapp.lesions.connected import connected
from cmb_bidsapp.lesions.lesion import UNASSIGNED
from cmb_bidsapp.lesions.windows import voxels_in

#: Lesions whose centers are this close (mm) may be the same one (paper, section 3.4).
HIT_MM = 5.0
#: Distances that differ by less are equal: 5 mm is within 5 mm whatever the rounding.
TOLERANCE_MM = 1e-4


@dataclass(frozen=True)
class Place:
    """Where a lesion lies, as its own side says.

    Attributes
    ----------
    region
        Proxy class, or unassigned.
    mars_region
        Side and MARS region (``left-thalamus``), or unassigned; ``None`` where it is not told.
    border
        Whether another region is near; ``None`` where it is not told.
    """

    region: str = UNASSIGNED
    mars_region: str | None = None
    border: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One lesion of an image, or one mark of a list.

    Attributes
    ----------
    number
        Its value in the image, or its place in the list, from 1.
    center
        Mean of its voxel centers, or where the mark is; world coordinates (RAS mm).
    voxels
        Array indices, shape ``(n, 3)``.
    weight
        Of a reference lesion: the share of raters who marked it.
    score
        Of a predicted lesion: how sure its tool is, 0 to 1; NaN where it does not say.
    told
        The app's own columns on it.
    """

    number: int
    center: tuple[float, float, float]
    voxels: npt.NDArray[np.intp]
    weight: float = 1.0
    score: float = float("nan")
    place: Place = Place()
    told: Mapping[str, object] = field(default_factory=dict)

    def flat(self, shape: tuple[int, ...]) -> npt.NDArray[np.intp]:
        """Its voxels as places in an image of that shape, in C order."""
        return np.asarray(np.ravel_multi_index(tuple(self.voxels.T), shape), np.intp)


@dataclass(frozen=True)
class Pair:
    """A reference and a predicted lesion that are one; positions in the lists, distance in mm."""

    reference: int
    predicted: int
    distance: float


@dataclass(frozen=True)
class Matching:
    """What a rule makes of two lists of lesions.

    Attributes
    ----------
    pairs
        Hits, each lesion in one pair at most.
    claims
        Predicted lesions (positions) by the reference lesion they are of: its partner, and those
        that lost it to the partner.
    """

    pairs: Sequence[Pair]
    claims: Mapping[int, Sequence[int]]

    @classmethod
    def of(cls, pairs: Sequence[Pair]) -> Matching:
        """A matching without losers."""
        return cls(pairs, {pair.reference: [pair.predicted] for pair in pairs})


#: Reference and predicted lesions, and the shape of their image, to what hits what.
Matcher = Callable[[Sequence[Mark], Sequence[Mark], tuple[int, ...]], Matching]


def lesions_of(instances: npt.NDArray[np.integer], affine: Affine) -> list[Mark]:
    """Lesions of an instance image (0, or the number of the lesion), in the order of numbers.

    Parameters
    ----------
    instances
        Shape ``(x, y, z)``.
    affine
        From voxels to RAS mm.
    """
    voxels = voxels_in(instances)
    return by_number(voxels, instances[tuple(voxels.T)], affine)


def pieces_of(mask: npt.NDArray[np.bool_], affine: Affine, connectivity: int = 26) -> list[Mark]:
    """Connected pieces of a mask, numbered in C order of their first voxels.

    Parameters
    ----------
    mask
        Shape ``(x, y, z)``.
    affine
        From voxels to RAS mm.
    connectivity
        6 (faces) or 26 (faces, edges and corners).
    """
    voxels = voxels_in(mask)
    return by_number(voxels, connected(voxels, mask.shape, connectivity), affine)


def by_number(
    voxels: npt.NDArray[np.intp], numbers: npt.NDArray[np.integer], affine: Affine
) -> list[Mark]:
    """Lesions of voxels, in the order of their numbers.

    Parameters
    ----------
    voxels
        In C order, shape ``(n, 3)``.
    numbers
        Number of the lesion that each voxel belongs to, shape ``(n,)``.
    affine
        From voxels to RAS mm.
    """
    order = np.argsort(numbers, kind="stable")
    found, first = np.unique(numbers[order], return_index=True)
    lesions = []
    for number, own in zip(found.tolist(), np.split(voxels[order], first[1:]), strict=False):
        x, y, z = (affine[:3, :3] @ own.mean(axis=0) + affine[:3, 3]).tolist()
        lesions.append(Mark(number=number, center=(x, y, z), voxels=own))
    return lesions


def centers_of(lesions: Sequence[Mark]) -> Points:
    """Centers of lesions, shape ``(n, 3)``, mm."""
    return np.array([lesion.center for lesion in lesions], np.float64).reshape(-1, 3)


def distances(reference: Sequence[Mark], predicted: Sequence[Mark]) -> Points:
    """Distances between every two centers (mm), shape ``(reference, predicted)``.

    Parameters
    ----------
    reference, predicted
        Lesions of one image.
    """
    gaps = centers_of(reference)[:, None] - centers_of(predicted)[None]
    return np.asarray(np.linalg.norm(gaps, axis=-1), np.float64)


def match(reference: Points, predicted: Points, reach: float = HIT_MM) -> list[Pair]:
    """Pair centers that are at most ``reach`` mm apart, each at most once.

    As many pairs as there can be; among those choices, the one with the smallest sum of distances.

    Parameters
    ----------
    reference, predicted
        World coordinates (mm), shapes ``(n, 3)`` and ``(m, 3)``.
    reach
        Largest distance (mm).
    """
    distance = np.linalg.norm(reference[:, None] - predicted[None], axis=-1)
    chosen = _assign(distance, distance <= reach + TOLERANCE_MM)
    return [Pair(i, j, float(distance[i, j])) for i, j in chosen]


def match_by_rank(
    reference: Points,
    predicted: Points,
    score: npt.NDArray[np.floating],
    reach: float = HIT_MM,
) -> list[Pair]:
    """Pair centers that are at most ``reach`` mm apart, the surest predicted one first.

    Each takes the nearest reference that is still free. So what hits at a threshold does not depend
    on what lies below it, and one list of hits serves every threshold.

    Parameters
    ----------
    reference, predicted
        World coordinates (mm), shapes ``(n, 3)`` and ``(m, 3)``.
    score
        Of each predicted one, the higher the surer.
    reach
        Largest distance (mm).
    """
    if not len(reference):
        return []
    distance = np.linalg.norm(reference[:, None] - predicted[None], axis=-1)
    pairs = []
    for j in np.argsort(-score, kind="stable").tolist():
        i = _first_least(distance[:, j])
        if distance[i, j] <= reach + TOLERANCE_MM:
            pairs.append(Pair(i, j, float(distance[i, j])))
            distance[i] = np.inf
    return pairs


def within_reach(
    reference: Sequence[Mark],
    predicted: Sequence[Mark],
    shape: tuple[int, ...],  # noqa: ARG001
) -> Matching:
    """Match one to one, centers at most 5 mm apart (paper, section 3.4); see :func:`match`.

    Parameters
    ----------
    reference, predicted
        Lesions of one image.
    shape
        Of the image; not used.
    """
    return Matching.of(match(centers_of(reference), centers_of(predicted)))


def nearest(
    reference: Sequence[Mark],
    predicted: Sequence[Mark],
    shape: tuple[int, ...],  # noqa: ARG001
) -> Matching:
    """Every predicted lesion takes its nearest reference lesion closer than 5 mm (VALDO).

    Of several that take the same one, the nearest hits it. Of equally near ones, on either side,
    the first counts.

    Parameters
    ----------
    reference, predicted
        Lesions of one image.
    shape
        Of the image; not used.
    """
    if not reference or not predicted:
        return Matching((), {})
    distance = distances(reference, predicted)
    claims: dict[int, list[int]] = {}
    for j in range(len(predicted)):
        i = _first_least(distance[:, j])
        if distance[i, j] < HIT_MM - TOLERANCE_MM:
            claims.setdefault(i, []).append(j)
    pairs = []
    for i, takers in sorted(claims.items()):
        j = takers[_first_least(distance[i, takers])]
        pairs.append(Pair(i, j, float(distance[i, j])))
    return Matching(pairs, claims)


def in_common(
    reference: Sequence[Mark], predicted: Sequence[Mark], shape: tuple[int, ...]
) -> Matching:
    """Match one to one, with a voxel in common: as many pairs as can be, then the most Dice in all.

    Parameters
    ----------
    reference, predicted
        Lesions of one image.
    shape
        Of the image.
    """
    dice = np.zeros((len(reference), len(predicted)))
    theirs = [lesion.flat(shape) for lesion in predicted]
    for i, own in enumerate(lesion.flat(shape) for lesion in reference):
        for j, found in enumerate(theirs):
            dice[i, j] = dice_of(own, found)
    distance = distances(reference, predicted)
    chosen = _assign(1 - dice, dice > 0)
    return Matching.of([Pair(i, j, float(distance[i, j])) for i, j in chosen])


def voxels_of(lesions: Sequence[Mark], shape: tuple[int, ...]) -> npt.NDArray[np.intp]:
    """Voxels of lesions, each once, as places in C order.

    Parameters
    ----------
    lesions
        Of one image.
    shape
        Of the image.
    """
    places = [lesion.flat(shape) for lesion in lesions]
    return np.unique(np.concatenate(places)) if places else np.zeros(0, np.intp)


def dice_of(own: npt.NDArray[np.intp], found: npt.NDArray[np.intp]) -> float:
    """Dice of two sets of voxels.

    Parameters
    ----------
    own, found
        Places in an image, C order, each once, shape ``(n,)``; not both empty.
    """
    shared = len(np.intersect1d(own, found, assume_unique=True))
    return 2 * shared / (len(own) + len(found))


def _assign(cost: Points, allowed: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """One-to-one choice of allowed pairs: as many as can be, then the smallest sum of costs."""
    if not allowed.any():
        return []
    # One forbidden pair costs more than all allowed ones, so none is taken needlessly.
    forbidden = (cost[allowed].max() + 1) * (min(cost.shape) + 1)
    rows, columns = linear_sum_assignment(np.where(allowed, cost, forbidden))
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if allowed[i, j]]


def _first_least(values: npt.NDArray[np.float64]) -> int:
    """Position of the first value that is as small as the smallest, but for rounding."""
    return int(np.argmax(values <= values.min() + TOLERANCE_MM))
