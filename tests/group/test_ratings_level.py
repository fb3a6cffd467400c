"""The group level with readers' ratings, as a person calls it."""

import pytest

from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.cli import main
from tests.group.readers import rating, write_ratings, write_session
from tests.skeletons import result_of


@pytest.fixture
def group(tmp_path, capsys):
    """Run the group level; returns its exit code and the last line of what it says."""
    write_session(tmp_path / "out")
    write_session(tmp_path / "out", "02")

    def run():
        arguments = ["bids", "out", "group", "--ratings", "ratings"]
        where = [str(tmp_path / a) if a in ("bids", "out", "ratings") else a for a in arguments]
        code = main(where)
        return code, capsys.readouterr()

    return run


def test_every_table_says_whose_decisions_it_holds(tmp_path, group):
    rows = [rating(str(n), "not-cmb", mode="blinded", seconds=1.5) for n in (1, 2, 3)]
    write_ratings(tmp_path / "ratings", *rows, rating(None, "definite", place=(20, 2, 8)))
    code, said = group()
    assert code == 0, said.err
    for name in ("mars", "mars_long", "summary", "lesions"):
        table = read_table(tmp_path / "out" / f"group_{name}.tsv")
        sources = {(row["participant_id"], row["source"], row["mode"]) for row in table}
        assert ("sub-01", "reader AB", "blinded") in sources
        assert ("sub-02", "algorithm", "n/a") in sources
    decisions = read_table(tmp_path / "out" / "group_decisions.tsv")
    told = ("lesion_id", "reader", "decision", "mode", "seconds", "algorithm", "verdict", "pool")
    assert [tuple(row[name] for name in told) for row in decisions] == [
        ("1", "AB", "not-cmb", "blinded", "1.5", "definite", "not-cmb", "unknown"),
        ("2", "AB", "not-cmb", "blinded", "1.5", "possible", "not-cmb", "unknown"),
        ("3", "AB", "not-cmb", "blinded", "1.5", "not-cmb", "not-cmb", "unknown"),
        ("n/a", "AB", "definite", "n/a", "n/a", "not-cmb", "definite", "unknown"),
    ]
    first, second = read_table(tmp_path / "out" / "group_mars.tsv")
    assert (first["total"], first["lobar_definite"], second["total"]) == ("1", "1", "2")
    (agreement,) = read_table(tmp_path / "out" / "group_agreement.tsv")
    assert (agreement["second"], agreement["lesions"], agreement["sessions"]) == ("AB", "4", "1")
    summary, _ = read_table(tmp_path / "out" / "group_summary.tsv")
    # What a reader decided is certain.
    assert (summary["count"], summary["expected_count"]) == ("1", "1")
    assert "Agreement of readers" in (tmp_path / "out" / "group.html").read_text()


def test_ratings_that_cannot_be_used_are_told_and_listed_and_the_code_is_1(tmp_path, group):
    path = write_ratings(tmp_path / "ratings", rating("1", "not-cmb", place=(0, 0, 0)))
    code, said = group()
    assert (code, result_of(said.out)[3]) == (1, 1)
    (problem,) = read_table(tmp_path / "out" / "group_problems.tsv")
    assert problem["file"] == str(path)
    assert "rate them in the current report" in problem["reason"]
    assert problem["reason"] in said.out
    assert read_table(tmp_path / "out" / "group_mars.tsv")[0]["source"] == "algorithm"


def test_a_folder_without_ratings_is_no_input(tmp_path, group):
    (tmp_path / "ratings").mkdir()
    code, said = group()
    assert code == 66
    assert "no *_ratings.tsv in this folder" in said.err
