"""The picture of one microbleed through time: a panel per session, the same place in each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from nibabel.affines import apply_affine
from scipy import ndimage

from cmb_bidsapp.core.arrays import Image, Mask, Points
from cmb_bidsapp.core.labels import CMB, PROXY_COLORS
from cmb_bidsapp.lesions.longitudinal import Track, Visit
from cmb_bidsapp.lesions.presence import History
from cmb_bidsapp.preprocess.resampling import Grid, isotropic_grid
from cmb_bidsapp.report.closeups import SHOWN_MM, SIDE
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
        One for each track, in their order.
    """
    limits = window(t2star, brain)
    to_voxel = np.linalg.inv(visit.grid.affine) @ visit.pull
    for track in tracks:
        here = track[order]
        voxels = np.moveaxis(apply_affine(to_voxel, _plane(here.place, baseline)), -1, 0)
        picture = gray_to_rgb(gray(ndimage.map_coordinates(t2star, voxels, order=1), limits))
        if here.lesion is not None:
            own = (instances == numbers[here.lesion]).astype(np.float32)
            shape = ndimage.map_coordinates(own, voxels, order=1) >= 0.5
            tint(picture, ring(shape), PROXY_COLORS[CMB])
        yield picture


def side_by_side(pictures: Sequence[RGB], words: Sequence[str]) -> RGB:
    """Join the panels of one track, each with its words.

    Parameters
    ----------
    pictures
        Panels of one height, shape ``(rows, columns, 3)``.
    words
        Of each panel.
    """
    gutter = np.full((SIDE, GUTTER, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (gutter, picture)][1:]
    places = [(k * (SIDE + GUTTER) + 5, 3) for k in range(len(words))]
    return write(np.concatenate(parts, axis=1), dict(zip(places, words, strict=True)))


def _plane(place: Points, baseline: Grid) -> Points:
    """Points (mm) of the pixels around a place, along the slices of the baseline.

    Rows begin at the front or top, columns at the right or front, as in radiology.
    """
    axes = isotropic_grid(baseline, 1.0).affine[:3, :3]
    # Of equally large sides the last: axial slices, where all are equal.
    spacing = np.abs(axes.T @ baseline.affine[:3, :3]).max(axis=1)
    across = 2 - int(np.argmax(np.round(spacing[::-1], 3)))
    right, up = (axes[:, axis] for axis in range(3) if axis != across)
    steps = SHOWN_MM / 2 - (np.arange(SIDE) + 0.5) * SHOWN_MM / SIDE
    plane: Points = place + steps[:, None, None] * up + steps[None, :, None] * right
    return plane


def words_of(track: History, sessions: Sequence[str]) -> list[str]:
    """What each panel of a track says.

    Parameters
    ----------
    track
        Microbleed through time, one entry per session.
    sessions
        Names of the sessions, in the same order.
    """
    return [f"{name}  {one.change or one.state}" for name, one in zip(sessions, track, strict=True)]
