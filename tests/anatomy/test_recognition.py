"""What an image can be: judged by how sure the anatomy network is of it, as given and otherwise.

The network is a stand-in that is sure of what it is shown; the real one is held against real
scans where these are at hand.
"""

import numpy as np
import pytest

from cmb_bidsapp.anatomy.network import AnatomyNetwork, AnatomySegmentation
from cmb_bidsapp.anatomy.recognition import (
    certainty,
    fluid_brightness,
    structure_certainty,
    why_not,
)
from cmb_bidsapp.bids.images import read_volume
from cmb_bidsapp.core.arrays import Volume
from cmb_bidsapp.core.labels import STRUCTURES
from cmb_bidsapp.models.registry import load_bundle
from cmb_bidsapp.preprocess.brain import BrainImage
from cmb_bidsapp.preprocess.resampling import Grid

#: Voxels of 1 ml, a brain of 1728 ml in the middle.
SHAPE, AFFINE = (16, 16, 16), np.diag([10.0, 10.0, 10.0, 1.0])
BRAIN = np.zeros(SHAPE, np.bool_)
BRAIN[2:14, 2:14, 2:14] = True
DATA = np.random.default_rng(0).uniform(50, 100, SHAPE).astype(np.float32) * BRAIN


def anatomy(sure, structure=None, brain=BRAIN):
    """A brain of two structures, found with this certainty; the likelier has ``structure``."""
    structure = sure if structure is None else structure
    probabilities = np.zeros((3, *SHAPE), np.float32)
    probabilities[0] = 1
    inside = np.array([1 - sure, structure, sure - structure], np.float32)
    probabilities[:, brain] = inside[:, None]
    return AnatomySegmentation(probabilities, Grid(SHAPE, AFFINE))


def never(*_):
    raise AssertionError("the image need not be looked at again")


def judged(found, recognize=never, data=DATA, brain=BRAIN, contrast="T2starw"):
    return why_not(BrainImage(data, AFFINE, brain), contrast, recognize, anatomy=found)


def test_certainty_is_the_mean_of_what_is_brain():
    found = anatomy(0.9, 0.7)
    assert certainty(found) == pytest.approx(0.9)
    assert structure_certainty(found) == pytest.approx(0.7)
    nothing = anatomy(0.9, brain=np.zeros(SHAPE, np.bool_))
    assert (certainty(nothing), structure_certainty(nothing)) == (0, 0)


@pytest.mark.parametrize("contrast", ["T1w", "T2starw"])
def test_a_brain_that_is_sure_is_one_and_is_looked_at_once(contrast):
    assert judged(anatomy(0.98, 0.75), contrast=contrast) == ""


@pytest.mark.parametrize("side", [7, 14])
def test_a_brain_must_have_a_size_that_a_brain_can_have(side):
    small = np.zeros(SHAPE, np.bool_)
    small[1 : 1 + side, 1 : 1 + side, 1 : 1 + side] = True
    assert f"shows a brain of {side**3} ml" in judged(anatomy(0.98), brain=small)


def test_noise_is_no_brain_whatever_is_found_in_it():
    assert "no recognizable brain (certainty 0.82)" in judged(anatomy(0.82, 0.5))


def test_a_mask_is_no_scan():
    assert "a mask or a label map" in judged(anatomy(0.98, 0.75), data=BRAIN.astype(np.float32))


@pytest.mark.parametrize(
    ("matches", "words"),
    [
        (lambda head, contrast: contrast == "T1w", "it looks like a T1w"),
        (lambda head, contrast: head.affine[2, 2] < 0 < head.affine[1, 1], "upside down"),
        (lambda head, contrast: head.affine[1, 1] < 0 < head.affine[2, 2], "front and back"),
        (lambda head, contrast: head.affine[1, 1] < 0 > head.affine[2, 2], "by 180 degrees"),
        (lambda head, contrast: head.data[5, 5, 5] != DATA[5, 5, 5], "inverted brightness"),
        (lambda head, contrast: False, ""),
    ],
)
def test_an_image_that_is_surer_otherwise_is_not_what_it_is_given_as(matches, words):
    found = judged(
        anatomy(0.955, 0.75), lambda *other: anatomy(0.98 if matches(*other) else 0.95, 0.7)
    )
    assert (words in found) if words else found == ""


