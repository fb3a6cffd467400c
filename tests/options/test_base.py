"""Ranges beside the options."""

import math

import pytest

from cmb_bidsapp.core.errors import UsageError
from cmb_bidsapp.options.adapt import adapt_parser
from cmb_bidsapp.options.base import COUNT, NOT_NEGATIVE, PROBABILITY, SHARE, Range
from cmb_bidsapp.options.doctor import doctor_parser
from cmb_bidsapp.options.parser import build_parser
from cmb_bidsapp.options.sensitivity import sensitivity_parser
from cmb_bidsapp.options.train import train_parser
from cmb_bidsapp.options.verbs import (
    convert_parser,
    demo_parser,
    evaluate_parser,
    simulate_parser,
    slurm_parser,
)

PARSERS = (
    *(build_parser, adapt_parser, convert_parser, demo_parser, doctor_parser, evaluate_parser),
    *(sensitivity_parser, simulate_parser, slurm_parser, train_parser),
)


@pytest.mark.parametrize(
    ("within", "inside", "outside", "words"),
    [
        (COUNT, [1, 99], [0, math.inf, math.nan], "at least 1"),
        (NOT_NEGATIVE, [0, 5.5], [-0.1, math.inf], "0 or more"),
        (SHARE, [0, 1], [-0.1, 1.1], "0 to 1"),
        (PROBABILITY, [0.5], [0, 1, math.nan], "between 0 and 1"),
        (
            Range(low=0, high=20, low_included=False, unit="mm"),
            [1, 20], [0, 21], "more than 0, up to 20 mm",
        ),
        (Range(low=0, low_included=False, unit="GB"), [0.1], [0, -1], "more than 0 GB"),
    ],
)  # fmt: skip
def test_a_range_knows_its_numbers_and_its_words(within, inside, outside, words):
    assert all(number in within for number in inside)
    assert not any(number in within for number in outside)
    assert str(within) == words


def actions_of(parser):
    for action in parser._actions:
        if hasattr(action, "_parser_class"):
            for one in action.choices.values():
                yield from actions_of(one)
        else:
            yield action


def numbers_of(parser):
    return (action for action in actions_of(parser) if action.type in (int, float))


@pytest.mark.parametrize("parser", PARSERS)
def test_every_option_has_a_help_text(parser):
    assert [action.dest for action in actions_of(parser()) if not action.help] == []


@pytest.mark.parametrize(
    ("parser", "words", "meant"),
    [
        (build_parser, ["in", "out", "particpant"], "participant"),
        (build_parser, ["in", "out", "participant", "gruop"], "group"),
        (build_parser, ["in", "out", "group", "--parcellation", "synthsge"], "synthseg"),
        (train_parser, ["lesion"], "lesions"),
    ],
)
def test_a_mistyped_choice_is_told_the_nearest(parser, words, meant):
    with pytest.raises(UsageError, match=rf"did you mean {meant}\?"):
        parser().parse_args(words)


def test_no_choice_is_suggested_where_none_is_near():
    with pytest.raises(UsageError) as refused:
        build_parser().parse_args(["in", "out", "xyz"])
    assert "did you mean" not in str(refused.value)


@pytest.mark.parametrize(
    "parser",
    [build_parser, simulate_parser, evaluate_parser, slurm_parser, train_parser],
)
def test_every_number_has_a_range_unless_it_is_a_choice(parser):
    without = [
        action.dest
        for action in numbers_of(parser())
        if not hasattr(action, "within") and not action.choices
    ]
    # --fold depends on --folds
    assert without == (["fold", "fold"] if parser is train_parser else [])
