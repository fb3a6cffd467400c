"""Region calls of matched lesions, counted by hand."""

import math

import pytest

from cmb_bidsapp.evaluation.comparison import Fate
from cmb_bidsapp.evaluation.matching import Place
from cmb_bidsapp.evaluation.regions import RegionCalls, region_confusion

LEFT_THALAMUS = "left-thalamus"


def matched(*pairs):
    """Fates of lesions that are found, by their place in the reference and in the prediction."""
    center, voxels = (0.0, 0.0, 0.0), 9
    return [
        Fate(
            side=side,
            lesion=number,
            center=center,
            voxels=voxels,
            place=place,
            fate=fate,
            partner=number,
        )
        for number, pair in enumerate(pairs, 1)
        for side, place, fate in zip(
            ("reference", "predicted"), pair, ("found", "true-positive"), strict=True
        )
    ]


def calls(own, found):
    return RegionCalls.of(matched((own, found)))


def test_lesions_without_a_partner_do_not_count():
    place = Place("deep", LEFT_THALAMUS, border=True)
    fates = [
        Fate(
            side="reference", lesion=1, center=(0.0, 0.0, 0.0), voxels=9, place=place, fate="missed"
        ),
        Fate(
            side="predicted",
            lesion=1,
            center=(0.0, 0.0, 0.0),
            voxels=9,
            place=place,
            fate="false-positive",
        ),
    ]
    assert RegionCalls.of(fates) == RegionCalls()


@pytest.mark.parametrize(
    ("own", "found", "known", "right"),
    [
        ("deep", "deep", 1, 1),
        ("deep", "lobar", 1, 0),
        ("deep", "unassigned", 1, 0),
        ("unassigned", "deep", 0, 0),
        ("unassigned", "unassigned", 0, 0),
    ],
)
def test_the_class_counts_where_the_reference_knows_it(own, found, known, right):
    counted = calls(Place(own), Place(found))
    assert (counted.known, counted.right) == (known, right)
    assert region_confusion(matched((Place(own), Place(found)))) == {(own, found): 1}


@pytest.mark.parametrize(
    ("own", "found", "known", "right"),
    [
        (LEFT_THALAMUS, LEFT_THALAMUS, 1, 1),
        (LEFT_THALAMUS, "right-thalamus", 1, 0),
        (LEFT_THALAMUS, "left-dpwm", 1, 0),
        (LEFT_THALAMUS, "unassigned", 1, 0),
        (LEFT_THALAMUS, None, 0, 0),
        (None, LEFT_THALAMUS, 0, 0),
        ("unassigned", "unassigned", 0, 0),
    ],
)
def test_region_and_side_count_where_both_tables_tell_them(own, found, known, right):
    counted = calls(Place("deep", own), Place("deep", found))
    assert (counted.mars_known, counted.mars_right) == (known, right)


@pytest.mark.parametrize(
    ("own", "found", "border", "flagged"),
    [
        ("deep", "lobar", True, 1),
        ("deep", "lobar", False, 0),
        ("deep", "deep", True, 0),
        ("deep", "lobar", None, None),
        ("unassigned", "lobar", True, None),
    ],
)
def test_flags_of_lesions_with_a_wrong_class_are_counted(own, found, border, flagged):
    assert calls(Place(own), Place(found, border=border)).flagged == flagged


def test_sessions_add_up():
    earlier = RegionCalls(known=2, right=1)
    flagged = RegionCalls(known=4, right=3, mars_known=3, mars_right=1, flagged=1)
    assert sum([flagged, earlier, flagged], RegionCalls()) == RegionCalls(
        known=10, right=7, mars_known=6, mars_right=2, flagged=2
    )
    assert (earlier + earlier).flagged is None
    figures = (earlier + flagged).figures()
    assert figures["region_agreement"] == pytest.approx(4 / 6)
    assert figures["mars_agreement"] == pytest.approx(1 / 3)
    assert math.isnan(earlier.figures()["mars_agreement"])
