"""The picture of one microbleed through time."""

from types import SimpleNamespace

import numpy as np
import pytest

from cmb_bidsapp.core.labels import CMB, PROXY_COLORS
from cmb_bidsapp.lesions.presence import Change, State
from cmb_bidsapp.preprocess.resampling import Grid
from cmb_bidsapp.report.closeups import SHOWN_MM, SIDE
from cmb_bidsapp.report.painting import color, save
from cmb_bidsapp.report.track_figures import GUTTER, columns_of, panels, side_by_side, words_of

SHAPE = (60, 60, 20)
AFFINE = np.array([[1.0, 0, 0, -30], [0, 1, 0, -30], [0, 0, 4, -40], [0, 0, 0, 1]])
#: World (mm) of a spot in the right half.
SPOT = np.array([10.0, 5.0, 0.0])


@pytest.fixture
def image():
    """Flat tissue with a dark square, and the number of the lesion there."""
    t2star, instances = np.full(SHAPE, 100, np.float32), np.zeros(SHAPE, np.uint8)
    here = (slice(39, 42), slice(34, 37), slice(10, 11))
    t2star[here], instances[here] = 10, 3
    return t2star, instances


def drawn(image, *sightings, pull=None):
    """Panels of one session, a track for each sighting: lesion in the visit, or None."""
    t2star, instances = image
    grid = Grid(SHAPE, AFFINE)
    visit = SimpleNamespace(grid=grid, pull=np.eye(4) if pull is None else pull)
    tracks = [(SimpleNamespace(place=SPOT, lesion=lesion),) for lesion in sightings]
    brain = np.ones(SHAPE, bool)
    return list(panels(tracks, 0, visit, grid, t2star, brain, instances, [3]))


def row(picture, n):
    """Of the slices after, at and before the place."""
    return picture[n * (SIDE + GUTTER) : n * (SIDE + GUTTER) + SIDE]


def test_the_place_is_in_the_middle_and_outlined_where_it_was_found(image):
    found, absent = (row(picture, 1) for picture in drawn(image, 0, None))
    assert found.shape == (SIDE, SIDE, 3)
    middle = SIDE // 2
    assert found[middle, middle].max() < 30
    outline = (found == color(PROXY_COLORS[CMB])).all(axis=-1)
    rows, columns = np.nonzero(outline)
    assert (rows.min() + rows.max()) / 2 == pytest.approx(middle, abs=2)
    pixels = 3 * SIDE / SHOWN_MM
    assert columns.max() - columns.min() == pytest.approx(pixels, abs=8)
    assert not (absent == color(PROXY_COLORS[CMB])).all(axis=-1).any()


def test_a_session_is_sampled_where_the_registration_says(image):
    pull = np.eye(4)
    pull[0, 3] = -6
    (moved,) = drawn(image, None, pull=pull)
    dark = np.argwhere(row(moved, 1)[..., 0] < 60).mean(axis=0)
    # What lies 6 mm to the right of the place is to its left in the picture.
    assert dark[1] - SIDE / 2 == pytest.approx(-6 * SIDE / SHOWN_MM, abs=4)


@pytest.mark.parametrize(("beyond", "rows"), [(1, [0, 1]), (0, [1]), (-1, [1, 2])])
def test_the_slices_next_to_the_place_are_above_and_below_it(image, beyond, rows):
    t2star, instances = image
    # A place in slice 10, whose neighbor is dark too, or is not.
    t2star[39:42, 34:37, 10 + beyond] = instances[39:42, 34:37, 10 + beyond] = 3
    (found,) = drawn((t2star, instances), 0)
    middle = slice(SIDE // 2 - 5, SIDE // 2 + 5)
    assert [n for n in range(3) if row(found, n)[middle, middle].max() < 40] == rows
    # What is written is above what is shown: head to the top.
    assert [row(found, n)[:18, :60].min() < 50 for n in range(3)] == [True, False, True]


def test_panels_stand_side_by_side_with_a_white_line_between(image, tmp_path):
    (one,) = drawn(image, None)
    joined = side_by_side([one, one], ["A", "B"])
    assert joined.shape == (3 * SIDE + 2 * GUTTER, 2 * SIDE + GUTTER, 3)
    assert (joined[:, SIDE : SIDE + GUTTER] == 255).all()
    assert row(joined, 1)[:18, :SIDE].min() < 50
    assert row(joined, 1)[:18, SIDE + GUTTER :].min() < 50
    path = save(joined, tmp_path / "track.webp")
    assert columns_of(path) == pytest.approx(2 + GUTTER / SIDE)


def test_each_panel_says_its_session_and_what_it_has():
    track = (
        SimpleNamespace(change=Change.BASELINE, state=State.PRESENT),
        SimpleNamespace(change=None, state=State.BELOW_THRESHOLD),
        SimpleNamespace(change=None, state=State.GONE),
    )
    told = words_of(track, ["ses-A", "ses-B", "ses-C"])
    assert told == ["ses-A  baseline", "ses-B  below threshold", "ses-C  gone"]
