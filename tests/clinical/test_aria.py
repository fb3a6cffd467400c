"""ARIA-H classes at their limits, and the probabilities of reaching them."""

import math

import pytest
from scipy.stats import binom

from cmb_bidsapp.clinical.aria import NEW_COLUMNS, baseline_class, new_lesion_class, new_lesions


@pytest.mark.parametrize(
    ("count", "name"), [(0, "absent"), (1, "1-4"), (4, "1-4"), (5, ">4"), (300, ">4")]
)
def test_classes_at_baseline(count, name):
    assert baseline_class(count) == (name, "RDES289")


@pytest.mark.parametrize(
    ("count", "name"),
    [(0, "none"), (1, "mild"), (4, "mild"), (5, "moderate"), (9, "moderate"), (10, "severe")],
)
def test_classes_of_new_lesions(count, name):
    assert new_lesion_class(count) == (name, "RDES291")
    assert new_lesions([0.5] * count)["aria_h"] == name


def test_probabilities_of_the_classes():
    row = new_lesions([0.8] * 12)
    assert set(row) == set(NEW_COLUMNS)
    for least in (1, 5, 10):
        expected = binom.sf(least - 1, 12, 0.8)
        assert row[f"new_at_least_{least}_probability"] == pytest.approx(expected)


def test_without_new_lesions_no_class_is_reached():
    assert [new_lesions([])[f"new_at_least_{least}_probability"] for least in (1, 5, 10)] == [0] * 3


def test_one_lesion_without_a_probability_makes_them_unknown_but_not_the_class():
    row = new_lesions([0.9, math.nan])
    assert row["aria_h"] == "mild"
    assert all(math.isnan(row[f"new_at_least_{least}_probability"]) for least in (1, 5, 10))


def test_every_class_is_a_described_level_and_the_words_are_labeled():
    assert set(NEW_COLUMNS["aria_h"]["Levels"]) == {new_lesion_class(n)[0] for n in range(12)}
    assert "imaging summary, not a diagnosis" in NEW_COLUMNS["aria_h"]["Description"]
