"""Whose word counts where readers disagree, and in what words the tables say so."""

from tests.group.readers import rating, row_of
from tests.group.test_reader_decisions import everything


def test_who_adjudicates_rules_over_the_majority(applied):
    read, ratings = applied(
        *everything("definite", "definite", "not-cmb"),
        *everything("definite", "definite", "not-cmb", rater="CD"),
        rating("1", "not-cmb", "EF", mode="adjudicated"),
        rating("2", "possible", "EF", mode="adjudicated", seconds=2.5),
    )
    assert [(r.status, r.source, r.mode) for r in read.lesions[:3]] == [
        ("rejected", "adjudicator EF", "adjudicated"),
        ("kept", "adjudicator EF", "adjudicated"),
        ("rejected", "majority of 2 readers", None),
    ]
    assert (row_of(read, "2").grade, row_of(read, "2").seconds) == ("possible", 2.5)
    assert read.source == "adjudicator EF (1 not adjudicated)"
    assert ratings.problems == ()


def test_an_adjudicators_no_to_an_added_lesion_leaves_it_out(applied):
    place = {"place": (20, 2, 8)}
    read, _ = applied(
        *(rating(None, "definite", name, **place) for name in ("AB", "CD")),
        rating(None, "not-cmb", "EF", mode="adjudicated", **place),
    )
    assert [lesion.lesion_id for lesion in read.lesions] == [1, 2, 3, 4]
    (added,) = [row for row in read.said if row["lesion_id"] is None and row["reader"] == "AB"]
    assert (added["decision"], added["verdict"]) == ("definite", "not-cmb")


def test_who_read_and_adjudicates_is_two(applied):
    read, _ = applied(
        rating("1", "not-cmb", mode="aided"), rating("1", "definite", mode="adjudicated")
    )
    first = row_of(read, "1")
    assert (first.readers, first.status) == ("AB: not-cmb; adjudicator AB: definite", "kept")
