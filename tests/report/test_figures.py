"""Pictures: what they show, where, in which colours, and of whom there is one."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from cmb_bidsapp.bids.outputs import write_image
from cmb_bidsapp.core.labels import LEFT, MARS, RIGHT
from cmb_bidsapp.lesions.lesion import Status
from cmb_bidsapp.lesions.table import read_lesions
from cmb_bidsapp.report import figures
from cmb_bidsapp.report.closeups import (
    OTHER_COLOR,
    OUTSIDE_COLOR,
    SHELL_COLOR,
    SIDE,
    Periphery,
    Scene,
    closeups,
)
from cmb_bidsapp.report.figures import (
    FEW_COLORS,
    KEPT_COLOR,
    MOSAIC,
    REJECTED_COLOR,
    chosen_slices,
    mosaic,
    session_figures,
)
from cmb_bidsapp.report.painting import Slices, box_around, colour, plane, tint
from tests.report.heads import LEFT_THALAMUS, RIGHT_FRONTAL, RIM, finish_session

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
    return Scene(t2star, np.full(shape, 90, np.uint8), numbers, labels, ZOOMS)


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
    return (np.abs(part - colour(code).astype(int)).max(axis=-1) <= near).nonzero()


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

    # Slices of 3 mm are no neighbours for the paper, and are for its code.
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
    t2star_only = Scene(scene.t2star, None, scene.numbers, scene.labels, ZOOMS)
    assert draw(scene).shape[1] - draw(t2star_only).shape[1] == SIDE + 2


def test_a_candidate_at_the_edge_of_the_image_stays_in_the_middle_of_its_picture(scene):
    numbers = np.zeros_like(scene.numbers)
    numbers[58:61, 0:3, 0] = 7
    t2star = np.where(numbers > 0, 10, 200).astype(np.uint8)
    picture = draw(Scene(t2star, None, numbers, scene.labels, ZOOMS))
    rows, columns = of(KEPT_COLOR, panel(picture, 0, 2))
    assert (np.mean(rows), np.mean(columns)) == pytest.approx((SIDE / 2 - 20,) * 2, abs=3)


# Overviews


def test_slices_are_spread_over_the_brain_and_show_microbleeds_where_there_are_some():
    brain = np.zeros((4, 4, 60), np.bool_)
    brain[:, :, 6:54] = True
    none = np.zeros_like(brain)
    plain = chosen_slices(brain, none)
    assert len(plain) == MOSAIC
    assert set(np.diff(plain)) == {-4}
    lesions = none.copy()
    lesions[1, 1, 20:22] = lesions[2, 2, 21] = True
    with_some = chosen_slices(brain, lesions)
    assert set(with_some) - set(plain) == {21}
    assert chosen_slices(none, none)
    assert len(chosen_slices(brain[:, :, 50:], lesions[:, :, 50:])) == 4


def test_an_overview_has_the_right_side_on_the_left_and_the_front_above():
    shades = np.zeros((40, 60, 1), np.uint8)
    shades[30:, 50:] = 255
    picture = mosaic(shades, ZOOMS, [0])
    rows, columns = (picture[30:, :240, 0] > 128).nonzero()
    assert columns.max() < 240 * 0.3
    assert rows.max() < 360 * 0.25 - 30
    assert len(picture) == 360 + 2


def test_regions_are_tinted_and_edges_drawn():
    shades = np.full((20, 20, 1), 100, np.uint8)
    mask = np.zeros(shades.shape, np.bool_)
    mask[5:15, 5:15] = True
    filled = mosaic(shades, ZOOMS, [0], regions={"#ff0000": mask})
    around = mosaic(shades, ZOOMS, [0], rings={"#ff0000": mask})
    assert filled[120, 120].tolist() == pytest.approx(
        [100 + FEW_COLORS * 155, 100 * (1 - FEW_COLORS), 100 * (1 - FEW_COLORS)], abs=1
    )
    assert around[120, 120].tolist() == [100, 100, 100]
    assert around[120, 59].tolist() == [255, 0, 0]


def test_a_turned_image_is_shown_and_placed_as_any_other():
    affine = np.array([[0, -2.0, 0, 10], [0, 0, 3.0, -5], [-4.0, 0, 0, 7], [0, 0, 0, 1]])
    data = np.arange(4 * 5 * 6).reshape(4, 5, 6)
    slices = Slices(affine)
    turned = slices.volume(data)
    assert slices.zooms.tolist() == [2, 3, 4]
    box = (slice(1, 4), slice(2, 6), slice(1, 3))
    place = slices.affine(data.shape, box)
    assert np.all(np.diag(place)[:3] > 0)
    index = np.argwhere(data == turned[box][1, 2, 1])[0]
    there = nib.affines.apply_affine(place, (1, 2, 1))
    assert there == pytest.approx(nib.affines.apply_affine(affine, index))


def test_a_box_holds_the_mask_and_nothing_else():
    mask = np.zeros((5, 6, 7), np.bool_)
    assert box_around(mask) == (slice(0, 5), slice(0, 6), slice(0, 7))
    mask[1, 2, 3] = mask[3, 2, 5] = True
    assert box_around(mask) == (slice(1, 4), slice(2, 3), slice(3, 6))


def test_a_plane_is_cut_as_a_radiologist_looks_at_it():
    volume = np.arange(24).reshape(2, 3, 4)
    assert plane(volume, 2, 1).tolist() == volume[::-1, ::-1, 1].T.tolist()
    assert plane(volume, 0, 1).tolist() == volume[1, ::-1, ::-1].T.tolist()


def test_a_tint_is_a_blend():
    picture = np.full((1, 2, 3), 100, np.uint8)
    tint(picture, np.array([[True, False]]), "#00ff00", 0.5)
    assert picture.tolist() == [[[50, 177, 50], [100, 100, 100]]]


# Files


def names(files):
    return {path.name.partition("_desc-")[2] for path in files.figure("a").parent.iterdir()}


def test_every_candidate_and_overview_has_a_file(finished):
    shown = {f"{name}.webp" for name in figures.OVERVIEWS}
    assert {f"lesion00{n}.webp" for n in (1, 2, 3)} | shown <= names(finished)
    assert Image.open(finished.figure("lesion001")).size == (4 * (SIDE + 2), 3 * (SIDE + 2))


def test_without_a_t1w_there_is_no_picture_of_it(tmp_path):
    files = finish_session(tmp_path, t1w=False)
    assert not any("T1w" in name for name in names(files))


def test_figures_of_an_earlier_run_are_gone(tmp_path, finished):
    other = finish_session(tmp_path, session="A")
    session_figures(finished, read_lesions(finished.lesions)[:1], Periphery("paper", 2.0))
    assert [name for name in names(finished) if "lesion" in name and name < "lesion002"]
    assert not finished.figure("lesion002").exists()
    assert other.figure("lesion002").exists()


def test_pictures_are_for_the_kept_and_the_likely_where_candidates_are_many(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "PICTURED", 2)
    files = finish_session(tmp_path, places=[RIM, LEFT_THALAMUS, RIGHT_FRONTAL])
    kept = {lesion.number for lesion in read_lesions(files.lesions) if lesion.kept}
    assert len(kept) == 2
    assert {f"lesion{n:03d}.webp" for n in kept} == {n for n in names(files) if "lesion" in n}


def painted(files, left, right, status="kept"):
    """The figure of MARS regions where each half of the brain is one region."""
    image = nib.load(files.t2star_brain)
    brain = np.asarray(image.dataobj)
    halves = np.arange(len(brain))[:, None, None] > len(brain) // 2
    sides = np.where(halves, LEFT + MARS[left], RIGHT + MARS[right])
    write_image(files.mars, (brain * sides).astype(np.uint8), image.affine)
    lesions = [replace(one, status=Status(status)) for one in read_lesions(files.lesions)]
    session_figures(files, lesions, PAPER)
    return np.asarray(Image.open(files.figure("mars"))).astype(int)


def test_the_mars_figure_paints_regions_alike_on_both_sides(finished):
    alike = painted(finished, "thalamus", "thalamus")
    other = painted(finished, "frontal", "thalamus")
    # A line through a slice of the first row, the patient's right side first.
    row, (right, left) = alike.shape[0] // 6, (3 * 242 + 80, 3 * 242 + 160)
    assert alike[row, right] == pytest.approx(alike[row, left], abs=12)
    assert alike[row, right][0] > alike[row, right][2] + 40  # orange
    assert other[row, right] == pytest.approx(alike[row, right], abs=12)
    assert other[row, left][2] > other[row, left][0] + 40  # blue


def test_microbleeds_stand_out_in_regions_of_their_usual_colour(finished):
    def white(status):
        figure = painted(finished, "basal-ganglia", "basal-ganglia", status)
        return (figure.min(axis=-1) > 200).sum()

    assert white("kept") > white("rejected") + 20
