"""Readers' decisions in the follow-ups: new, persistent, gone, ARIA-H, rates, sources."""

import pytest

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.tables import read_table, write_table
from cmb_bidsapp.cli import main
from cmb_bidsapp.group.collect import apply_ratings, collect, write_sums
from cmb_bidsapp.group.ratings import read_ratings
from cmb_bidsapp.group.session_records import records
from tests.group.followed import (
    COMES,
    FAINT,
    HIDDEN,
    MISSED,
    NOWHERE,
    STAYS,
    said,
    write_followed,
)
from tests.group.readers import write_ratings

TABLES = ("mars", "changes", "changes_long", "tracks", "rates", "flow")
COUNTS = ("persistent", "new", "already_there", "below_threshold", "gone", "new_since_baseline")
D, P, N = "definite", "possible", "not-cmb"


@pytest.fixture
def out(tmp_path):
    write_followed(tmp_path / "out")
    return tmp_path / "out"


class Group:
    """The tables of the group level after ratings, by name, and what was wrong."""

    def __init__(self, out, *ratings):
        found = records(out)
        if ratings:
            folder = out.parent / "ratings"
            write_ratings(folder, *ratings)
            found = apply_ratings(found, read_ratings(folder))
        cohort, _ = collect(found, out, limit=4)
        write_sums(cohort, out)
        self.problems, self.followed = cohort.problems, cohort.followed
        for name in TABLES:
            setattr(self, name, read_table(out / f"group_{name}.tsv"))

    @property
    def counts(self):
        (row,) = self.changes
        # Follow-ups and sessions are of the same decisions.
        first, second = (one["total"] for one in self.mars if one["participant_id"] == "sub-01")
        assert (row["baseline_count"], row["count"]) == (first, second)
        return {name: int(row[name]) for name in COUNTS if row[name] != "0"}

    def track(self, place):
        """States and changes of the microbleed at a place of the first session."""
        rows = [row for row in self.tracks if _near(row, place)]
        assert len({row["track_id"] for row in rows}) <= 1
        return [(row["state"], row["change"]) for row in rows]


def _near(row, place):
    return all(abs(float(row[axis]) - mm) < 4 for axis, mm in zip("xyz", place, strict=True))


def test_without_readers_follow_ups_are_those_of_the_algorithm(out):
    group = Group(out)
    assert group.counts == {
        **{"persistent": 1, "new": 1, "below_threshold": 1, "new_since_baseline": 1},
    }
    assert group.track(STAYS) == [("present", "baseline"), ("present", "persistent")]
    assert group.track(FAINT) == [("present", "baseline"), ("below-threshold", "n/a")]
    assert group.track(COMES) == [("not-yet", "n/a"), ("present", "new")]
    assert (group.track(HIDDEN), group.track(MISSED)) == ([], [])


def test_a_new_lesion_that_is_none_is_no_microbleed_at_all(out):
    group = Group(out, said("B", "2", N))
    (row,) = group.changes
    assert group.counts == {"persistent": 1, "below_threshold": 1}
    assert (row["aria_h"], row["new_at_least_1_probability"]) == ("none", "0")
    assert (row["count"], row["new_lobar"], row["new_definite"]) == ("1", "0", "0")
    assert group.track(COMES) == []
    assert {one["new"] for one in group.changes_long} == {"0"}
    assert {one["new"] for one in group.rates} == {"0"}


def test_when_no_microbleed_is_left_there_are_zeros_and_time(out):
    group = Group(out, *(said("A", n, N) for n in "12"), *(said("B", n, N) for n in "12"))
    (row,) = group.changes
    assert group.counts == {}
    assert (row["new_lobar"], row["gone_lobar"], row["known"]) == ("0", "0", "0")
    assert len(group.changes_long) == 26
    assert {one["follow_ups"] for one in group.rates} == {"1"}
    assert group.tracks == []


def test_a_rejected_candidate_kept_in_both_sessions_is_persistent(out):
    group = Group(out, said("A", "3", P), said("B", "3", D))
    assert group.counts["persistent"] == 2
    assert group.track(HIDDEN) == [("present", "baseline"), ("present", "persistent")]
    grades = [row["grade"] for row in group.tracks if row["lesion_id"] == "3"]
    assert grades == ["possible", "definite"]
    assert [row["track_id"] for row in group.tracks] == list("11223344")


def test_what_nobody_rated_at_the_place_is_what_the_images_show(out):
    """A candidate that is dark in the first session as well was there before."""
    group = Group(out, said("B", "3", D))
    assert group.track(HIDDEN) == [("below-threshold", "n/a"), ("present", "already-there")]
    assert group.counts["new"] == 1


