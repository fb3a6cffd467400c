"""The picture of a candidate, and of a whole brain."""

import dataclasses
from dataclasses import replace

import numpy as np
import pytest

from cmb_bidsapp.report.closeups import (
    OTHER_COLOR,
    OUTSIDE_COLOR,
    SHELL_COLOR,
    SIDE,
    Periphery,
    Scene,
    closeups,
    panels_of,
)
from cmb_bidsapp.report.figures import (
    KEPT_COLOR,
    REJECTED_COLOR,
)
from cmb_bidsapp.report.painting import color, save

PAPER = Periphery("paper", 2.0)

ZOOMS = (1.0, 1.0, 3.0)


@pytest.fixture
def scene():
    """Candidate 7, of 5 x 5 x 2 voxels, right of the middle; half of what is around is no brain."""
    shape = (61, 61, 21)
    t2star = np.full(shape, 200, np.uint8)
    numbers = np.zeros(shape, np.uint8)
    numbers[38:43, 28:33, 10:12] = 7
    t2star[numbers > 0] = 10
    labels = np.ones(shape, np.uint8)
    labels[:, 31:] = 0
    return Scene(
        t2star=t2star, t1w=np.full(shape, 90, np.uint8), numbers=numbers, labels=labels, zooms=ZOOMS
    )


def draw(scene, periphery=PAPER, code=KEPT_COLOR):
    ((number, picture),) = closeups(scene, periphery, {7: code})
    assert number == 7
    return picture


def panel(picture, row, column):
    """Without what is written at its top, and the ticks at its sides."""
    step = SIDE + 2
    whole = picture[row * step : row * step + SIDE, column * step : column * step + SIDE]
    return whole[20:-20, 20:-20].astype(int)


def of(code, part, near=8):
    return (np.abs(part - color(code).astype(int)).max(axis=-1) <= near).nonzero()


def extent(part):
    """Height and width of what is dark."""
    rows, columns = (part[..., 0] < 100).nonzero()
    return np.ptp(rows) + 1, np.ptp(columns) + 1


def test_a_candidate_is_in_the_middle_of_every_plane_and_true_to_scale(scene):
    picture = draw(scene)
    for row, (height, width) in enumerate([(5, 5), (6, 5), (6, 5)]):
        plain = panel(picture, row, 1)
        dark = (plain[..., 0] < 100).nonzero()
        assert np.mean(dark, axis=1) == pytest.approx([SIDE / 2 - 20] * 2, abs=2.5)
        per_mm = SIDE / 36
        assert extent(plain) == pytest.approx((height * per_mm, width * per_mm), abs=per_mm)


def test_outlines_leave_what_they_surround_and_the_plain_picture_alone(scene):
    picture = draw(scene)
    for row in range(3):
        assert not len(of(KEPT_COLOR, panel(picture, row, 1))[0])
        assert extent(panel(picture, row, 2)) == pytest.approx(
            extent(panel(picture, row, 1)), abs=2
        )
        rows, columns = of(KEPT_COLOR, panel(picture, row, 2))
        height, width = extent(panel(picture, row, 1))
        assert np.ptp(rows) + 1 == pytest.approx(height + 4, abs=3)
        assert np.ptp(columns) + 1 == pytest.approx(width + 4, abs=3)
    assert len(of(REJECTED_COLOR, panel(draw(scene, code=REJECTED_COLOR), 0, 2))[0])


def test_other_candidates_nearby_are_outlined_too(scene):
    assert not len(of(OTHER_COLOR, panel(draw(scene), 0, 2))[0])
    numbers = scene.numbers.copy()
    numbers[46:49, 28:33, 10:12] = 3
    near = draw(replace(scene, numbers=numbers))
    _, columns = of(OTHER_COLOR, panel(near, 0, 2))
    # Farther to the right of the patient, 3 mm wide; on the plain picture there is nothing.
    assert columns.max() < SIDE / 2 - 20 - 2.5 * SIDE / 36
    assert np.ptp(columns) + 1 == pytest.approx(3 * SIDE / 36 + 2, abs=2)
    assert not len(of(OTHER_COLOR, panel(near, 0, 1))[0])


