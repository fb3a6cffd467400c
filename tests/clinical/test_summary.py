"""Words, cut-offs and their probabilities for one session."""

import dataclasses
import itertools
import math

import pytest
from hypothesis import given

from cmb_bidsapp.clinical.mars import fill
from cmb_bidsapp.clinical.summary import CUTOFFS, SUMMARY_COLUMNS, summarize
from cmb_bidsapp.core.labels import MARS_FORM
from tests.clinical.rows import TABLES, lesion

CHANCES = [f"{name}_probability" for name in CUTOFFS]


def category_of(*lesions):
    return summarized(lesions)["category"]


def summarized(*given, **options):
    return vars(summarize(*given, **options))


def several(number, region="frontal", **values):
    return [lesion(region, **values) for _ in range(number)]


@pytest.mark.parametrize(
    ("regions", "name"),
    [
        ("", "none"),
        ("frontal insula", "strictly lobar"),
        ("frontal cerebellum", "strictly lobar"),
        ("frontal unassigned", "strictly lobar"),
        ("frontal thalamus", "mixed"),
        ("frontal brainstem", "mixed"),
        ("frontal thalamus cerebellum brainstem", "mixed"),
        ("thalamus dpwm", "strictly deep"),
        ("thalamus brainstem", "strictly deep"),
        ("thalamus cerebellum", "strictly deep"),
        ("brainstem", "infratentorial only"),
        ("cerebellum", "infratentorial only"),
        ("brainstem cerebellum unassigned", "infratentorial only"),
        ("unassigned", "undetermined"),
    ],
)
def test_the_category_follows_from_where_the_lesions_are(regions, name):
    lesions = [lesion(region) for region in regions.split()]
    for order in itertools.islice(itertools.permutations(lesions), 24):
        assert category_of(*order) == name
    assert name in SUMMARY_COLUMNS["category"]["Levels"]


@pytest.mark.parametrize("region", MARS_FORM)
def test_boston_takes_the_brainstem_for_deep_and_the_cerebellum_for_neither(region):
    row = summarized([*several(2), lesion(region)])
    group = MARS_FORM[region][1]
    deep = group == "deep" or region == "brainstem"
    assert row["boston_deep"] is deep
    assert row["boston_lobar"] == (0 if deep else 2 + (group == "lobar"))
    assert row["boston_cerebellar"] == (region == "cerebellum")
    assert row["strictly_lobar_2"] is not deep
    assert (row["category"] == "strictly lobar") is not deep


@pytest.mark.parametrize(
    ("count", "burden", "aria"),
    [
        (0, "0", "absent"),
        (1, "1", "1-4"),
        (2, "2-4", "1-4"),
        (4, "2-4", "1-4"),
        (5, "5-9", ">4"),
        (9, "5-9", ">4"),
        (10, "10 or more", ">4"),
        (11, "10 or more", ">4"),
    ],
)
def test_classes_and_cut_offs_of_the_count(count, burden, aria):
    row = summarized(several(count))
    assert (row["count"], row["burden"], row["aria_h_baseline"]) == (count, burden, aria)
    assert row["at_least_1"] is (count >= 1)
    assert row["at_least_5"] is row["above_limit"] is (count > 4)
    assert row["more_than_10"] is (count > 10)
    assert row["strictly_lobar_2"] is (count >= 2)


def test_the_limit_at_baseline_is_a_choice():
    lesions = several(3, calibrated_probability="1")
    found = [summarized(lesions, limit)["above_limit"] for limit in (0, 2, 3, 9)]
    chances = [summarized(lesions, limit)["above_limit_probability"] for limit in (0, 2, 3, 9)]
    assert found == [True, True, False, False]
    assert chances == [1, 1, 0, 0]
    assert summarized(lesions, 2)["baseline_limit"] == 2


def test_what_mars_does_not_count_changes_neither_count_nor_word():
    apart = [
        lesion("thalamus", grade="macro"),
        lesion("thalamus", grade="below-size"),
        lesion("thalamus", status="rejected"),
    ]
    row = summarized([*several(2), *apart])
    assert (row["count"], row["category"], row["boston_deep"]) == (2, "strictly lobar", False)
    assert (row["macro"], row["below_size"]) == (1, 1)
    same = summarized(several(2))
    assert [row[name] for name in CHANCES] == [same[name] for name in CHANCES]


def test_a_border_lesion_that_would_turn_the_category_is_counted():
    doubtful = lesion("dpwm", border="true", votes_deep="6", votes_lobar="2")
    row = summarized([*several(2), doubtful])
    assert (row["border"], row["turning"]) == (1, 1)
    assert (row["category"], row["category_otherwise"]) == ("mixed", "strictly lobar")
    another = summarized([*several(2), doubtful, lesion("thalamus")])
    assert (another["border"], another["turning"], another["category_otherwise"]) == (1, 0, None)


