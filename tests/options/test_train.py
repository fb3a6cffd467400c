"""Command lines of the verb train, by what is trained."""

import pytest

from cmb_bidsapp.core.errors import UsageError
from cmb_bidsapp.options.train import read_training
from cmb_bidsapp.train.request import (
    AnatomyRequest,
    CalibrationRequest,
    ImplantsRequest,
    LesionsRequest,
    SecondLookRequest,
)

TEXTS = ("--output-dir", "bundle", "--work-dir", "work", "--name", "mine")


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["anatomy", "a.mgz", "b.mgz", *TEXTS], AnatomyRequest),
        (["lesions", "out", *TEXTS], LesionsRequest),
        (["implants", "out", "set"], ImplantsRequest),
        (["second-look", "out", "bundle"], SecondLookRequest),
        (["calibrate", "bundle", "evaluation"], CalibrationRequest),
    ],
)
def test_each_kind_has_its_request(words, kind):
    assert type(read_training(words)) is kind


@pytest.mark.parametrize("option", ["--license", "--licence"])
def test_the_card_says_what_was_typed(option):
    request = read_training(["lesions", "out", *TEXTS, "--version", "2", option, "MIT"])
    assert request.card["name"] == "mine"
    assert (request.card["version"], request.card["license"]) == ("2", "MIT")


def test_regions_are_learned_unless_they_are_not_wanted():
    assert read_training(["lesions", "out", *TEXTS]).proxy
    assert not read_training(["lesions", "out", *TEXTS, "--no-proxy"]).proxy


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["lesions", "out", *TEXTS, "--epochs", "0"], "--epochs 0: expected at least 1"),
        (["lesions", "out", *TEXTS, "--folds", "1"], "--folds 1: expected at least 2"),
        (["implants", "out", "x", "--microbleeds", "3", "1"], "<= MIN <= MAX"),
        (["anatomy", *TEXTS], "LABEL_MAP"),
        (["everything"], "invalid choice"),
    ],
)
def test_what_cannot_be_trained_is_refused(words, told):
    with pytest.raises(UsageError, match=told.replace("(", r"\(")):
        read_training(words)
