"""Tables of text with a title."""

import math

import pytest

from cmb_bidsapp.report.blocks import Block, as_text, interval, number, yes


def test_columns_are_as_wide_as_their_widest_cell_and_numbers_to_the_right():
    block = Block(
        title="Lesions",
        note="All scans.",
        heads=("", "TP", "recall"),
        rows=[("a", "12", "0.5"), ("bcd", "3", "")],
    )
    assert as_text([block]).splitlines() == [
        "Lesions",
        "All scans.",
        "       TP  recall",
        "  a    12     0.5",
        "  bcd   3",
    ]


def test_blocks_stand_apart():
    block = Block(title="One", note="Note.", heads=("",), rows=[("a",)])
    one = as_text([block])
    assert as_text([block, block]) == f"{one}\n\n{one}"


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(0.12345, 4, "0.1235"), (3, 0, "3"), (None, 2, "n/a"), (math.nan, 2, "n/a"), ("x", 1, "n/a")],
)
def test_a_figure_has_its_digits(value, digits, text):
    assert number(value, digits) == text


def test_an_interval_stands_behind_its_figure():
    row = {"f1": 0.66667, "f1_low": 0.5, "f1_high": 0.75}
    assert interval(row, "f1") == "0.6667 [0.500, 0.750]"
    assert interval({**row, "f1_low": math.nan, "f1_high": math.nan}, "f1") == "0.6667"
    assert interval({"f1": None}, "f1") == "n/a"


def test_what_is_not_known_is_neither_yes_nor_no():
    assert [yes(value) for value in (True, False, None, "true")] == ["yes", "no", "-", "-"]
