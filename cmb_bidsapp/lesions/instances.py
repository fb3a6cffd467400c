"""Candidates: connected pieces of the CMB class, those that touch counted apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from cmb_bidsapp.core.arrays import Affine
from cmb_bidsapp.lesions.connected import connected
from cmb_bidsapp.lesions.extent import depth
from cmb_bidsapp.lesions.spots import darkest
from cmb_bidsapp.lesions.windows import voxels_in
from cmb_bidsapp.preprocess.resampling import Grid

#: A lesion extends to this probability.
EXTENT = 0.5
#: Peaks of probability this far apart (mm) are lesions of their own, after a blur of this standard
#: deviation (mm).
PEAK_MM, PEAK_BLUR_MM = 2.5, 0.5
#: What a microbleed shows in several slices is no farther (mm) apart than this.
ACROSS_MM = 7.0

CONNECTIVITY_26 = np.ones((3, 3, 3), np.bool_)


def find_instances(
    probability: npt.NDArray[np.float32],
    t2star: npt.NDArray[np.floating],
    affine: Affine,
    threshold: float,
) -> npt.NDArray[np.int32]:
    """Number the pieces that reach the threshold somewhere, from 1.

    A piece extends to a probability of 0.5, or to the threshold where that is lower: the threshold
    decides which lesions there are, not how large they are. Pieces that touch are counted apart
    (:func:`split_at_peaks`), but not a microbleed that several slices show
    (:func:`in_one_spot`).

    Parameters
    ----------
    probability
        Of CMB, 0 to 1, shape ``(x, y, z)``.
    t2star
        Brain-extracted T2*w, 0 outside the brain; same shape.
    affine
        Voxel to world (RAS mm).
    threshold
        Least peak of a piece.
    """
    grid = Grid.of(probability, affine)
    pieces = split_at_peaks(probability, min(threshold, EXTENT), grid.header_spacing)
    reach = peak_values(probability, pieces, int(pieces.max())) >= threshold
    return numbered(reach, in_one_spot(pieces, t2star, grid))[pieces]


def numbered(wanted: npt.NDArray[np.bool_], pairs: npt.NDArray[np.intp]) -> npt.NDArray[np.int32]:
    """New number of every piece: 0 for those that are not wanted, one for those that are linked.

    Parameters
    ----------
    wanted
        Whether each piece is wanted, in the order of their numbers.
    pairs
        Positions in ``wanted`` of two pieces that are one lesion, shape ``(n, 2)``; only pairs of
        wanted pieces link them.

    Returns
    -------
    numbers
        By the number of the piece, from 1 without gaps; 0 for 0. Shape ``(pieces + 1,)``.
    """
    first, second = pairs[wanted[pairs].all(axis=1)].T
    links = coo_array((np.ones(len(first)), (first, second)), shape=(len(wanted),) * 2)
    lesion = connected_components(links, directed=False)[1]
    numbers = np.zeros(len(wanted) + 1, np.int32)
    numbers[1:][wanted] = np.unique(lesion[wanted], return_inverse=True)[1] + 1
    return numbers


def in_one_spot(
    pieces: npt.NDArray[np.int32], t2star: npt.NDArray[np.floating], grid: Grid
) -> npt.NDArray[np.intp]:
    """Pairs of pieces above each other between which the image stays dark.

    Thick slices show a microbleed in two or three places, farther apart than two peaks of a
    cluster. Two pieces are one lesion if their darkest voxels lie within :data:`PEAK_MM` of each
    other in plane and within :data:`ACROSS_MM` across the slices, and one of them lies in the dark
    spot of the other, which reaches to half of its depth
    (:func:`~cmb_bidsapp.lesions.extent.depth`). The brighter of the two says how deep that is.

    Parameters
    ----------
    pieces
        0, or the number of the piece, from 1 without gaps.
    t2star
        Brain-extracted T2*w, 0 outside the brain; same shape.
    grid
        Of both.

    Returns
    -------
    pairs
        Numbers of the pieces, less 1. Shape ``(n, 2)``.
    """
    centers = darkest(t2star, pieces, int(pieces.max()))
    place = centers * grid.spacing
    in_plane = np.delete(place, grid.slice_axis, axis=1)
    near = cKDTree(place).query_pairs(ACROSS_MM, output_type="ndarray")
    near = near[np.linalg.norm(in_plane[near[:, 0]] - in_plane[near[:, 1]], axis=1) <= PEAK_MM]
    # A model of somebody else may find pieces beyond the brain, where nothing has a depth.
    near = near[(t2star[tuple(centers.T)] > 0)[near].all(axis=1)]
    one = [_share_a_spot(t2star, grid.spacing, centers[pair]) for pair in near]
    pairs: npt.NDArray[np.intp] = near[np.array(one, np.bool_)]
    return pairs


def _share_a_spot(
    t2star: npt.NDArray[np.floating], spacing: Sequence[float], centers: npt.NDArray[np.intp]
) -> bool:
    """Whether the darker of two voxels lies in the dark spot of the other."""
    darker, brighter = sorted(centers, key=lambda voxel: float(t2star[tuple(voxel)]))
    window, share = depth(t2star, spacing, brighter.tolist(), ACROSS_MM)
    return bool(share[tuple(darker - [side.start for side in window])] > 0)


def split_at_peaks(
    probability: npt.NDArray[np.float32], extent: float, spacing: Sequence[float]
) -> npt.NDArray[np.int32]:
    """Number the 26-connected pieces of at least ``extent``; clusters fall into their peaks.

    Microbleeds that touch are one piece, but a peak of probability each. Every voxel belongs to
    the nearest peak of its piece.

    Parameters
    ----------
    probability
        Of CMB, 0 to 1, shape ``(x, y, z)``.
    extent
        Least probability of a voxel of a piece.
    spacing
        Voxel size along the axes of ``probability``, mm.
    """
    size = np.array(spacing)
    divided: npt.NDArray[np.int32] = np.zeros(probability.shape, np.int32)
    voxels = voxels_in(probability >= extent)
    if not len(voxels):
        return divided
    pieces = connected(voxels, probability.shape)
    order = np.argsort(pieces, kind="stable")
    ball, last = _ball(PEAK_MM, size), 0
    for piece in np.split(voxels[order], np.cumsum(np.bincount(pieces)[1:-1])):
        low, high = piece.min(axis=0), piece.max(axis=0)
        # Most pieces have no room for two peaks.
        if np.linalg.norm((high - low) * size) <= PEAK_MM:
            peaks = low[None]
        else:
            window = tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))
            inside = np.zeros(high - low + 1, np.bool_)
            inside[tuple((piece - low).T)] = True
            peaks = low + _peaks(probability[window], inside, size, ball)
        away = np.linalg.norm((piece[:, None] - peaks[None]) * size, axis=2)
        divided[tuple(piece.T)] = last + 1 + away.argmin(axis=1)
        last += len(peaks)
    return divided


def _ball(radius: float, spacing: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Voxels within a distance (mm) of the one in the middle."""
    width = np.ceil(radius / spacing).astype(int)
    window = tuple(int(size) for size in 2 * width + 1)
    offsets = np.indices(window).reshape(3, -1).T - width
    within: npt.NDArray[np.bool_] = np.linalg.norm(offsets * spacing, axis=1) <= radius
    return within.reshape(window)


