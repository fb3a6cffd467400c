"""Tables that are written row by row."""

import json

import pytest

from cmb_bidsapp.bids.tables import open_table, read_table

COLUMNS = {"name": {"Description": "Name"}, "size": {"Description": "Size"}}


def test_several_tables_take_their_rows_in_turn(tmp_path):
    paths = [tmp_path / "a.tsv", tmp_path / "b.tsv"]
    with (
        open_table(paths[0], list(COLUMNS), COLUMNS) as first,
        open_table(paths[1], ["x"]) as second,
    ):
        for number in range(3):
            first({"name": f"n{number}", "size": number / 2, "more": 1})
            second({"x": None})
        assert not any(path.exists() for path in paths)
    assert read_table(paths[0])[1:] == [
        {"name": "n1", "size": "0.5"},
        {"name": "n2", "size": "1"},
    ]
    assert read_table(paths[1]) == [{"x": "n/a"}] * 3
    assert json.loads((tmp_path / "a.json").read_text()) == COLUMNS
    assert not (tmp_path / "b.json").exists()


def test_where_the_rows_end_with_an_error_the_old_table_stays(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("old")

    def write():
        with open_table(path, list(COLUMNS), COLUMNS) as add:
            add({"name": "new"})
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        write()
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.tsv"]


def test_what_would_break_a_row_becomes_a_blank(tmp_path):
    with open_table(tmp_path / "a.tsv", ["x"]) as add:
        add({"x": "a\tb\nc\rd"})
        add({"x": 'é "quoted" \u00a0'})
    assert [row["x"] for row in read_table(tmp_path / "a.tsv")] == ["a b c d", 'é "quoted" \u00a0']


def test_an_empty_file_is_no_table(tmp_path):
    (tmp_path / "a.tsv").touch()
    with pytest.raises(ValueError, match="lacks name"):
        read_table(tmp_path / "a.tsv", ["name"])
