"""Figures of the group page that show where microbleeds lie, on the packaged brain."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from scipy import ndimage

from cmb_bidsapp.core.arrays import Regions, Volume
from cmb_bidsapp.core.labels import LEFT, MARS, MARS_FORM, RIGHT, SIDES
from cmb_bidsapp.group.density import UNIT
from cmb_bidsapp.report import brains
from cmb_bidsapp.report.brains import Extent, View
from cmb_bidsapp.report.cohort_figures import page_figure
from cmb_bidsapp.report.evaluation_figures import GRAY

#: What each figure shows, for those who do not see it.
ALT = MappingProxyType(
    {
        "glass_brain": "Density of microbleeds, seen through the brain from the right, from the "
        "left, from the front and from below.",
        "region_heat": "The regions of the MARS form on the brain and in a table, left and right, "
        "colored by their microbleeds.",
    }
)
CONVENTION = "Radiological convention: the right side of the patient is on the left."

#: From few to many; a region without any is gray.
HEAT = colormaps["YlOrRd"]
NONE_COLOR = (0.90, 0.91, 0.92)
WORDS = MappingProxyType({"dpwm": "deep white matter"})
#: Slices that cut every deep region: y and z, mm.
CORONAL_MM, AXIAL_MM = -14.0, 10.0
#: Room that an abbreviation needs to each side, by its letters, and a line from the next, mm.
LETTERS_MM, LINE_MM = MappingProxyType({1: 4.0, 2: 5.0, 4: 10.0}), 11.0

Colors = npt.NDArray[np.float64]


def glass_brain(density: Volume[np.float32], title: str = "") -> Figure:
    """Density map seen through the brain: the highest value along each line of sight.

    Parameters
    ----------
    density
        As :meth:`cmb_bidsapp.group.density.Density.image` gives it.
    title
        Whose it is, such as ``swi, 42 participants``.
    """
    figure = page_figure(7.4)
    panels = figure.subplots(2, 2).ravel()
    scale = Normalize(0, float(density.data.max()))
    for ax, view in zip(panels, brains.VIEWS, strict=True):
        outside = brains.surface(view)
        light = 0.72 + 0.26 * outside.light
        _show(ax, np.stack([light, light, light, outside.cover], axis=-1), outside.extent)
        seen = scale(brains.through(density.data, density.affine, view))
        # Faint where there is little, so that the brain stays in sight.
        colors = np.concatenate([HEAT(seen)[..., :3], np.clip(3 * seen, 0, 0.9)[..., None]], -1)
        _show(ax, colors, view.plane(density.affine, density.data.shape))
        _frame(ax, view, view.title)
    _finish(figure, scale, UNIT, title)
    return figure


def region_heat(lesions: Mapping[tuple[str, str], int], people: int, title: str = "") -> Figure:
    """The regions of the MARS form colored by their microbleeds per participant, beside numbers.

    Parameters
    ----------
    lesions
        Counted microbleeds by region (name of :data:`cmb_bidsapp.core.labels.MARS_FORM`) and side
        (``left``, ``right``); what has other names (``unassigned``) is told, not drawn.
    people
        Number of participants they were found in.
    title
        Whose they are, such as ``swi, 42 participants``.
    """
    numbers = {
        side + MARS[name]: lesions.get((name, SIDES[side]), 0) for side in SIDES for name in MARS
    }
    scale = Normalize(0, max(numbers.values()) / max(people, 1))
    colors = np.ones((256, 3))
    for value, number in numbers.items():
        colors[value] = HEAT(scale(number / people))[:3] if number else NONE_COLOR
    figure = page_figure(6.8)
    grid = figure.add_gridspec(2, 3, width_ratios=(1, 1, 1.2))
    for column, view in enumerate((brains.RIGHT, brains.LEFT)):
        ax = figure.add_subplot(grid[0, column])
        outside = brains.surface(view)
        labels, extent = brains.outside(view)
        picture = _painted(labels, colors) * (0.62 + 0.42 * outside.light)[..., None]
        _show(ax, np.concatenate([picture.clip(0, 1), outside.cover[..., None]], -1), extent)
        _letters(ax, labels, extent, colors, cut=False)
        _frame(ax, view, view.title)
    for column, (view, mm, name) in enumerate(
        ((brains.FRONT, CORONAL_MM, "Coronal, y"), (brains.BELOW, AXIAL_MM, "Axial, z"))
    ):
        ax = figure.add_subplot(grid[1, column])
        labels, extent = brains.section(view, mm)
        cover = (labels > 0).astype(float)[..., None]
        _show(ax, np.concatenate([_painted(labels, colors), cover], -1), extent)
        _letters(ax, labels, extent, colors, cut=True)
        _frame(ax, view, f"{name} = {mm:g} mm")
    left_out = sum(lesions.values()) - sum(numbers.values())
    _form(figure.add_subplot(grid[:, 2]), numbers, colors, left_out)
    _finish(figure, scale, "microbleeds per participant", title)
    return figure


def _painted(labels: Regions, colors: Colors) -> Colors:
    """Regions in their colors, with dark borders."""
    border = ndimage.morphological_gradient(labels, size=3) > 0
    painted: Colors = colors[labels] * np.where(border, 0.55, 1.0)[..., None]
    return painted


def _letters(ax: Axes, labels: Regions, extent: Extent, colors: Colors, *, cut: bool) -> None:
    """Write the abbreviation of each region where it has most room.

    In a slice (``cut``) those without room stand beside the brain, on their own side.
    """
    letters = {number: MARS_FORM[name][0] for name, number in MARS.items()}
    beside: dict[int, list[tuple[float, float, str]]] = {LEFT: [], RIGHT: []}
    for value, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        side, text = value // LEFT * LEFT, letters[value % LEFT]
        room = ndimage.distance_transform_edt(np.pad(labels[box] == value, 1))
        place = np.unravel_index(room.argmax(), room.shape)
        corner = np.array([along.start for along in box]) - 1
        x, y = (corner + place + 0.5) / brains.FINER + (extent[0], extent[2])
        if room[place] >= LETTERS_MM[len(text)] * brains.FINER:
            ink = _ink(colors[value])
            ax.text(x, y, text, ha="center", va="center", fontsize=8.5, color=ink)
        elif cut:
            beside[side].append((y, x, text))
    for side, texts in beside.items():
        line = math.inf
        for y, x, text in sorted(texts, reverse=True):
            line = min(line - LINE_MM, y + LINE_MM)
            ax.annotate(
                text, (x, y), (extent[1] if side == RIGHT else extent[0], line), fontsize=8.5,
                ha="right" if side == RIGHT else "left", va="center", annotation_clip=False,
                arrowprops={"arrowstyle": "-", "linewidth": 0.6, "color": GRAY, "shrinkB": 0},
            )  # fmt: skip
            ax.plot(x, y, ".", markersize=3, color=GRAY)


def _form(ax: Axes, numbers: Mapping[int, int], colors: Colors, left_out: int) -> None:
    """The form itself: a row for each region, the patient's right first, and totals."""
    ax.set_axis_off()
    ax.set_xlim(-4.9, 2)
    line = 0.0
    for column, side in enumerate((RIGHT, LEFT)):
        ax.text(column + 0.5, line, SIDES[side], ha="center", va="center", color=GRAY)
    group = ""
    for name, (letters, proxy, _) in MARS_FORM.items():
        if proxy != group:
            group = proxy
            line += 1.35
            ax.text(-4.9, line, group.capitalize(), va="center", weight="bold")
        line += 1
        ax.text(-4.75, line, WORDS.get(name, name.replace("-", " ")), va="center", fontsize=9)
        ax.text(-0.12, line, letters, ha="right", va="center", fontsize=9, color=GRAY)
        for column, side in enumerate((RIGHT, LEFT)):
            value = side + MARS[name]
            corner = (column + 0.04, line - 0.44)
            ax.add_patch(Rectangle(corner, 0.92, 0.88, facecolor=colors[value]))
            ax.text(
                column + 0.5, line, f"{numbers[value]:,}", ha="center", va="center",
                color=_ink(colors[value]),
            )  # fmt: skip
    line += 1.35
    ax.text(-4.9, line, "Total", va="center", weight="bold")
    for column, side in enumerate((RIGHT, LEFT)):
        total = sum(numbers[side + number] for number in MARS.values())
        ax.text(column + 0.5, line, f"{total:,}", ha="center", va="center", weight="bold")
    if left_out:
        line += 1
        ax.text(-4.9, line, f"no region or side: {left_out:,}, not drawn", va="center", color=GRAY)
    ax.set_ylim(line + 0.6, -0.6)


