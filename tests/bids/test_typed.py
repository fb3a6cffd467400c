"""Rows of tables as dataclasses: columns, cells, and what is refused."""

from dataclasses import dataclass

import pytest

from cmb_bidsapp.bids.typed import Level, column, columns_of, decode, encode


class Color(Level):
    RED = "red", "as blood"
    BLUE = "blue", "as the sea"


@dataclass(frozen=True, kw_only=True)
class Row:
    color: Color = column("Its color", levels=Color.levels, required=True)
    size: float | None = column("How large", "mm")
    count: int | None = column("How many")
    seen: bool | None = column("Whether it was seen")
    note: str | None = column("What else", levels={"odd": "not even"})


@dataclass(frozen=True, kw_only=True)
class Longer(Row):
    note: str | None = column("Another text")
    more: str | None = column("One more")


def test_columns_tell_what_the_fields_do_in_their_order():
    assert columns_of(Row) == {
        "color": {"Description": "Its color", "Levels": {"red": "as blood", "blue": "as the sea"}},
        "size": {"Description": "How large", "Units": "mm"},
        "count": {"Description": "How many"},
        "seen": {"Description": "Whether it was seen"},
        "note": {"Description": "What else", "Levels": {"odd": "not even"}},
    }


def test_a_longer_row_keeps_the_order_and_has_its_own_texts():
    columns = columns_of(Longer)
    assert list(columns) == ["color", "size", "count", "seen", "note", "more"]
    assert columns["note"] == {"Description": "Another text"}


class Why(Level):
    DARK = "dark", "it is dark"
    HEAVY = "heavy", "it is heavy", "mass"


@dataclass(frozen=True, kw_only=True)
class Weighed:
    why: Why | None = column("Why it is there", levels=Why.levels)
    mass: float | None = column("How heavy", "kg", needs="mass")
    scale: str | None = column("What weighed it", needs="mass")


@pytest.mark.parametrize(("mass", "columns"), [(None, ["why"]), (2.0, ["why", "mass", "scale"])])
def test_what_needs_a_column_that_no_row_knows_is_left_out(mass, columns):
    left = columns_of(Weighed, [Weighed(), Weighed(mass=mass)])
    assert list(left) == columns
    assert ("heavy" in left["why"]["Levels"]) == (mass is not None)
    assert list(columns_of(Weighed)) == ["why", "mass", "scale"]


def test_cells_are_what_a_table_has():
    row = Row(color=Color.RED, size=float("nan"), count=3, seen=True)
    cells = {"color": "red", "size": "n/a", "count": "3", "seen": "true", "note": "n/a"}
    assert encode(row) == cells
    assert decode(Row, cells) == Row(color=Color.RED, count=3, seen=True)


@pytest.mark.parametrize(
    ("cells", "cause"),
    [
        ({}, "color n/a: expected one of red, blue"),
        ({"color": "green"}, "color green: expected one of red, blue"),
        ({"color": "red", "size": "x"}, "size x: expected a number"),
        ({"color": "red", "count": "2.5"}, "count 2.5: expected a whole number"),
        ({"color": "red", "seen": "1"}, "seen 1: expected one of true, false"),
    ],
)
def test_a_cell_that_is_none_is_refused(cells, cause):
    with pytest.raises(ValueError, match=cause):
        decode(Row, cells)