def _peaks(
    probability: npt.NDArray[np.float32],
    piece: npt.NDArray[np.bool_],
    spacing: npt.NDArray[np.float64],
    ball: npt.NDArray[np.bool_],
) -> npt.NDArray[np.float64]:
    """Centers of the voxels of a piece that are the highest within a ball, at least one."""
    width = np.array(ball.shape) // 2
    room = [(int(w), int(w)) for w in width]
    inside = np.pad(piece, room)
    height = np.pad(np.where(piece, probability, 0), room)
    height = np.where(inside, ndimage.gaussian_filter(height, PEAK_BLUR_MM / spacing), 0)
    highest = ndimage.maximum_filter(height, footprint=ball) == height
    peaks, count = ndimage.label(highest & inside, CONNECTIVITY_26)
    centers = ndimage.center_of_mass(peaks > 0, peaks, np.arange(1, count + 1))
    found: list[npt.NDArray[np.float64]] = []
    for center in np.array(centers).reshape(-1, 3) - width:
        # Equally high ones may be near to each other.
        if all(np.linalg.norm((center - other) * spacing) > PEAK_MM for other in found):
            found.append(center)
    return np.array(found)


def peak_values(
    probability: npt.NDArray[np.float32], pieces: npt.NDArray[np.integer], count: int
) -> npt.NDArray[np.float32]:
    """Highest probability of every piece 1 to ``count``.

    Parameters
    ----------
    probability, pieces
        Image, and number of the piece of each of its voxels, 0 beside all; one shape.
    count
        Of the pieces.

    Returns
    -------
    highest
        Shape ``(count,)``.
    """
    if not count:
        return np.zeros(0, np.float32)
    # scipy sorts what it is given: pieces are a small part of an image.
    inside = np.flatnonzero(pieces)
    highest: npt.NDArray[np.float32] = np.asarray(
        ndimage.maximum(probability.flat[inside], pieces.flat[inside], np.arange(1, count + 1))
    )
    return highest