def _show(ax: Axes, picture: Colors, extent: Extent) -> None:
    ax.imshow(picture.swapaxes(0, 1), extent=extent, origin="lower", interpolation="bilinear")


def _frame(ax: Axes, view: View, title: str) -> None:
    left, right, bottom, top = brains.surface(view).extent
    ax.set_xlim((right, left) if view.mirrored else (left, right))
    ax.set_ylim(bottom, top)
    ax.set_title(title, fontsize=10.5)
    ax.set_axis_off()
    for place, text in zip((0.0, 1.0), view.ends, strict=True):
        ax.text(
            place, 0.06, text, transform=ax.transAxes, ha="left" if place == 0 else "right",
            color=GRAY,
        )  # fmt: skip


def _finish(figure: Figure, scale: Normalize, unit: str, title: str) -> None:
    if scale.vmax:
        bar = figure.colorbar(
            ScalarMappable(scale, HEAT), ax=figure.axes, location="bottom", shrink=0.45,
            aspect=36, pad=0.01, ticks=MaxNLocator(5), label=unit[0].upper() + unit[1:],
        )  # fmt: skip
        bar.outline.set_visible(False)
    figure.suptitle(title, fontsize=11.5)
    figure.supxlabel(CONVENTION, fontsize=9, color=GRAY)


def _ink(color: Colors) -> str:
    """Black or white, whichever is read better on a color."""
    return "black" if color @ (0.299, 0.587, 0.114) > 0.5 else "white"
