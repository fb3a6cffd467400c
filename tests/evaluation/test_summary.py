"""From sessions to a group: sums, means, intervals; all by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from cmb_bidsapp.evaluation.metrics import Counts
from cmb_bidsapp.evaluation.results import AFTER, BEFORE, Point
from cmb_bidsapp.evaluation.summary import (
    EVERYBODY,
    confuse_burden,
    confuse_regions,
    false_positives_by_place,
    groups_of,
    summarise,
    summarise_froc,
    summarise_radii,
    volume_error,
    with_intervals,
)
from tests.evaluation.results import DEEP, LOBAR, false, found, missed, result

#: Two with microbleeds, one without.
RESULTS = [
    result("01", *found(1), *found(2), *missed(), *false(), dice=0.5, anatomy={"proxy_deep": 0.9}),
    result("02", *found(1), dice=0.7, anatomy={"proxy_deep": 0.7}),
    result("03", *false(1), *false(2)),
]


def test_sums_are_of_lesions_and_means_of_sessions_that_have_a_value():
    figures = summarise(RESULTS, AFTER, seed=0)
    assert [figures[name] for name in ("tp", "fp", "fn", "reference", "predicted")] == [
        3, 3, 1, 4, 6,
    ]  # fmt: skip
    assert figures["f1"] == pytest.approx(6 / 10)
    # 2 * 2 / (2 * 2 + 1 + 1) and 1; the session without microbleeds has none.
    assert figures["session_f1_mean"] == pytest.approx((2 / 3 + 1) / 2)
    assert (figures["session_f1_n"], figures["dice_n"]) == (2, 2)
    assert figures["dice_mean"] == pytest.approx(0.6)


def test_scans_without_microbleeds_stand_apart():
    figures = summarise(RESULTS, AFTER, seed=0)
    assert (figures["sessions_free"], figures["sessions_free_right"]) == (1, 0)
    assert figures["fp_per_scan"] == pytest.approx(1)
    assert figures["fp_per_scan_free"] == pytest.approx(2)
    alone = summarise(RESULTS[2:], AFTER, seed=0)
    assert math.isnan(alone["session_f1_mean"])
    assert math.isnan(alone["dice_median"])


def test_of_a_structure_the_worst_session_is_told():
    figures = summarise(RESULTS, AFTER, seed=0)
    assert figures["proxy_deep_dice_mean"] == pytest.approx(0.8)
    assert (figures["proxy_deep_dice_lowest"], figures["proxy_deep_dice_n"]) == (0.7, 2)
    assert figures["brain_t1w_dice_n"] == 0


def test_counts_and_volumes_are_compared_scan_by_scan():
    figures = summarise(RESULTS, AFTER, seed=0)
    assert figures["count_error_mean"] == pytest.approx((0 + 0 + 2) / 3)
    # Scans of 3 and 1 are in their class, the one of 0 is called 2.
    assert figures["burden_agreement"] == pytest.approx(2 / 3)
    assert volume_error(RESULTS[2], AFTER) == pytest.approx(2 * 5 * 2)


def test_intervals_hold_the_figure_and_lack_where_there_are_few():
    many = [replace(one, participant=str(n)) for n, one in enumerate(RESULTS * 5)]
    figures = summarise(many, AFTER, seed=0)
    assert figures["f1_low"] < figures["f1"] < figures["f1_high"]
    again = summarise(many, AFTER, seed=0)
    assert again["f1_low"] == figures["f1_low"]
    one = with_intervals({"f1": ([1.0, 2.0], [2.0, 2.0])}, ["01", "01"], 0)
    assert one["f1"] == 0.75
    assert math.isnan(one["f1_low"])


def test_a_method_has_a_group_of_everybody_and_one_for_each_protocol():
    groups = groups_of(
        [
            result("01", protocol="swi", method="a"),
            result("02", protocol="gre", method="a", before=()),
            result("01", protocol="swi", method="b"),
        ]
    )
    names = [(group.method, group.name, len(group.results)) for group in groups]
    assert names == [
        ("a", EVERYBODY, 2), ("a", "gre", 1), ("a", "swi", 1), ("b", EVERYBODY, 1), ("b", "swi", 1),
    ]  # fmt: skip
    everybody = groups[0]
    assert set(everybody.stages) == {BEFORE, AFTER}
    assert len(everybody.at(BEFORE)) == 1


def test_places_of_false_positives_are_told_where_mimics_are_known():
    marks = (*false(1, "vein"), *false(2, "vein"), *false(3, "nothing-known"))
    known = result("01", *marks, mimics_known=True)
    assert false_positives_by_place(known, AFTER) == {
        "vein": 2, "calcification": 0, "nothing-known": 1,
    }  # fmt: skip
    unknown = result("02", *false(1))
    assert set(false_positives_by_place(unknown, AFTER).values()) == {None}
    figures = summarise([known, unknown], AFTER, seed=0)
    assert (figures["fp_vein"], figures["fp_nothing_known"]) == (2, 1)
    assert summarise([unknown], AFTER, seed=0)["fp_vein"] is None


def test_the_froc_has_the_sessions_that_have_a_threshold():
    rows = summarise_froc(
        [
            result("01", froc={0.5: Counts(tp=2, fp=3), 0.9: Counts(tp=1, fn=1)}),
            result("02", froc={0.5: Counts(fp=5)}),
            result("03"),
        ]
    )
    assert [(row["threshold"], row["sessions"]) for row in rows] == [(0.5, 2), (0.9, 1)]
    assert (rows[0]["fp_per_scan"], rows[0]["fp_per_scan_free"]) == (4, 5)
    assert math.isnan(rows[1]["fp_per_scan_free"])


def test_a_radius_has_the_sessions_that_were_swept():
    point = Point(Counts(tp=1, fp=1), 0.4)
    rows = summarise_radii([result("01", radii={2.0: point}), result("02")], seed=0)
    (row,) = rows
    assert (row["radius"], row["sessions"], row["dice_n"]) == (2.0, 1, 1)
    assert row["dice_mean"] == pytest.approx(0.4)


def test_confusions_have_the_reference_in_rows():
    wrong = result("01", *found(1, DEEP, predicted=LOBAR), *found(2, LOBAR), *missed())
    regions = confuse_regions([wrong], AFTER)
    assert regions["deep", "lobar"] == 1
    assert regions["lobar", "lobar"] == 1
    assert regions["lobar", "deep"] == 0
    burden = confuse_burden([wrong, RESULTS[2]], AFTER)
    expected = np.zeros((5, 5), int)
    # Three lesions of which two are found are one class; none and two false ones are not.
    expected[2, 2] = expected[0, 2] = 1
    np.testing.assert_array_equal(burden, expected)
