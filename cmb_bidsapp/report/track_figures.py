"""The picture of one microbleed through time: a column per session, the same place in each.

The middle row is the place itself. Above and below it are the slices next to it: between thick
slices a microbleed may lie in one of them, and is not new or gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from nibabel.affines import apply_affine
from PIL import Image as Picture
from scipy import ndimage

from cmb_bidsapp.core.arrays import Floats, Image, Mask, Points
from cmb_bidsapp.core.labels import CMB, PROXY_COLORS
from cmb_bidsapp.lesions.longitudinal import Track, Visit
from cmb_bidsapp.lesions.presence import History
from cmb_bidsapp.lesions.slabs import slices_in_slab
from cmb_bidsapp.preprocess.resampling import Grid, isotropic_grid
from cmb_bidsapp.report.closeups import SHOWN_MM, SIDE, TOWARDS
from cmb_bidsapp.report.painting import RGB, gray, gray_to_rgb, ring, tint, window, write

#: Pixels between two panels.
GUTTER = 4


def panels(
    tracks: Sequence[Track],
    order: int,
    visit: Visit,
    baseline: Grid,
    t2star: Image,
    brain: Mask,
    instances: npt.NDArray[np.integer],
    numbers: Sequence[int],
) -> Iterator[RGB]:
    """Draw the place of every track in one session, the lesion outlined where it was found.

    Parameters
    ----------
    tracks
        Each microbleed through time.
    order
        Position of the session in their order.
    visit
        Lesions of the session, and how the head lies in it.
    baseline
        Voxels of the first session; each picture lies along its slices.
    t2star, brain, instances
        Images of the session.
    numbers
        Values in ``instances`` of the lesions, in the order of ``visit``.

    Yields
    ------
    picture
        One for each track, in their order: the slices after, at and before the place.
    """
    limits = window(t2star, brain)
    to_voxel = np.linalg.inv(visit.grid.affine) @ visit.pull
    slices = _Slices.of(baseline)
    for track in tracks:
        here = track[order]
        rows = []
        for offset in (1, 0, -1):
            plane = slices.plane(here.place, offset)
            voxels = np.moveaxis(apply_affine(to_voxel, plane), -1, 0)
            row = gray_to_rgb(gray(ndimage.map_coordinates(t2star, voxels, order=1), limits))
            if here.lesion is not None:
                own = (instances == numbers[here.lesion]).astype(np.float32)
                shape = ndimage.map_coordinates(own, voxels, order=1) >= 0.5
                tint(row, ring(shape), PROXY_COLORS[CMB])
            rows.append(write(row, {(5, 3): slices.where(offset)} if offset else {}))
        gutter = np.full((GUTTER, SIDE, 3), 255, np.uint8)
        yield np.concatenate([part for row in rows for part in (gutter, row)][1:])


def side_by_side(pictures: Sequence[RGB], words: Sequence[str]) -> RGB:
    """Join the columns of one track, each with its words in the row of the place.

    Parameters
    ----------
    pictures
        Of :func:`panels`, shape ``(rows, columns, 3)``.
    words
        Of each column.
    """
    gutter = np.full((len(pictures[0]), GUTTER, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (gutter, picture)][1:]
    places = [(k * (SIDE + GUTTER) + 5, SIDE + GUTTER + 3) for k in range(len(words))]
    return write(np.concatenate(parts, axis=1), dict(zip(places, words, strict=True)))


def columns_of(path: Path) -> float:
    """How wide a row of a written picture is, as a multiple of its height.

    Parameters
    ----------
    path
        Of a picture that :func:`side_by_side` made; earlier ones have one row.
    """
    with Picture.open(path) as picture:
        return picture.width / SIDE


@dataclass(frozen=True)
class _Slices:
    """The slices of the baseline, as pictures show them.

    Attributes
    ----------
    axes
        Directions of the grid, by column.
    across
        The one across the slices.
    step
        How far the next slice that is shown lies (mm).
    """

    axes: Floats
    across: int
    step: float

    @classmethod
    def of(cls, baseline: Grid) -> _Slices:
        axes = isotropic_grid(baseline, 1.0).affine[:3, :3]
        # Of equally large sides the last: axial slices, where all are equal.
        spacing = np.abs(axes.T @ baseline.affine[:3, :3]).max(axis=1)
        across = 2 - int(np.argmax(np.round(spacing[::-1], 3)))
        # Thin slices are as far apart as on the pictures of candidates.
        return cls(axes, across, float(spacing[across]) * slices_in_slab(float(spacing[across])))

    def plane(self, place: Points, offset: int) -> Points:
        """Points (mm) of the pixels around a place, or so many steps beyond it.

        Rows begin at the front or top, columns at the right or front, as in radiology.
        """
        right, up = (self.axes[:, axis] for axis in range(3) if axis != self.across)
        middle = place + offset * self.step * self.axes[:, self.across]
        steps = SHOWN_MM / 2 - (np.arange(SIDE) + 0.5) * SHOWN_MM / SIDE
        plane: Points = middle + steps[:, None, None] * up + steps[None, :, None] * right
        return plane

    def where(self, offset: int) -> str:
        """How far a slice lies from the place, and to which side."""
        return f"{abs(offset) * self.step:.1f} mm {TOWARDS[self.across][offset > 0]}"


def words_of(track: History, sessions: Sequence[str]) -> list[str]:
    """What each panel of a track says.

    Parameters
    ----------
    track
        Microbleed through time, one entry per session.
    sessions
        Names of the sessions, in the same order.
    """
    return [
        f"{name}  {(one.change or one.state).replace('-', ' ')}"
        for name, one in zip(sessions, track, strict=True)
    ]