def test_a_little_surer_is_not_enough():
    assert judged(anatomy(0.93, 0.7), lambda *_: anatomy(0.935, 0.7)) == ""


def test_a_whole_brain_must_have_structures_a_part_of_one_need_not():
    unsure = anatomy(0.953, 0.59)
    assert "structures cannot be recognized" in judged(unsure, lambda *_: anatomy(0.94, 0.6))
    cut = np.zeros(SHAPE, np.bool_)
    cut[2:14, 2:14, :8] = True
    assert judged(unsure, lambda *_: anatomy(0.94, 0.6), brain=cut) == ""


def test_brightness_of_fluid_is_that_of_the_ventricles_by_white_matter():
    probabilities = np.zeros((4, *SHAPE), np.float32)
    probabilities[0] = 0.1
    probabilities[STRUCTURES.index("cerebral-wm"), 1:8, 1:15, 1:15] = 1
    probabilities[STRUCTURES.index("lateral-ventricle"), 8:15, 1:15, 1:15] = 1
    data = np.zeros(SHAPE, np.float32)
    # Borders, which are mixtures, are left out.
    data[1:8, 1:15, 1:15], data[8:15, 1:15, 1:15], data[7:9] = 100, 30, 500
    found = AnatomySegmentation(probabilities, Grid(SHAPE, AFFINE))
    assert fluid_brightness(Volume(data, AFFINE), found) == pytest.approx(0.3)
    probabilities[STRUCTURES.index("lateral-ventricle"), 10:] = 0
    assert np.isnan(fluid_brightness(Volume(data, AFFINE), found))


@pytest.fixture(scope="module")
def network():
    return AnatomyNetwork(load_bundle("anatomy"))


@pytest.fixture(scope="module")
def trio(data_dir):
    folder = data_dir / "t1" / "trio_b17"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


def judged_for_real(network, head, contrast):
    found = network(head, contrast)
    brain = found.brain_mask(Grid.of(head.data, head.affine))
    head = BrainImage(head.data, head.affine, brain)
    return why_not(head, contrast, network, anatomy=found)


@pytest.mark.parametrize(
    ("file", "contrast", "change", "words"),
    [
        ("gre_magnitude", "T2starw", lambda data: data, ""),
        ("T1w", "T1w", lambda data: data, ""),
        ("T1w", "T2starw", lambda data: data, "it looks like a T1w"),
        ("gre_magnitude", "T2starw", lambda data: data[:, :, ::-1], "upside down"),
        ("gre_magnitude", "T2starw", lambda data: data[:, :, 18:20], "shows a brain of"),
        (
            "gre_magnitude",
            "T2starw",
            lambda data: np.random.default_rng(0).normal(100, 20, data.shape),
            "no recognizable brain",
        ),
        ("gre_phase", "T2starw", lambda data: data - data.min(), "no recognizable brain"),
    ],
)
def test_real_images_are_told_from_what_is_none(network, trio, file, contrast, change, words):
    read = read_volume(trio / f"trio_b17_{file}.nii.gz")
    changed = np.ascontiguousarray(change(read.data), dtype=np.float32)
    found = judged_for_real(network, Volume(changed, read.affine), contrast)
    assert (words in found) if words else found == ""


def test_scans_that_are_brain_only_or_half_stripped_pass(network, data_dir):
    folder = data_dir / "valdo" / "whole"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    for label in ("106", "309"):
        path = folder / f"sub-{label}" / "anat" / f"sub-{label}_T2starw.nii.gz"
        assert judged_for_real(network, read_volume(path), "T2starw") == ""