def test_the_second_most_votes_say_where_a_border_lesion_may_be():
    def otherwise(**votes):
        one = lesion(border="true", votes_lobar="9", **votes)
        return summarized([one, lesion("temporal")])["category_otherwise"]

    assert otherwise(votes_deep="3") == "mixed"
    assert otherwise(votes_deep="1", votes_infratentorial="3") == "mixed"  # the brainstem's side
    assert otherwise() == "mixed"
    alone = lesion("cerebellum", border="true", votes_infratentorial="9", votes_lobar="1")
    assert summarized([alone])["category_otherwise"] == "strictly lobar"
    unanimous = dataclasses.replace(alone, votes_lobar=0)
    assert summarized([unanimous])["category_otherwise"] == "strictly deep, strictly lobar"


def test_each_lesion_is_moved_alone():
    pair = several(2, "dpwm", border="true", votes_deep="5", votes_lobar="4")
    row = summarized(pair)
    assert (row["turning"], row["category_otherwise"]) == (2, "mixed")


def test_a_lesion_without_a_region_may_turn_the_category_and_is_not_border():
    row = summarized([lesion(), lesion("unassigned")])
    assert (row["border"], row["turning"], row["category_otherwise"]) == (0, 1, "mixed")
    row = summarized([lesion("unassigned", region="infratentorial"), lesion()])
    assert (row["category"], row["category_otherwise"]) == ("strictly lobar", "mixed")


def test_a_border_lesion_without_a_region_may_leave_its_group():
    row = summarized(
        [lesion("n/a", region="lobar", border="true", votes_lobar="3", votes_deep="1")]
    )
    assert (row["category"], row["category_otherwise"]) == ("strictly lobar", "strictly deep")


def test_probabilities_are_those_of_every_outcome_spelled_out():
    """Each outcome of five uncertain lesions is summarized as if it were certain."""
    regions = ("frontal", "temporal", "thalamus", "cerebellum", "brainstem")
    probabilities = (0.9, 0.6, 0.3, 0.8, 0.2)
    lesions = [
        lesion(region, calibrated_probability=str(p))
        for region, p in zip(regions, probabilities, strict=True)
    ]
    expected = dict.fromkeys(CUTOFFS, 0.0)
    for outcome in itertools.product((False, True), repeat=5):
        real = [one for one, is_real in zip(lesions, outcome, strict=True) if is_real]
        certain = summarized(real, limit=2)
        chance = math.prod(
            p if is_real else 1 - p for p, is_real in zip(probabilities, outcome, strict=True)
        )
        for name in CUTOFFS:
            expected[name] += chance * certain[name]
    row = summarized(lesions, limit=2)
    for name in CUTOFFS:
        assert row[f"{name}_probability"] == pytest.approx(expected[name], abs=1e-12)
    assert row["expected_count"] == pytest.approx(sum(probabilities))
    assert row["calibrated"] == 5


def test_without_a_calibrated_lesion_the_probabilities_are_not_known():
    row = summarized(several(2, calibrated_probability="n/a"))
    assert row["calibrated"] == 0
    assert all(math.isnan(row[name]) for name in (*CHANCES, "expected_count"))


def test_one_lesion_without_a_probability_makes_those_it_matters_to_unknown():
    row = summarized([*several(2), lesion("cerebellum", calibrated_probability="n/a")])
    assert row["calibrated"] == 2
    assert math.isnan(row["at_least_1_probability"])
    assert row["strictly_lobar_2_probability"] == pytest.approx(0.81)


def test_without_a_microbleed_the_probability_of_any_is_0():
    rejected = lesion(status="rejected", calibrated_probability="n/a")
    for lesions in ([], [rejected], [lesion(grade="macro")]):
        row = summarized(lesions)
        assert [row[name] for name in (*CHANCES, "expected_count")] == [0] * 6


@given(TABLES)
def test_any_table_has_a_summary_that_agrees_with_its_form(table):
    row, form = summarized(table), fill(table)
    assert list(row) == list(SUMMARY_COLUMNS)
    for name in ("burden", "category", "aria_h_baseline"):
        assert row[name] in SUMMARY_COLUMNS[name]["Levels"]
    groups = ("lobar", "deep", "infratentorial", "unassigned")
    assert row["count"] == form.count() == sum(row[group] for group in groups)
    assert row["brainstem"] + row["cerebellum"] <= row["infratentorial"]
    assert (row["boston_lobar"] > 0) == (row["category"] == "strictly lobar")
    assert row["category"] not in (row["category_otherwise"] or "").split(", ")
    assert (row["category_otherwise"] is None) == (row["turning"] == 0)
    for name in CHANCES:
        assert math.isnan(row[name]) or 0 <= row[name] <= 1


def test_every_clinical_word_is_labeled():
    words = ("burden", "category", "boston_lobar", "boston_deep", "boston_cerebellar", *CUTOFFS)
    for name in (*words, "aria_h_baseline"):
        assert "imaging summary, not a diagnosis" in SUMMARY_COLUMNS[name]["Description"]
    assert summarized([])["note"] == "imaging summary, not a diagnosis"
