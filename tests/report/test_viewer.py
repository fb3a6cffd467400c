"""Volumes of the viewer: what is written, where it lies, and what a page takes in."""

import gzip
from importlib.machinery import ModuleSpec

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine

from cmb_bidsapp.core.arrays import Volume
from cmb_bidsapp.report import viewer
from cmb_bidsapp.report.viewer import (
    KEPT,
    REJECTED,
    coarser,
    script,
    volume_file,
    with_export,
    write_volumes,
)
from tests.report.heads import AFFINE, LEFT_THALAMUS, RIGHT_FRONTAL, RIM, loaded

MADE = 'log.debug("Creating new Niivue instance");let B=A.get("opts")??{},C=Yg(B);vA=new q2(C)}'


def at(path, place):
    """Value of an image at a place in the world."""
    data, affine = loaded(path)
    i, j, k = np.rint(apply_affine(np.linalg.inv(affine), place)).astype(int)
    return int(data[i, j, k])


# The script


def test_the_installed_script_can_be_shown_with_its_license():
    found = script()
    code = gzip.decompress(viewer.base64.b64decode(found.packed)).decode()
    assert code.endswith("as Niivue };\n")
    assert "Redistribution and use in source and binary forms" in found.license
    assert found.version[0].isdigit()


@pytest.mark.parametrize("made", ["var q2=class{constructor(){}};", "class q2{constructor(){}};"])
def test_the_class_is_exported_under_its_name(made):
    assert with_export(made + MADE).endswith("\nexport { q2 as Niivue };\n")


@pytest.mark.parametrize(
    "code",
    [
        "",
        MADE,
        f"var q2=function(){{}};{MADE}",
        f"class q2{{}};class q3{{}};{MADE};{MADE.replace('q2', 'q3')}",
        f"class q22{{}};class aq2{{}};{MADE}",
    ],
)
def test_a_script_that_is_made_otherwise_is_not_guessed_at(code):
    with pytest.raises(LookupError, match="does not expose the NiiVue class"):
        with_export(code)


@pytest.fixture
def unread(monkeypatch):
    script.cache_clear()
    yield monkeypatch
    script.cache_clear()


def test_what_lacks_of_the_package_is_said(unread, tmp_path):
    unread.setattr(viewer, "find_spec", lambda name: None)
    with pytest.raises(LookupError, match="ipyniivue is not installed"):
        script()
    place = ModuleSpec("ipyniivue", None, origin=str(tmp_path / "__init__.py"))
    unread.setattr(viewer, "find_spec", lambda name: place)
    with pytest.raises(LookupError, match=r"has no widget\.js"):
        script()


def test_a_script_without_its_license_is_not_passed_on(unread):
    class Bare:
        files = ()
        version = "1"

    unread.setattr(viewer, "distribution", lambda name: Bare)
    with pytest.raises(LookupError, match="has no license file"):
        script()


# Volumes


def test_volumes_lie_where_the_images_do_and_are_cut_to_the_brain(finished):
    whole, _ = loaded(finished.t2star)
    t2star, affine = loaded(volume_file(finished, "T2starw"))
    assert t2star.dtype == np.uint8
    assert t2star.size < whole.size
    assert nib.aff2axcodes(affine) == ("R", "A", "S")
    for place in (RIGHT_FRONTAL, LEFT_THALAMUS):
        assert at(volume_file(finished, "T2starw"), place) < 40
    assert at(volume_file(finished, "T2starw"), (0, 0, 0)) == pytest.approx(127, abs=3)
    # All its white matter is of one level, which must not be white.
    assert at(volume_file(finished, "T1w"), (-5, 0, 0)) == pytest.approx(222, abs=1)
    assert at(volume_file(finished, "regions"), (10, 12, 4)) == 209
    assert at(volume_file(finished, "regions"), (-5, 0, 0)) == 104


def test_outlines_surround_candidates_within_their_slice_and_tell_kept_from_rejected(finished):
    outlines = volume_file(finished, "outlines")
    x, y, z = RIGHT_FRONTAL
    assert at(outlines, (x, y, z)) == at(outlines, (x + 1, y, z)) == 0
    assert at(outlines, (x + 2, y, z)) == at(outlines, (x, y - 2, z)) == KEPT
    assert at(outlines, (x, y, z + 4)) == at(outlines, (x + 3, y, z)) == 0
    x, y, z = RIM
    assert at(outlines, (x + 2, y, z)) == REJECTED


def test_of_thin_slices_the_outline_has_neighbors_too(tmp_path, finished):
    numbers = np.zeros((9, 9, 9), np.uint8)
    numbers[4, 4, 4] = 3
    image = np.ones(numbers.shape, np.float32)
    write_volumes(finished, {"T2starw": image}, image > 0, numbers, numbers, numbers > 0, np.eye(4))
    outlines, _ = loaded(volume_file(finished, "outlines"))
    assert outlines[4, 4, 3] == outlines[4, 4, 5] == KEPT
    assert outlines[4, 4, 4] == outlines[2, 4, 4] == 0


def test_a_t1w_is_kept_as_fine_as_it_was_acquired(tmp_path, finished):
    fine = np.diag([0.4, 0.4, 5.0, 1.0])
    image = np.ones((20, 20, 4), np.float32)
    nothing = np.zeros(image.shape, np.uint8)
    images = {"T2starw": image, "T1w": image}
    write_volumes(finished, images, image > 0, nothing, nothing, nothing > 0, fine)
    assert loaded(volume_file(finished, "T2starw"))[0].shape == (20, 20, 4)
    t1w, affine = loaded(volume_file(finished, "T1w"))
    assert t1w.shape == (10, 10, 4)
    assert nib.affines.voxel_sizes(affine) == pytest.approx([0.8, 0.8, 5])


def test_coarser_voxels_are_means_and_stay_in_their_place():
    data = np.zeros((7, 4, 3), np.uint8)
    data[2:4, 2:4, 1] = [[100, 60], [40, 0]]
    image = Volume(data, AFFINE)
    made = coarser(image, 2.0)
    shrunk = made.data
    assert shrunk.shape == (3, 2, 3)
    assert shrunk.max() == 50
    assert np.argwhere(shrunk > 0).tolist() == [[1, 1, 1]]
    assert apply_affine(made.affine, (1, 1, 1)) == pytest.approx(
        apply_affine(AFFINE, (2.5, 2.5, 1))
    )
    assert coarser(image, 1.2) is image
