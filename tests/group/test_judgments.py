"""Readers' words on microbleeds through time, in the tables of the group level."""

import pytest

from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.group.agreement import rows
from tests.group.followed import COMES, FAINT, STAYS, said, write_followed
from tests.group.readers import rating
from tests.group.test_follow_ups import Group


@pytest.fixture
def out(tmp_path):
    write_followed(tmp_path / "out")
    return tmp_path / "out"


def on_track(number, word, rater="AB", place=COMES, session="B", **more):
    """A row of an export on a microbleed at a follow-up; its place is that at baseline."""
    about = {"session_id": f"ses-{session}", "track_id": number, **more}
    return rating(None, word, rater, place=place, **about)


def number_of(group, place):
    """Number of the microbleed at a place of the first session."""
    (row,) = [
        row
        for row in group.tracks
        if row["session_id"] == "ses-A"
        and all(abs(float(row[a]) - mm) < 4 for a, mm in zip("xyz", place, strict=True))
    ]
    return row["track_id"], tuple(float(row[axis]) for axis in "xyz")


def test_a_new_one_that_was_there_before_is_not_new(out):
    number, place = number_of(Group(out), COMES)
    group = Group(out, on_track(number, "there-before", place=place, mode="aided", note="seen"))
    assert group.problems == []
    assert group.track(COMES) == [("below-threshold", "n/a"), ("present", "already-there")]
    (row,) = group.changes
    assert (row["new"], row["new_since_baseline"], row["aria_h"]) == ("0", "0", "none")
    assert (row["source"], row["mode"]) == (
        "algorithm; changes: reader AB",
        "n/a; changes: aided",
    )
    assert {one["source"] for one in group.tracks} == {row["source"]}
    assert {one["source"] for one in group.mars} == {"algorithm"}
    assert {one["source"] for one in group.rates} == {"readers"}
    (decision,) = read_table(out / "group_decisions.tsv")
    told = ("track_id", "lesion_id", "reader", "decision", "algorithm", "verdict", "note")
    assert [decision[name] for name in told] == [
        *(number, "n/a", "AB", "there-before", "new", "there-before", "seen"),
    ]


def test_a_no_in_one_session_alone_is_no_new_microbleed_where_the_reader_says_so(out):
    no = said("A", "1", "not-cmb")
    group = Group(out, no)
    assert group.counts["new"] == 2
    number, place = number_of(group, STAYS)
    group = Group(out, no, on_track(number, "there-before", place=place))
    assert group.track(STAYS) == [("below-threshold", "n/a"), ("present", "already-there")]
    (row,) = group.changes
    assert (row["new"], row["already_there"], row["baseline_count"]) == ("1", "1", "1")
    assert row["source"].endswith("ses-B: algorithm; changes: reader AB")


def test_the_majority_decides_and_an_adjudicator_over_all(out):
    number, place = number_of(Group(out), FAINT)
    words = [on_track(number, "gone", who, place) for who in ("X", "Y")]
    group = Group(out, *words, on_track(number, "there-before", "Z", place))
    assert group.track(FAINT)[1] == ("gone", "n/a")
    assert group.changes[0]["source"] == "algorithm; changes: majority of 3 readers"
    tie = [on_track(number, "gone", "X", place), on_track(number, "there-before", "Y", place)]
    assert Group(out, *tie).track(FAINT)[1] == ("below-threshold", "n/a")
    judge = on_track(number, "gone", "Q", place, mode="adjudicated")
    group = Group(out, *tie, judge)
    assert group.track(FAINT)[1] == ("gone", "n/a")
    assert group.changes[0]["source"] == "algorithm; changes: adjudicator Q"
    assert group.changes[0]["gone"] == "1"


def test_words_on_other_tracks_and_against_counted_lesions_are_told(out):
    before = Group(out)
    number, place = number_of(before, STAYS)
    group = Group(
        out,
        on_track(number, "gone", place=place),
        on_track(99, "new", place=place),
        on_track(number, "new", "CD", place=(place[0] + 1, *place[1:])),
    )
    assert group.counts == before.counts
    reasons = sorted(one.reason for one in group.problems)
    assert [one.partition(":")[0] for one in reasons] == [
        "ses-B, microbleed 1",
        "ses-B, microbleed 1",
        "ses-B, microbleed 99",
    ]
    assert sum("rated gone, but its lesion is counted" in one for one in reasons) == 1


@pytest.mark.parametrize(
    ("word", "more"), [("definite", {}), ("new", {"track_id": None}), ("new", {"track_id": "x"})]
)
def test_words_are_those_of_what_they_are_on(out, word, more):
    (problem,) = Group(out, {**on_track(1, word), **more}).problems
    assert "expected" in problem.reason


def test_readers_are_compared_with_each_other_and_with_the_algorithm(out):
    before = Group(out)
    (new, at_new), (faint, at_faint) = (number_of(before, place) for place in (COMES, FAINT))
    group = Group(
        out,
        on_track(new, "new", place=at_new),
        on_track(new, "there-before", "CD", place=at_new),
        on_track(faint, "there-before", place=at_faint),
        on_track(faint, "not-sure", "CD", place=at_faint),
    )
    (told,) = group.followed
    assert told.participant == "01"
    assert [dict(mark) for mark in told.marks] == [
        {"algorithm": "new", "AB": "new", "CD": "there-before"},
        {"algorithm": "there-before", "AB": "there-before", "CD": "not-sure"},
    ]
    found = rows([], group.followed)
    assert [(row["tracks"], row["tracks_unsure"]) for row in found] == [(2, 0), (1, 1), (1, 1)]
    assert [row["tracks_same"] for row in found] == [1, 0, 0]
