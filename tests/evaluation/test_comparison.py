"""Fates of lesions in hand-made images."""

import numpy as np
import pytest

from cmb_bidsapp.evaluation.comparison import Place, compare
from cmb_bidsapp.evaluation.metrics import Counts
from tests.evaluation.folders import AFFINE, SHAPE, blobs


def fates_of(reference, predicted, **options):
    fates = compare(reference, predicted, AFFINE, **options)
    return {(fate.side, fate.lesion): fate for fate in fates}


def names_of(*images, **options):
    return {key: fate.fate for key, fate in fates_of(*images, **options).items()}


def image_with(value, *voxels):
    image = np.zeros(SHAPE, np.int32)
    for voxel in voxels:
        image[voxel] = value
    return image


def test_found_missed_and_false_lesions():
    fates = fates_of(blobs((3, 3, 1), (12, 12, 2)), blobs((5, 3, 1), (12, 3, 1)))
    assert {key: fate.fate for key, fate in fates.items()} == {
        ("reference", 1): "found",
        ("reference", 2): "missed",
        ("predicted", 1): "true-positive",
        ("predicted", 2): "false-positive",
    }
    for key in (("reference", 1), ("predicted", 1)):
        assert (fates[key].partner, fates[key].distance) == (1, 2.0)
        # One of three rows is shared.
        assert fates[key].dice == pytest.approx(2 * 3 / 18)
    assert np.isnan(fates["reference", 2].distance)
    assert fates["predicted", 2].partner is None
    assert fates["reference", 2].centre == (12.0, 12.0, 10.0)


def test_a_second_prediction_on_one_lesion_is_false():
    counts = Counts.of(compare(blobs((3, 3, 1)), blobs((3, 3, 1), (7, 3, 1)), AFFINE))
    assert counts == Counts(tp=1, fp=1)


@pytest.mark.parametrize("voxel", [(11, 2, 1), (12, 3, 1)])
def test_a_voxel_on_the_ignore_mask_makes_a_lesion_neither_right_nor_wrong(voxel):
    predicted = blobs((12, 3, 1))
    assert names_of(blobs((3, 3, 1)), predicted, ignore=image_with(1, voxel)) == {
        ("reference", 1): "missed",
        ("predicted", 1): "ignored",
    }
    beside = image_with(1, (14, 3, 1), (12, 3, 2))
    assert names_of(blobs(), predicted, ignore=beside)["predicted", 1] == "false-positive"


def test_the_centre_of_a_curved_lesion_counts_although_it_is_no_voxel_of_it():
    ring = blobs((8, 8, 1))
    ring[8, 8, 1] = 0
    names = names_of(blobs(), ring, ignore=image_with(1, (8, 8, 1)))
    assert names["predicted", 1] == "ignored"


def test_a_match_on_the_ignore_mask_stays_a_match():
    lesion = blobs((3, 3, 1))
    assert names_of(lesion, lesion, ignore=lesion)["predicted", 1] == "true-positive"


def test_false_positives_lie_on_what_most_of_their_known_voxels_are():
    predicted = blobs((3, 3, 1), (8, 8, 1), (13, 13, 1))
    mimics = image_with(1, (2, 2, 1), (7, 8, 1)) + image_with(2, (8, 8, 1), (9, 8, 1))
    fates = fates_of(blobs(), predicted, mimics=mimics)
    found = [fates["predicted", number].lies_on for number in (1, 2, 3)]
    assert found == ["vein", "calcification", "nothing-known"]


def test_nothing_is_said_about_mimics_where_none_are_known_or_the_lesion_is_right():
    lesion = blobs((3, 3, 1))
    assert fates_of(blobs(), lesion)["predicted", 1].lies_on is None
    assert fates_of(lesion, lesion, mimics=lesion)["predicted", 1].lies_on is None


def test_places_go_with_the_lesions():
    lesion = blobs((3, 3, 1), (12, 12, 1))
    deep, lobar = Place("deep", "left-thalamus"), Place("lobar", "right-insula", border=True)
    fates = fates_of(lesion, lesion, reference_places={1: deep}, predicted_places={2: lobar})
    assert {key: fate.place for key, fate in fates.items()} == {
        ("reference", 1): deep,
        ("reference", 2): Place("unassigned", None, None),
        ("predicted", 1): Place("unassigned", None, None),
        ("predicted", 2): lobar,
    }
