"""Fates of lesions in hand-made images."""

from dataclasses import replace

import numpy as np
import pytest

from cmb_bidsapp.evaluation.comparison import Surroundings, compare
from cmb_bidsapp.evaluation.matching import (
    Matching,
    Pair,
    Place,
    lesions_of,
    nearest,
    within_reach,
)
from cmb_bidsapp.evaluation.metrics import Counts
from tests.evaluation.folders import AFFINE, SHAPE, blobs


def fates_of(reference, predicted, match=within_reach, **around):
    own, found = (lesions_of(image, AFFINE) for image in (reference, predicted))
    fates = compare(own, found, Surroundings(SHAPE, **around), match)
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
    assert fates["reference", 2].center == (12.0, 12.0, 10.0)


def test_a_second_prediction_on_one_lesion_is_false():
    fates = fates_of(blobs((3, 3, 1)), blobs((3, 3, 1), (7, 3, 1)))
    assert Counts.of(fates.values()) == Counts(tp=1, fp=1)


def test_dice_is_with_all_predictions_that_are_of_a_lesion():
    reference, predicted = blobs((4, 3, 1)), blobs((3, 3, 1), (6, 3, 1))
    alone, together = (fates_of(reference, predicted, rule) for rule in (within_reach, nearest))
    assert alone["reference", 1].dice == pytest.approx(2 * 6 / 18)
    assert together["reference", 1].dice == pytest.approx(2 * 9 / 27)
    assert together["predicted", 1].dice == together["reference", 1].dice
    assert together["predicted", 2].fate == "false-positive"


def test_the_rule_decides_what_hits():
    def nothing(*_):
        return Matching.of([])

    def first(*_):
        return Matching.of([Pair(0, 0, 1.5)])

    far = blobs((3, 3, 1)), blobs((12, 12, 1))
    assert names_of(*far, match=first)["predicted", 1] == "true-positive"
    assert names_of(far[0], far[0], match=nothing)["predicted", 1] == "false-positive"


@pytest.mark.parametrize("voxel", [(11, 2, 1), (12, 3, 1)])
def test_a_voxel_on_the_ignore_mask_makes_a_lesion_neither_right_nor_wrong(voxel):
    predicted = blobs((12, 3, 1))
    assert names_of(blobs((3, 3, 1)), predicted, ignore=image_with(1, voxel)) == {
        ("reference", 1): "missed",
        ("predicted", 1): "ignored",
    }
    beside = image_with(1, (14, 3, 1), (12, 3, 2))
    assert names_of(blobs(), predicted, ignore=beside)["predicted", 1] == "false-positive"


def test_the_center_of_a_curved_lesion_counts_although_it_is_no_voxel_of_it():
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


def test_places_weights_and_columns_go_with_the_lesions():
    (lesion,) = lesions_of(blobs((3, 3, 1)), AFFINE)
    own = replace(lesion, place=Place("deep", "left-thalamus"), weight=0.5)
    found = replace(lesion, place=Place("lobar", border=True), told={"status": "kept"})
    first, second = compare([own], [found], Surroundings(SHAPE), within_reach)
    assert (first.place, first.weight, first.told) == (own.place, 0.5, {})
    assert (second.place, second.weight, second.told) == (found.place, 1.0, {"status": "kept"})