def test_a_readers_no_before_makes_it_new(out):
    group = Group(out, said("A", "3", N), said("B", "3", D))
    assert group.track(HIDDEN) == [("not-yet", "n/a"), ("present", "new")]
    assert (group.counts["new"], group.counts["new_since_baseline"]) == (2, 2)
    (row,) = group.changes
    # That of the reader is certain, the other one has 0.7.
    assert float(row["new_at_least_1_probability"]) == 1


def test_a_candidate_below_the_threshold_that_a_reader_keeps_is_that_track(out):
    group = Group(out, said("B", "4", P))
    assert group.track(FAINT) == [("present", "baseline"), ("present", "persistent")]
    assert group.counts == {"persistent": 2, "new": 1, "new_since_baseline": 1}
    assert len(group.tracks) == 6


def test_a_candidate_below_the_threshold_that_is_none_is_gone(out):
    group = Group(out, said("B", "4", N))
    assert group.track(FAINT) == [("present", "baseline"), ("gone", "n/a")]
    assert group.counts["gone"] == 1
    (row,) = group.changes
    assert (row["gone_lobar"], row["below_threshold_lobar"]) == ("1", "0")


def test_a_lesion_that_is_none_at_baseline_only_is_new(out):
    group = Group(out, said("A", "1", N))
    assert group.track(STAYS) == [("not-yet", "n/a"), ("present", "new")]
    (row,) = group.changes
    assert (row["baseline_count"], row["new"], row["persistent"]) == ("1", "2", "0")
    (first,) = [one for one in group.tracks if one["state"] == "not-yet" and _near(one, STAYS)]
    assert (first["lesion_id"], first["calibrated_probability"]) == ("n/a", "0")


def test_an_added_lesion_is_new(out):
    group = Group(out, said("B", None, P, at=MISSED))
    assert group.track(MISSED) == [("not-yet", "n/a"), ("present", "new")]
    assert group.counts["new"] == 2
    (row,) = group.changes
    assert (row["aria_h"], row["new_possible"], row["new_lobar"]) == ("mild", "1", "2")
    (added,) = [one for one in group.tracks if one["change"] == "new" and _near(one, MISSED)]
    assert (added["lesion_id"], added["mars_region"], added["grade"]) == ("n/a", "frontal", P)
    assert group.rates[0]["new"] == "2"


def test_an_added_lesion_in_both_sessions_is_persistent(out):
    group = Group(out, *(said(name, None, D, at=MISSED) for name in "AB"))
    assert group.track(MISSED) == [("present", "baseline"), ("present", "persistent")]


def test_an_added_lesion_is_lost_only_where_nothing_is_seen(out):
    group = Group(out, said("A", None, D, at=NOWHERE), said("A", None, D, at=MISSED))
    assert group.track(NOWHERE) == [("present", "baseline"), ("gone", "n/a")]
    assert group.track(MISSED) == [("present", "baseline"), ("below-threshold", "n/a")]


def test_an_added_lesion_near_a_track_is_that_track(out):
    near = (COMES[0], COMES[1] + 3, COMES[2])
    group = Group(out, said("A", None, D, at=near))
    assert group.track(COMES) == [("present", "baseline"), ("present", "persistent")]


def test_an_added_lesion_beside_one_that_is_none_takes_its_place(out):
    near = (COMES[0], COMES[1] + 3, COMES[2])
    group = Group(out, said("B", "2", N), said("B", None, D, at=near))
    assert group.track(COMES) == [("not-yet", "n/a"), ("present", "new")]
    (row,) = [one for one in group.tracks if one["change"] == "new"]
    assert (row["lesion_id"], row["calibrated_probability"]) == ("n/a", "1")


def test_the_majority_of_readers_decides_and_a_tie_leaves_it(out):
    three = [said("B", "2", word, who) for who, word in zip("XYZ", (N, D, N), strict=True)]
    group = Group(out, *three)
    assert "new" not in group.counts
    (row,) = group.changes
    assert row["source"] == "ses-A: algorithm; ses-B: majority of 3 readers (1 unrated)"
    two = [said("B", "2", D, "X"), said("B", "2", N, "Y")]
    assert Group(out, *two).counts["new"] == 1


def test_a_changed_grade_is_counted_and_unrated_ones_stay(out):
    group = Group(out, said("B", "2", P))
    (row,) = group.changes
    assert (row["new_definite"], row["new_possible"]) == ("0", "1")
    assert group.track(STAYS) == [("present", "baseline"), ("present", "persistent")]


def everything(session, **words):
    """A reader's word on every kept candidate."""
    return [said(session, number, words.get(f"n{number}", D)) for number in "12"]


