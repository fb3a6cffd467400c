"""Places of processed scans that the second look learns from, and microbleeds mixed into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from nibabel.affines import apply_affine
from scipy import ndimage

from cmb_bidsapp.core.arrays import Image, Mask, Points
from cmb_bidsapp.lesions.instances import CONNECTIVITY_26
from cmb_bidsapp.lesions.spots import dark_places, darkest, relative_brightness
from cmb_bidsapp.lesions.views import PIXELS, SLICES, Viewer, as_channels
from cmb_bidsapp.preprocess.resampling import Grid
from cmb_bidsapp.sensitivity.background import Background
from cmb_bidsapp.simulate.implants import draw_implants, tissue_places

#: Half precision: thousands of views are held at a time.
Stored = npt.NDArray[np.float16]

#: Nobody knows what a place is if it is no microbleed, or it is one.
UNKNOWN = -1
#: Room (pixels) for shifts of the views in training.
MARGIN = 3
#: Places of one scan, at most: what a lesion model suspects, any dark spots, the darkest ones, and
#: tissue in which nothing is dark, of which a part of a brain (ml) has fewer.
SUSPECTED, SPOTS, DARKEST, TISSUE = 250, 1500, 100, 900
#: A dark spot is darker than this, relative to its surroundings: what the second look will see, and
#: somewhat brighter ones.
DARK = 0.9
TISSUE_PER_ML = 4
#: A place this near (mm) to a lesion, or to what is to be ignored, is none of them.
CLEAR_MM = 5.0
#: What a reader rated is darkest no farther (mm) from its point, in plane.
NEAR_MM = 1.5
#: Tissue is clear where nothing within so many millimeters in plane is darker than this, relative
#: to its surroundings.
CLEAR_TISSUE_MM, CLEAR_TISSUE = 1.5, 0.75
#: Microbleeds that take less than this share of the signal teach little but noise.
LEAST_CONTRAST = 0.35
#: Side (mm) of the block that microbleeds are drawn in alone, slices of it, and sources in a block.
BLOCK_MM, BLOCK_SLICES, BLOCK_SOURCES = 60.0, 9, 6
#: Microbleeds that are drawn for each acquisition, to be mixed into tissue.
SHADOWS = 400
#: Blocks that are drawn at most for the shadows of one acquisition.
BLOCKS = 400


class Kind(IntEnum):
    """What a place is."""

    OTHER = 0
    LESION = 1
    TISSUE = 2
    SUSPECTED = 3
    """By a lesion model, where nobody has labeled."""


@dataclass(frozen=True)
class Acquisition:
    """What the looks of a microbleed depend on: voxel size (mm), field (T), echo time (ms)."""

    voxel: tuple[float, float, float]
    b0: float
    te_ms: float

    @classmethod
    def of(cls, seen: Background) -> Acquisition:
        """Acquisition of a scan."""
        grid = Grid.of(seen.t2star, seen.affine)
        return cls(grid.nominal_spacing, seen.b0, seen.te_ms)


@dataclass(frozen=True, kw_only=True)
class Places:
    """Views of places with what they are.

    Attributes
    ----------
    brightness
        Of both views, which are wider than the network's by twice :data:`MARGIN`.
    tissues
        Of both views, see :meth:`~cmb_bidsapp.lesions.views.Viewer.tissues_around`.
    voxel
        Logarithms of the voxel sizes, shape ``(n, 2)``.
    kind
        :class:`Kind` of each.
    acquisition
        Of each, as a number of a list.
    mimic
        What each is that is none, as the number of a member of
        :class:`~cmb_bidsapp.lesions.lesion.Mimic`; :data:`UNKNOWN` where nobody knows.
    """

    brightness: Stored
    tissues: npt.NDArray[np.uint8]
    voxel: Image
    kind: npt.NDArray[np.int8]
    acquisition: npt.NDArray[np.int16]
    mimic: npt.NDArray[np.int8]

    def views(self, chosen: npt.NDArray[Any] | slice) -> Image:
        """Views of the places with these numbers, as :meth:`Viewer.views` makes them, but wider."""
        brightness = self.brightness[chosen].astype(np.float32)
        return np.concatenate([brightness, as_channels(self.tissues[chosen])], axis=1)

    @classmethod
    def joined(cls, parts: Sequence[Places]) -> Places:
        """All places of several scans."""
        return cls(
            brightness=np.concatenate([p.brightness for p in parts]),
            tissues=np.concatenate([p.tissues for p in parts]),
            voxel=np.concatenate([p.voxel for p in parts]),
            kind=np.concatenate([p.kind for p in parts]),
            acquisition=np.concatenate([p.acquisition for p in parts]),
            mimic=np.concatenate([p.mimic for p in parts]),
        )


def _widths(reach: float, voxel: Sequence[float]) -> list[int]:
    """Widths (voxels) of a filter that reaches so far (mm), one voxel at least."""
    return [2 * max(1, round(reach / mm)) + 1 for mm in voxel]


def places_of(seen: Background, acquisition: int, rng: np.random.Generator) -> Places:
    """Labeled lesions of a scan, dark places that are none, and clear tissue.

    What a lesion model suspects is none where all lesions are labeled, and elsewhere a kind of its
    own, which may be either.

    Parameters
    ----------
    seen
        Processed scan, with its labels where there are any.
    acquisition
        Number of the scan's acquisition.
    rng
        Chooses among the places that are none.
    """
    voxel = seen.voxel
    known = seen.doubtful if seen.lesions is None else seen.doubtful | seen.lesions
    relative = relative_brightness(seen.t2star, voxel)
    spots = dark_places(relative, voxel, DARK)
    tissue = ndimage.minimum_filter(relative, (*_widths(CLEAR_TISSUE_MM, voxel[:2]), 1)) > (
        CLEAR_TISSUE
    )
    suspects = _centers(seen.t2star, seen.suspected)
    lesions = unknown = np.zeros((0, 3), np.intp)
    if seen.lesions is None:
        known = known | seen.suspected
        suspects, unknown = unknown, suspects
    else:
        lesions = _centers(seen.t2star, seen.lesions)
    near = ndimage.maximum_filter(known, _widths(CLEAR_MM, voxel))
    others = np.concatenate(
        [rng.permutation(suspects)[:SUSPECTED], rng.permutation(spots)[:SPOTS], spots[:DARKEST]]
    )
    others = others[~near[tuple(others.T)]]
    count = round(min(TISSUE, TISSUE_PER_ML * seen.milliliters))
    clear = tissue_places(seen.t2star, seen.regions, count, rng, within=tissue & ~near)
    kinds = {
        Kind.LESION: lesions,
        Kind.OTHER: others,
        Kind.TISSUE: clear,
        Kind.SUSPECTED: unknown,
    }
    return _places_at(seen, kinds, acquisition)


def with_ratings(
    seen: Background,
    lesions: Points,
    others: Points,
    acquisition: int,
    rng: np.random.Generator,
) -> Places:
    """Places of a scan of which readers have rated some, those they said nothing of as before.

    Parameters
    ----------
    seen
        Processed scan.
    lesions, others
        What readers call microbleeds, and what none; world coordinates (RAS mm), shape ``(n, 3)``.
    acquisition, rng
        See :func:`places_of`.
    """
    rated = {Kind.LESION: _darkest_near(seen, lesions), Kind.OTHER: _darkest_near(seen, others)}
    # Nothing near a microbleed is a place that is none, and what is rated is no longer suspected.
    doubtful = np.zeros(seen.t2star.shape, np.bool_)
    doubtful[tuple(rated[Kind.LESION].T)] = True
    said = doubtful.copy()
    said[tuple(rated[Kind.OTHER].T)] = True
    pieces, _ = ndimage.label(seen.suspected, CONNECTIVITY_26)
    near = ndimage.maximum_filter(said, _widths(NEAR_MM, seen.voxel))
    settled = np.isin(pieces, np.unique(pieces[near])) & seen.suspected
    left = replace(
        seen,
        suspected=seen.suspected & ~settled,
        doubtful=seen.doubtful | doubtful | settled,
    )
    return Places.joined([places_of(left, acquisition, rng), _places_at(seen, rated, acquisition)])


def _darkest_near(seen: Background, points: Points) -> npt.NDArray[np.intp]:
    """Darkest voxel of the brain about each point, in its slice, shape ``(n, 3)``."""
    voxels = np.round(apply_affine(np.linalg.inv(seen.affine), points.reshape(-1, 3)))
    reach = np.array([*np.ceil(NEAR_MM / np.array(seen.voxel[:2])), 0])
    brighter = float(seen.t2star.max()) + 1
    found = np.zeros((len(voxels), 3), np.intp)
    for number, voxel in enumerate(voxels):
        low = np.clip(voxel - reach, 0, np.array(seen.t2star.shape) - 1).astype(np.intp)
        high = np.clip(voxel + reach, low, None).astype(np.intp) + 1
        part = seen.t2star[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        inside = np.where(part > 0, part, brighter)
        found[number] = low + np.unravel_index(inside.argmin(), part.shape)
    return found


def _places_at(
    seen: Background, centers: Mapping[Kind, npt.NDArray[np.intp]], acquisition: int
) -> Places:
    """Views of voxels, by what they are."""
    viewer = Viewer.of(seen.t2star, seen.voxel, seen.tissues)
    voxels = np.concatenate(list(centers.values()))
    kind = np.repeat(np.array(list(centers), np.int8), [len(some) for some in centers.values()])
    mimic = np.full(len(voxels), UNKNOWN, np.int8)
    if seen.mimics is not None:
        mimic[kind == Kind.OTHER] = seen.mimics[tuple(voxels[kind == Kind.OTHER].T)]
    return Places(
        brightness=viewer.brightness(voxels, PIXELS + 2 * MARGIN).astype(np.float16),
        tissues=viewer.tissues_around(voxels, PIXELS + 2 * MARGIN),
        voxel=np.tile(np.array(viewer.log_voxel(), np.float32), (len(voxels), 1)),
        kind=kind,
        acquisition=np.full(len(voxels), acquisition, np.int16),
        mimic=mimic,
    )


def _centers(t2star: Image, mask: Mask) -> npt.NDArray[np.intp]:
    """Darkest voxel of every piece of a mask."""
    pieces, count = ndimage.label(mask, CONNECTIVITY_26)
    return darkest(t2star, pieces, count)


def shadows_of(acquisition: Acquisition, count: int, rng: np.random.Generator) -> Stored:
    """Views of what microbleeds multiply the signal around them with, less 1.

    They are drawn into even blocks, so that they can be mixed into any tissue.

    Parameters
    ----------
    acquisition
        Voxel size, field and echo time.
    count
        How many views are wanted.
    rng
        Draws them.

    Returns
    -------
    views
        At least ``count`` unless the acquisition shows hardly any.
    """
    x, y, z = acquisition.voxel
    shape = (int(BLOCK_MM / x), int(BLOCK_MM / y), max(BLOCK_SLICES, int(BLOCK_MM / 4 / z)))
    even, lobar = np.ones(shape, np.float32), np.ones(shape, np.uint8)
    # Room for the far views of microbleeds at the border of the block.
    room = [(int(BLOCK_MM / 2 / x),) * 2, (int(BLOCK_MM / 2 / y),) * 2, (3 * SLICES,) * 2]
    found: list[Stored] = []
    for _ in range(BLOCKS):
        if sum(map(len, found)) >= count:
            break
        drawn = draw_implants(
            even,
            lobar,
            np.diag([*acquisition.voxel, 1.0]),
            BLOCK_SOURCES,
            rng,
            b0=acquisition.b0,
            te_ms=acquisition.te_ms,
        )
        strong = [
            row["lesion_id"]
            for row in drawn.rows
            if row["lesion_id"] and row["contrast"] >= LEAST_CONTRAST
        ]
        if not strong:
            continue
        factor = np.pad(np.abs(drawn.factor).astype(np.float32), room, constant_values=1)
        pieces = np.pad(drawn.instances, room)
        centers = darkest(factor, pieces, int(pieces.max()))[np.array(strong) - 1]
        viewer = Viewer.of(factor, acquisition.voxel)
        found.append(viewer.brightness(centers, PIXELS + 2 * MARGIN).astype(np.float16))
    size = (0, 2 * SLICES, PIXELS + 2 * MARGIN, PIXELS + 2 * MARGIN)
    return np.concatenate(found) if found else np.zeros(size, np.float16)
