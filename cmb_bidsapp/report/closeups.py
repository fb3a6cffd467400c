"""The picture of one candidate: three planes, each from the whole brain to its surroundings.

A row per plane; from left to right the whole slice with a crosshair, the surroundings on T2*w, the
same with outlines of the candidate, of others nearby and of the periphery that CFPR looked at, and,
where there are such, T1w, phase and susceptibility-weighted image. In the last row the
surroundings on the slices before and after it: a vessel goes on there, a microbleed does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from cmb_bidsapp.core.arrays import Mask
from cmb_bidsapp.core.defaults import CfprMode
from cmb_bidsapp.core.labels import CMB, PROXY
from cmb_bidsapp.lesions.cfpr import paper_periphery, reference_periphery
from cmb_bidsapp.lesions.slabs import slices_in_slab
from cmb_bidsapp.lesions.windows import Window, windows
from cmb_bidsapp.report.painting import (
    GUTTER_PIXELS,
    PLANES,
    RGB,
    Gray,
    dashed,
    edge,
    fit,
    gray_to_rgb,
    plane,
    ring,
    tiled,
    tint,
    write,
)

#: Panels side by side on a card; more would be too small to read.
CARD_COLUMNS = 4
#: Millimeters around a candidate that a panel shows, and pixels on a side.
SHOWN_MM, SIDE = 36.0, 180
SHELL_COLOR, OUTSIDE_COLOR = "#f0e442", "#cc79a7"
#: Outline of candidates nearby.
OTHER_COLOR = "#ffffff"
#: The crosshair is for every candidate alike: who reads blinded sees no outline, and this.
CROSS_COLOR = "#f0e442"
#: What a voxel near a candidate is: its own, brain or another candidate, something else.
_OWN, _BRAIN, _OUTSIDE = 1, 2, 3
_BRAIN_CLASSES = (*(value for value in PROXY.values() if value), CMB)
#: Where slices of falling and of rising number lie, by the axis across them.
TOWARDS = (("left", "right"), ("posterior", "anterior"), ("inferior", "superior"))
#: Pixels that a crosshair leaves free around the candidate, and length of a tick.
_GAP, _TICK = 9, 12


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Images of a session with RAS axes, cut to the brain.

    Attributes
    ----------
    t2star, t1w
        Gray levels; no T1w where there is none.
    numbers
        0, or the number of the candidate.
    labels
        Classes as the lesion network predicts them.
    zooms
        Voxel size, mm.
    phase
        Gray levels of the filtered phase, where there is one.
    swi
        Those of the susceptibility-weighted image, where the sign of the phase is certain.
    """

    t2star: Gray
    t1w: Gray | None
    numbers: npt.NDArray[np.integer]
    labels: npt.NDArray[np.integer]
    zooms: tuple[float, float, float]
    phase: Gray | None = None
    swi: Gray | None = None


@dataclass(frozen=True)
class Periphery:
    """Which voxels around a candidate CFPR looked at; see :mod:`cmb_bidsapp.lesions.cfpr`."""

    mode: CfprMode
    radius: float


def closeups(
    scene: Scene, periphery: Periphery, colors: Mapping[int, str]
) -> Iterator[tuple[int, RGB]]:
    """Draw candidates.

    Parameters
    ----------
    scene
        Images of the session.
    periphery
        Voxels around each candidate that are marked; the radius is in mm.
    colors
        Color of the outline by number, of the candidates to draw.

    Yields
    ------
    number, picture
    """
    margin = [max(1, ceil(periphery.radius / step)) for step in scene.zooms]
    for number, window, own in windows(scene.numbers, margin):
        if number in colors:
            # Of this only what is written and what is cut takes memory.
            marks = np.zeros(scene.numbers.shape, np.uint8)
            marks[window] = _marks(scene, window, own, periphery)
            voxels = np.argwhere(own) + [s.start for s in window]
            yield number, _picture(scene, marks, voxels, number, colors[number])