def test_every_table_says_whose_decisions_it_rests_on(out):
    assert {row["source"] for row in Group(out).tracks} == {"algorithm"}
    group = Group(out, *everything("A"), *everything("B", n2=N))
    for name in ("changes", "changes_long", "tracks"):
        assert {row["source"] for row in getattr(group, name)} == {"reader AB"}
    assert {row["source"] for row in group.rates} == {"readers"}
    group = Group(out, *everything("A"), said("B", "2", N))
    assert {row["source"] for row in group.changes_long} == {
        "ses-A: reader AB; ses-B: reader AB (1 unrated)"
    }


def test_other_participants_stay_as_they_are(out):
    write_followed(out, "02")
    before = Group(out)
    group = Group(out, said("B", "2", N))
    for name in ("changes", "changes_long", "tracks"):
        own = [
            [row for row in getattr(one, name) if row["participant_id"] == "sub-02"]
            for one in (before, group)
        ]
        assert own[0] == own[1]
    assert {row["source"] for row in group.rates} == {"readers (1 of 2 follow-ups), else algorithm"}
    assert group.flow == before.flow


def test_decisions_that_agree_change_nothing_but_what_is_certain(out):
    before = Group(out)
    group = Group(out, *everything("A"), *everything("B"))
    changing = ("source", "calibrated_probability")
    for old, new in zip(before.tracks, group.tracks, strict=True):
        assert {k: v for k, v in old.items() if k not in changing} == {
            k: v for k, v in new.items() if k not in changing
        }
    assert group.counts == before.counts


def test_what_another_protocol_does_not_show_is_neither_new_nor_gone(tmp_path):
    out = tmp_path / "out"
    write_followed(out, EchoTime=0.04)
    group = Group(out, said("B", None, D, at=MISSED), said("B", "4", N))
    assert group.track(MISSED) == [("not-comparable", "n/a"), ("present", "open")]
    assert group.track(FAINT) == [("present", "baseline"), ("not-comparable", "n/a")]


def test_a_session_that_could_not_be_registered_stays_out(tmp_path):
    out = tmp_path / "out"
    write_followed(out, poor=True)
    group = Group(out, *everything("A", n1=N), said("B", None, D, at=MISSED))
    (row,) = group.changes
    assert (row["registration"], row["new"], row["source"]) == ("poor", "n/a", "reader AB")
    assert [one["state"] for one in group.tracks] == ["present", "not-comparable"]
    assert group.problems == []


@pytest.mark.parametrize("lost", ["t2star", "instances", "to_session"])
def test_without_images_or_transforms_what_only_readers_know_is_told(out, lost):
    found = getattr(SessionFiles(out, "01", "B"), lost)
    path = found("A") if lost == "to_session" else found
    path.write_bytes(b"x")
    group = Group(out, said("B", "2", N), said("B", None, D, at=MISSED))
    (problem,) = group.problems
    assert "follow-ups do not use ratings of lesions that were not tracked" in problem.reason
    assert problem.files == SessionFiles(out, "01", None)
    assert (group.track(MISSED), group.track(COMES)) == ([], [])
    assert group.changes[0]["new"] == "0"


def test_tracks_of_other_lesions_are_told_and_stay(out):
    path = SessionFiles(out, "01", None).tracks
    rows = read_table(path)
    write_table(path, list(rows[0]), [{**row, "lesion_id": "77"} for row in rows])
    group = Group(out, said("B", "2", N))
    (problem,) = group.problems
    assert "run the participant level again" in problem.reason
    (row,) = group.changes
    assert (row["new"], row["source"]) == ("1", "algorithm")


def test_a_session_that_cannot_be_read_is_followed_as_the_algorithm_found_it(out):
    SessionFiles(out, "01", "A").lesions.write_text("x\n")
    group = Group(out, said("B", "2", N))
    assert [row["session_id"] for row in group.tracks] == ["ses-B", "ses-B"]
    assert group.track(STAYS) == [("present", "persistent")]
    assert group.tracks[0]["source"] == "ses-A: algorithm; ses-B: reader AB (1 unrated)"


def test_the_command_carries_decisions_into_follow_ups(out):
    ratings = out.parent / "ratings"
    write_ratings(ratings, *everything("A"), *everything("B"), said("B", None, D, at=MISSED))
    bids = str(out.parent / "bids")
    assert main([bids, str(out), "group", "--ratings", str(ratings)]) == 0
    (row,) = read_table(out / "group_changes.tsv")
    assert (row["new"], row["aria_h"], row["source"]) == ("2", "mild", "reader AB")