def test_the_periphery_is_the_one_that_cfpr_looked_at(scene):
    def height(mode):
        return np.ptp(of(SHELL_COLOR, panel(draw(scene, Periphery(mode, 3.0)), 1, 2))[0])

    # Slices of 3 mm are no neighbors for the paper, and are for its code.
    assert height("reference") > height("paper") + 20
    wide = np.ptp(of(SHELL_COLOR, panel(draw(scene, Periphery("paper", 6.0)), 0, 2))[1])
    assert wide == pytest.approx((5 + 12) * SIDE / 36, abs=6)


def test_what_of_the_periphery_is_not_brain_is_hatched(scene):
    rows, _ = of(OUTSIDE_COLOR, panel(draw(scene), 0, 2), near=40)
    # Up is to the front, where the labels end.
    assert len(rows) > 20
    assert rows.max() < SIDE / 2 - 20


def test_the_crosshair_lies_where_the_candidate_does_in_radiological_convention(scene):
    whole = draw(scene)[:SIDE, :SIDE].astype(int)
    lines = np.abs(whole - whole.min(axis=-1, keepdims=True)).max(axis=-1) > 60
    column = int(lines.sum(axis=0).argmax())
    # Right of the middle of the patient is left of the middle of the picture.
    # The largest side, 63 mm, fills the panel; the others lie in its middle.
    assert column == pytest.approx(SIDE * (1 + 61 - 40.5) / 63, abs=2)


def test_without_a_t1w_there_is_no_panel_for_it(scene):
    t2star_only = Scene(
        t2star=scene.t2star, t1w=None, numbers=scene.numbers, labels=scene.labels, zooms=ZOOMS
    )
    assert draw(scene).shape[1] - draw(t2star_only).shape[1] == SIDE + 2


def test_phase_and_weighted_image_have_a_panel_each_where_there_are_such(scene):
    def gray_levels(**more):
        picture = draw(replace(scene, **more))
        return [int(np.median(panel(picture, 0, n))) for n in range(3, picture.shape[1] // SIDE)]

    phase, swi = (np.full_like(scene.t2star, level) for level in (40, 150))
    assert gray_levels() == [90]
    assert gray_levels(phase=phase) == [90, 40]
    assert gray_levels(phase=phase, swi=swi) == [90, 40, 150]


def test_a_candidate_at_the_edge_of_the_image_stays_in_the_middle_of_its_picture(scene):
    numbers = np.zeros_like(scene.numbers)
    numbers[58:61, 0:3, 0] = 7
    t2star = np.where(numbers > 0, 10, 200).astype(np.uint8)
    picture = draw(
        Scene(t2star=t2star, t1w=None, numbers=numbers, labels=scene.labels, zooms=ZOOMS)
    )
    rows, columns = of(KEPT_COLOR, panel(picture, 0, 2))
    assert (np.mean(rows), np.mean(columns)) == pytest.approx((SIDE / 2 - 20,) * 2, abs=3)


def middle(picture, column):
    """Of a slice before or after the candidate."""
    return panel(picture, 3, column)[20:-20, 20:-20]


def test_slices_before_and_after_show_whether_it_goes_on(scene):
    """The candidate has slices 10 and 11; its own is 10, as good as the other."""
    picture = draw(scene)
    darkest = [middle(picture, column).min() for column in range(4)]
    assert [one < 100 for one in darkest] == [False, False, True, False], "-2, -1, +1 and +2"
    vessel = scene.t2star.copy()
    vessel[38:43, 28:33] = 10
    through = draw(dataclasses.replace(scene, t2star=vessel))
    assert all(middle(through, column).min() < 100 for column in range(4))
    odd = draw(dataclasses.replace(scene, t1w=None))
    assert [middle(odd, column).min() < 100 for column in range(3)] == [False, True, True]


def test_beyond_the_image_there_is_no_slice(scene):
    numbers = np.zeros_like(scene.numbers)
    numbers[30, 30, 20] = 7
    picture = draw(dataclasses.replace(scene, t1w=None, numbers=numbers))
    assert middle(picture, 2).max() < 20
    assert middle(picture, 0).min() > 100


def test_panels_of_a_written_picture_are_counted(scene, tmp_path):
    save(draw(scene), tmp_path / "four.webp")
    assert panels_of(tmp_path / "four.webp") == (4, 4)
    save(draw(scene)[: 3 * (SIDE + 2)], tmp_path / "earlier.webp")
    assert panels_of(tmp_path / "earlier.webp") == (4, 3)