def panels_of(path: Path) -> tuple[int, int]:
    """Columns and rows of panels of a picture that is written; earlier ones have three rows.

    Parameters
    ----------
    path
        Of a picture that :func:`closeups` drew.
    """
    with Image.open(path) as picture:
        across, down = picture.size
    return across // (SIDE + GUTTER_PIXELS), down // (SIDE + GUTTER_PIXELS)


def parts_on_card(columns: int, rows: int) -> list[tuple[int, int, int]]:
    """Parts of a picture that its card shows: row, first column, number of panels.

    They fill two rows of the card: the axial row of the picture, then the slices nearest to it.

    Parameters
    ----------
    columns, rows
        Panels of the picture, from :func:`panels_of`.

    >>> parts_on_card(4, 4)
    [(0, 0, 4), (3, 0, 4)]
    >>> parts_on_card(6, 4)
    [(0, 0, 4), (0, 4, 2), (3, 2, 2)]
    """
    across = min(columns, CARD_COLUMNS)
    beyond = columns - across
    beside = across - beyond if rows > len(PLANES) else 0
    parts = [(0, 0, across), (0, across, beyond), (len(PLANES), (columns - beside) // 2, beside)]
    return [part for part in parts if part[-1] > 0]


def _marks(scene: Scene, window: Window, own: Mask, periphery: Periphery) -> Gray:
    """What the voxels of a candidate and of its periphery are."""
    if periphery.mode == "reference":
        first = [s.start for s in window]
        shell = reference_periphery(own, first, scene.zooms, periphery.radius)
    else:
        shell = paper_periphery(own, scene.zooms, periphery.radius)
    brain = np.isin(scene.labels[window], _BRAIN_CLASSES) | (scene.numbers[window] > 0)
    return np.where(own, _OWN, shell * np.where(brain, _BRAIN, _OUTSIDE)).astype(np.uint8)


def _picture(
    scene: Scene, marks: Gray, voxels: npt.NDArray[np.integer], number: int, color: str
) -> RGB:
    """Draw one candidate, ``voxels`` its indices, shape (n, 3)."""
    rows = []
    for name, axis in PLANES.items():
        view = _View(axis, voxels, scene.zooms)
        plain, kinds = gray_to_rgb(view.near(scene.t2star)), view.near(marks, smooth=False)
        numbers, marked = view.near(scene.numbers.astype(np.int32), smooth=False), plain.copy()
        tint(marked, ring((numbers > 0) & (numbers != number), 1), OTHER_COLOR)
        tint(marked, dashed(kinds == _OUTSIDE, 3), OUTSIDE_COLOR, 0.8)
        tint(marked, dashed(edge(kinds > 0), 5), SHELL_COLOR)
        tint(marked, ring(kinds == _OWN), color)
        panels = [_whole(scene, view, name), _ticks(plain), marked]
        more = {"T1w": scene.t1w, "phase": scene.phase, "SWI-like": scene.swi}
        there = {head: shades for head, shades in more.items() if shades is not None}
        panels += [_ticks(gray_to_rgb(view.near(shades))) for shades in there.values()]
        rows.append(panels)
    rows.append(_neighbors(scene, voxels, len(panels)))
    heads = ("T2*w", "T2*w, outlined", *there)
    words = {(k * (SIDE + GUTTER_PIXELS) + 5, 3): text for k, text in enumerate(heads, 1)}
    return write(tiled(rows), words)


def _neighbors(scene: Scene, voxels: npt.NDArray[np.integer], count: int) -> list[RGB]:
    """Surroundings on ``count`` slices about the candidate's own, which an even count leaves out.

    Thin slices are as far apart as those that the second look sees.
    """
    axis = int(np.argmax(scene.zooms)) if max(scene.zooms) > min(scene.zooms) else PLANES["axial"]
    view, step = _View(axis, voxels, scene.zooms), slices_in_slab(scene.zooms[axis])
    reach = count // 2
    offsets = [k for k in range(-reach, reach + 1) if k or count % 2]
    panels = []
    for offset in offsets:
        panel = _ticks(gray_to_rgb(view.near(scene.t2star, beyond=offset * step)))
        away = f"{abs(offset) * step * scene.zooms[axis]:.1f} mm {TOWARDS[axis][offset > 0]}"
        panels.append(write(panel, {(5, 3): away if offset else "here"}))
    return panels


class _View:
    """A plane through a candidate, and the part of it that lies around the candidate."""

    def __init__(
        self, axis: int, voxels: npt.NDArray[np.integer], zooms: tuple[float, float, float]
    ) -> None:
        self.axis = axis
        # The slice that shows most of it.
        self.level = int(np.bincount(voxels[:, axis]).argmax())
        self.along = [a for a in range(3) if a != axis]
        self.center = voxels.mean(axis=0)[self.along]
        self.zooms = [zooms[a] for a in self.along]

    def cut(self, volume: npt.NDArray[Any], beyond: int = 0) -> npt.NDArray[Any]:
        """The plane, or one so many slices beyond it; black where the image has none."""
        level = self.level + beyond
        if 0 <= level < volume.shape[self.axis]:
            return plane(volume, self.axis, level)
        return np.zeros_like(plane(volume, self.axis, self.level))

    def near(
        self, volume: npt.NDArray[Any], *, smooth: bool = True, beyond: int = 0
    ) -> npt.NDArray[Any]:
        """Surroundings of the candidate, true to scale; black beyond the image."""
        cut = self.cut(volume, beyond)
        reach = [SHOWN_MM / 2 / step for step in self.zooms]
        pad = [ceil(r) for r in reach]
        # Columns begin at the right, rows at the front or top.
        x, y = (n - 0.5 - c + p for n, c, p in zip(cut.shape[::-1], self.center, pad, strict=True))
        box = (x - reach[0], y - reach[1], x + reach[0], y + reach[1])
        return fit(np.pad(cut, [(p, p) for p in pad[::-1]]), (SIDE, SIDE), box, smooth=smooth)


def _whole(scene: Scene, view: _View, name: str) -> RGB:
    """The whole slice with a crosshair, planes of one brain to one scale."""
    cut = view.cut(scene.t2star)
    extent = [n * step for n, step in zip(scene.t2star.shape, scene.zooms, strict=True)]
    scale = SIDE / max(extent)
    size = [max(1, round(extent[a] * scale)) for a in view.along]
    left, top = ((SIDE - n) // 2 for n in size)
    picture = np.zeros((SIDE, SIDE, 3), np.uint8)
    picture[top : top + size[1], left : left + size[0]] = gray_to_rgb(
        fit(cut, (size[0], size[1]), smooth=True)
    )
    x, y = (
        round(start + (n - 0.5 - c) * step * scale)
        for start, n, c, step in zip(
            (left, top), cut.shape[::-1], view.center, view.zooms, strict=True
        )
    )
    cross = np.zeros((SIDE, SIDE), np.bool_)
    cross[np.clip(y, 0, SIDE - 1)] = cross[:, np.clip(x, 0, SIDE - 1)] = True
    cross[max(0, y - _GAP) : y + _GAP + 1, max(0, x - _GAP) : x + _GAP + 1] = False
    tint(picture, cross, CROSS_COLOR, 0.8)
    first = "A" if name == "sagittal" else "R"
    return write(picture, {(5, 3): name, (5, SIDE // 2 - 8): first})


def _ticks(picture: RGB) -> RGB:
    """Mark the middle of each side: where they meet is the center of the candidate."""
    marked, middle = picture.copy(), SIDE // 2
    for line in (marked[middle], marked[:, middle]):
        line[:_TICK] = line[-_TICK:] = 255
    return marked
