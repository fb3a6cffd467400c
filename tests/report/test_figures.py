"""Pictures: what they show, where, in which colors, and of whom there is one."""

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
from cmb_bidsapp.report.closeups import SIDE, Periphery
from cmb_bidsapp.report.figures import (
    FEW_COLORS,
    MOSAIC,
    chosen_slices,
    mosaic,
    session_figures,
)
from cmb_bidsapp.report.painting import Slices
from tests.report.heads import LEFT_THALAMUS, RIGHT_FRONTAL, RIM, finish_session
from tests.report.test_closeups import PAPER, ZOOMS, panel


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


# Files
def names(files):
    return {path.name.partition("_desc-")[2] for path in files.figure("a").parent.iterdir()}


def test_every_candidate_and_overview_has_a_file(finished):
    shown = {f"{name}.webp" for name in figures.OVERVIEWS}
    assert {f"lesion00{n}.webp" for n in (1, 2, 3)} | shown <= names(finished)
    assert Image.open(finished.figure("lesion001")).size == (4 * (SIDE + 2), 4 * (SIDE + 2))


def test_without_a_t1w_there_is_no_picture_of_it(tmp_path):
    files = finish_session(tmp_path, t1w=False)
    assert not any("T1w" in name for name in names(files))


def test_the_weighted_image_is_shown_as_the_t2star_is_where_the_session_has_one(finished):
    def drawn():
        session_figures(finished, read_lesions(finished.lesions), PAPER)
        return np.asarray(Image.open(finished.figure("lesion001"))).astype(int)

    t2star = nib.load(finished.t2star)
    write_image(finished.swi, np.asarray(t2star.dataobj) / 2, t2star.affine)
    picture = drawn()
    assert picture.shape[1] == 5 * (SIDE + 2)
    assert panel(picture, 0, 4).mean() < 0.7 * panel(picture, 0, 1).mean()
    finished.swi.unlink()
    assert drawn().shape[1] == 4 * (SIDE + 2)


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


def test_microbleeds_stand_out_in_regions_of_their_usual_color(finished):
    def white(status):
        figure = painted(finished, "basal-ganglia", "basal-ganglia", status)
        return (figure.min(axis=-1) > 200).sum()

    assert white("kept") > white("rejected") + 20
