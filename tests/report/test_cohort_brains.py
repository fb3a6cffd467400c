"""Brains of the group page: the right places, and each side on its own side."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from cmb_bidsapp.group.density import Density
from cmb_bidsapp.report.cohort_brains import glass_brain, region_heat

#: In the left middle frontal gyrus (mm).
FRONTAL = np.array([-38.0, 40.0, 12.0])


def color(ax, x, y):
    """RGBA that the last picture of a panel has at a place (mm)."""
    picture = ax.images[-1]
    left, right, bottom, top = picture.get_extent()
    data = np.asarray(picture.get_array())
    row = int((y - bottom) / (top - bottom) * data.shape[0])
    column = int((x - left) / (right - left) * data.shape[1])
    return data[row, column]


def is_warm(rgba):
    """Whether it has a color of the scale; a region without lesions is gray."""
    return rgba[0] - rgba[2] > 0.2


def across(ax, x):
    """Where in a panel a coordinate is drawn: 0 at its left edge, 1 at its right."""
    low, high = ax.get_xlim()
    return (x - low) / (high - low)


def test_a_left_frontal_lesion_is_left_and_in_front():
    density = Density()
    density.add(FRONTAL[None])
    figure = glass_brain(density.image())
    right, left, front, below = figure.axes[:4]
    x, y, z = FRONTAL
    assert is_warm(color(left, y, z))
    assert color(left, y, z)[3] > 0.8
    assert not np.asarray(right.images[-1].get_array())[..., 3].any()
    for ax, up in ((front, z), (below, y)):
        assert color(ax, x, up)[3] > 0.8
        assert color(ax, -x, up)[3] == 0
        # Radiological: the patient's left is on the right of the picture.
        assert across(ax, x) > 0.6
        assert [text.get_text() for text in sorted(ax.texts, key=Text.get_position)] == ["R", "L"]
    # The front of the head is on the left of the left view, and on the right of the right one.
    assert across(left, y) < 0.5 < across(right, y)
    assert "Radiological convention" in figure.get_supxlabel()


@pytest.mark.parametrize(("side", "warm", "cold"), [("left", 1, 0), ("right", 0, 1)])
def test_heat_is_on_the_side_of_the_lesions(side, warm, cold):
    axes = region_heat({("frontal", side): 3, ("thalamus", side): 1}, 6).axes
    views, coronal, axial = axes[:2], axes[2], axes[3]
    assert is_warm(color(views[warm], 40, 12))
    assert not is_warm(color(views[cold], 40, 12))
    # Parietal, without lesions.
    assert not is_warm(color(views[warm], -55, 45))
    sign = -1 if side == "left" else 1
    for ax, x, up in ((axial, 20, 45), (axial, 12, -18), (coronal, 20, 65), (coronal, 12, 8)):
        assert is_warm(color(ax, sign * x, up))
        assert not is_warm(color(ax, -sign * x, up))
        assert (across(ax, sign * x) > 0.5) == (side == "left")


def test_form_has_the_numbers_by_side():
    lesions = {("frontal", "left"): 1200, ("frontal", "right"): 7, ("dpwm", "right"): 2}
    form = region_heat({**lesions, ("unassigned", "unassigned"): 4}, 100, "swi").axes[4]
    rows = {}
    for text in form.texts:
        x, line = text.get_position()
        rows.setdefault(line, {})[x] = text.get_text()
    table = {min(row.items())[1]: [row.get(x) for x in (0.5, 1.5)] for row in rows.values()}
    assert table["frontal"] == ["7", "1,200"]
    assert table["deep white matter"] == ["2", "0"]
    assert table["brainstem"] == ["0", "0"]
    assert table["Total"] == ["9", "1,200"]
    assert table["right"] == ["right", "left"]
    assert "no region or side: 4, not drawn" in table


def test_darkest_is_the_region_with_most():
    axes = region_heat({("frontal", "left"): 9, ("parietal", "left"): 1}, 3).axes
    frontal, parietal = (color(axes[1], y, z)[:3].sum() for y, z in ((40, 12), (-55, 45)))
    assert frontal < parietal
    (bar,) = (ax for ax in axes if ax.get_xlabel() == "Microbleeds per participant")
    assert bar.get_xlim() == (0, 3)


def test_empty_cohorts_are_gray_and_have_no_scale():
    figures = [glass_brain(Density().image(), "none"), region_heat({}, 0, "none")]
    for figure, panels in zip(figures, (4, 5), strict=True):
        assert isinstance(figure, Figure)
        assert len(figure.axes) == panels
        figure.savefig(io.BytesIO(), format="png")
    assert not np.asarray(figures[0].axes[0].images[-1].get_array())[..., 3].any()
    assert not is_warm(color(figures[1].axes[1], 40, 12))
