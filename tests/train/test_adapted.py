"""The card of an adapted model."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from cmb_bidsapp.models.card import text_problems
from cmb_bidsapp.models.registry import load_bundle
from cmb_bidsapp.train.adapted import Learned, card_changes
from cmb_bidsapp.train.gains import LEAST_CANDIDATES, EqualMarks, Gain
from cmb_bidsapp.train.places import Acquisition

COMMON, RARE = Acquisition((0.5, 0.5, 4.0), 3.0, 20.0), Acquisition((1.0, 1.0, 2.0), 1.5, 40.0)
LEARNED = Learned(
    participants=4,
    held_back=1,
    rated=0,
    acquisitions=(RARE, COMMON, COMMON),
    step=50,
    halfway=True,
    seed=7,
)
GAIN = Gain(
    scans=2, implants=40, marks_per_scan=1.5, same_marks=0.8, before=0.5, after=0.61234, low=0.02,
    high=0.2, threshold=0.7,
)  # fmt: skip
#: The new network's scores are those of the old one, twice as unlikely.
SCORES = np.linspace(0.05, 0.95, LEAST_CANDIDATES)
WAY = EqualMarks.of(SCORES, SCORES / (2 - SCORES))


@pytest.fixture(scope="module")
def start():
    """A packaged model, with a calibration and two operating points."""
    bundle = load_bundle("lesions")
    card = dataclasses.replace(
        bundle.card,
        threshold=0.5,
        operating_points={"sensitive": {"threshold": 0.2, "recall": 0.9}},
        calibration={"knots": [[0.1, 0.2], [0.9, 0.8]], "method": "logistic"},
        metrics={"F1": 0.9},
    )
    return SimpleNamespace(card=card, name=bundle.name)


@pytest.fixture
def changes(start):
    return card_changes(start, LEARNED, GAIN, WAY, None)


def test_it_is_called_after_its_start_unless_it_is_named(start, changes):
    assert changes["name"] == f"{start.card.name}-adapted"
    assert card_changes(start, LEARNED, GAIN, WAY, "mine")["name"] == "mine"
    adaptation = changes["schedule"]["adaptation"]
    assert adaptation["start"]["sha256"] == start.card.files
    assert [adaptation[key] for key in ("step", "halfway", "seed")] == [50, True, 7]


def test_it_says_what_it_has_learned_from_and_the_card_can_hold_it(start, changes):
    assert changes["training_data"].startswith(start.card.training_data)
    assert "without labels, to 3 scans of 4 participants" in changes["training_data"]
    rated = dataclasses.replace(LEARNED, rated=2)
    assert "ratings of 2" in card_changes(start, rated, GAIN, WAY, None)["training_data"]
    texts = {name: changes[name] for name in ("name", "training_data")}
    assert list(text_problems({**texts, "version": "1", "license": "MIT"})) == []


def test_acquisitions_are_counted_the_most_frequent_first():
    assert [(one["scans"], one["field_t"]) for one in LEARNED.protocols] == [(2, 3.0), (1, 1.5)]


def test_thresholds_mean_as_many_marks_as_before(changes):
    assert changes["threshold"] == pytest.approx(0.5 / 1.5, abs=1e-6)
    assert changes["operating_points"] == {
        "sensitive": {"threshold": pytest.approx(0.2 / 1.8, abs=1e-6)}
    }


def test_the_calibration_goes_along_or_is_left_out(start, changes):
    knots = changes["calibration"]["knots"]
    assert knots[0] == (pytest.approx(0.1 / 1.9, abs=1e-6), 0.2)
    few = EqualMarks.of(SCORES[:3], SCORES[:3])
    assert card_changes(start, LEARNED, GAIN, few, None)["calibration"] == {}


def test_what_was_measured_before_is_replaced(changes):
    assert "F1" not in changes["metrics"]
    assert (changes["metrics"]["found_before"], changes["metrics"]["found"]) == (0.5, 0.612)
    assert changes["metrics"]["difference_interval"] == [0.02, 0.2]
