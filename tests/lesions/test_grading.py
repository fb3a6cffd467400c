import dataclasses
import math

import pytest

from cmb_bidsapp.lesions.candidates import Candidate
from cmb_bidsapp.lesions.grading import grade
from cmb_bidsapp.lesions.lesion import COUNTED, Grade, Region, Side

CLEAR = Candidate(
    lesion=1,
    x=0.0,
    y=0.0,
    z=0.0,
    voxels=20,
    volume=20.0,
    diameter=4.0,
    equivalent_diameter=3.4,
    roundness=0.9,
    sphericity=0.8,
    probability_mean=0.9,
    probability_max=1.0,
    contrast=0.6,
    region=Region.LOBAR,
    mars_region="frontal",
    side=Side.LEFT,
    region_share=1.0,
    votes_lobar=20,
    votes_deep=0,
    votes_infratentorial=0,
    border=False,
)


def changed(**values):
    return dataclasses.replace(CLEAR, **values)


def test_a_clear_lesion_is_definite():
    assert grade(CLEAR).grade == "definite"


@pytest.mark.parametrize(
    ("diameter", "name"),
    [
        (0.4, "below-size"),
        (1.99, "below-size"),
        (2.0, "definite"),
        (10.0, "definite"),
        (10.01, "macro"),
        (40.0, "macro"),
        (2 * 0.99999, "definite"),  # two voxels of a header that says a little less than 1 mm
        (10 * 1.00001, "definite"),
    ],
)
def test_mars_counts_2_to_10_mm_inclusive(diameter, name):
    assert grade(changed(diameter=diameter)).grade == name


def test_the_smallest_size_is_a_choice():
    assert grade(changed(diameter=2.5), min_diameter=3.0).grade == "below-size"
    assert grade(changed(diameter=0.5), min_diameter=0.0).grade == "definite"
    small = grade(changed(diameter=2.5), min_diameter=3.0)
    assert small.reason == "diameter 2.5 mm, below 3 mm"
    assert grade(changed(diameter=12.34)).reason == "diameter 12.3 mm, above 10 mm"


@pytest.mark.parametrize(
    ("doubt", "reason"),
    [
        ({"probability_max": 0.998}, "uncalibrated probability 0.998, below 0.9999"),
        ({"roundness": 0.49}, "roundness 0.49, below 0.5"),
        ({"contrast": 0.24}, "contrast 0.24, below 0.25"),
        ({"contrast": math.nan}, "contrast not known"),
        ({"contrast": -0.2}, "contrast -0.2, below 0.25"),
    ],
)
def test_one_doubt_makes_it_possible(doubt, reason):
    found = grade(changed(**doubt))
    assert (found.grade, found.reason) == ("possible", reason)


def test_the_limits_themselves_leave_no_doubt():
    at_limits = changed(probability_max=0.9999, roundness=0.5, contrast=0.25)
    assert grade(at_limits).grade == "definite"


def test_every_doubt_is_named():
    found = grade(changed(probability_max=0.5, roundness=0.2, contrast=0.1))
    assert found.reason == (
        "uncalibrated probability 0.5, below 0.9999; "
        "roundness 0.2, below 0.5; contrast 0.1, below 0.25"
    )


def test_a_definite_lesion_says_what_was_looked_at():
    shape = "roundness 0.9; contrast 0.6"
    assert grade(CLEAR).reason == f"diameter 4 mm; uncalibrated probability 1; {shape}"
    calibrated = grade(CLEAR, calibrated=0.8)
    assert calibrated.reason == f"diameter 4 mm; calibrated probability 0.8; {shape}"


@pytest.mark.parametrize(
    ("calibrated", "network", "name"),
    [
        (0.75, 0.5, "definite"),
        (0.7499, 1.0, "possible"),
        (0.0, 1.0, "possible"),
        (math.nan, 0.9999, "definite"),
        (math.nan, 0.999, "possible"),
    ],
)
def test_the_calibrated_probability_decides_where_it_is_known(calibrated, network, name):
    found = grade(changed(probability_max=network), calibrated=calibrated)
    assert found.grade == name


def test_a_doubt_about_the_calibrated_probability_says_so():
    found = grade(CLEAR, calibrated=0.6)
    assert found.reason == "calibrated probability 0.6, below 0.75"


def test_size_comes_before_doubts():
    assert grade(changed(diameter=12, probability_max=0.5)).grade == "macro"
    assert grade(changed(diameter=1, probability_max=0.5)).grade == "below-size"


def test_only_definite_and_possible_are_counted():
    assert COUNTED == ("definite", "possible")
    assert set(COUNTED) < set(Grade)
