import json

import numpy as np
import pytest

from cmb_bidsapp.anatomy.standard import Field, write_field
from cmb_bidsapp.bids.typed import columns_of
from cmb_bidsapp.clinical.mars import fill
from cmb_bidsapp.group.opinion import ReadLesion
from cmb_bidsapp.group.ratings import read_ratings
from cmb_bidsapp.lesions.table import COLUMNS
from cmb_bidsapp.preprocess.resampling import Grid
from tests.group.readers import CANDIDATES, rating, row_of, write_ratings, write_session

LATER = {"date": "2026-03-02T09:00:00.000Z"}


def everything(*decisions, rater="AB"):
    """A rating of each kept candidate."""
    return [rating(str(n), word, rater) for n, word in enumerate(decisions, 1)]


# Applying


def test_a_readers_grade_replaces_that_of_the_algorithm(applied, record):
    read, ratings = applied(*everything("possible", "definite", "definite"))
    assert read.source == "reader AB"
    assert [(r.status, r.grade) for r in read.lesions] == [
        ("kept", "possible"),
        ("kept", "definite"),
        ("kept", "definite"),  # macro by the algorithm's size
        ("rejected", "possible"),  # nobody rated it
    ]
    assert [r.source for r in read.lesions] == ["reader AB"] * 3 + ["algorithm"]
    assert [r.algorithm for r in read.lesions] == ["definite", "possible", "macro", "rejected"]
    assert row_of(read, "1").readers == "AB: possible"
    assert row_of(read, "4").readers is None
    assert (ratings.problems, ratings.notes) == ((), ())
    assert fill(record.lesions).count() == 2
    assert fill(read.lesions).count() == 3


def test_not_a_microbleed_is_rejected_by_the_reader(applied):
    read, _ = applied(*everything("not-cmb", "possible", "not-cmb"))
    first = row_of(read, "1")
    assert (first.status, first.reason, first.grade) == ("rejected", "reader", "definite")
    assert fill(read.lesions).count() == 1


def test_a_rejected_candidate_comes_back_by_a_readers_word(applied):
    read, _ = applied(*everything("definite", "possible", "not-cmb"), rating("4", "definite"))
    row = row_of(read, "4")
    assert (row.status, row.reason, row.grade) == ("kept", "reader", "definite")
    assert (row.source, row.algorithm) == ("reader AB", "rejected")


def test_what_a_reader_decided_is_certain(applied):
    read, _ = applied(rating("1", "possible"), rating("2", "not-cmb"))
    found = [row.calibrated_probability for row in read.lesions]
    assert found == [1, 0, 0.7, 0.7]


def test_kept_candidates_without_a_rating_stay_and_are_counted(applied, record):
    read, ratings = applied(rating("1", "not-cmb"))
    assert read.source == "reader AB (2 unrated)"
    second = row_of(read, "2")
    assert (second.status, second.grade, second.source) == (
        "kept", "possible", "algorithm",
    )  # fmt: skip
    (note,) = ratings.notes
    assert "AB rated 1 of 3 kept candidates" in str(note)
    assert note.files == record.files
    assert ratings.problems == ()


def test_a_session_without_ratings_is_as_it_was(tmp_path, applied):
    other = write_session(tmp_path / "out", "02")
    _, ratings = applied(*everything("definite", "definite", "definite"))
    assert ratings.apply(other) is other


def test_notes_are_kept_with_the_decision(applied):
    read, _ = applied(rating("1", "possible", note="beside a vein; <b>see</b>"))
    assert row_of(read, "1").readers == "AB: possible (beside a vein; <b>see</b>)"


def test_sessions_are_told_apart(tmp_path):
    first, second = (write_session(tmp_path / "out", "01", label) for label in "AB")
    write_ratings(
        tmp_path,
        rating("1", "not-cmb", session_id="ses-A"),
        rating("1", "possible", session_id="ses-B"),
    )
    ratings = read_ratings(tmp_path)
    assert row_of(ratings.apply(first), "1").status == "rejected"
    assert row_of(ratings.apply(second), "1").grade == "possible"
    assert ratings.problems == ()


def test_a_session_without_candidates_is_read_where_the_reader_says_so(tmp_path):
    record = write_session(tmp_path / "out", candidates=[])
    write_ratings(tmp_path, rating(None, "read"))
    ratings = read_ratings(tmp_path)
    read = ratings.apply(record)
    assert (read.source, read.lesions) == ("reader AB", ())
    (reading,) = ratings.readings
    assert (reading.finished, reading.count("AB")) == (("AB",), 0)


# Added lesions


def test_an_added_lesion_is_a_row_with_its_region_and_side(applied, record):
    read, ratings = applied(
        *everything("definite", "definite", "not-cmb"),
        rating(None, "definite", place=(20, 2, 8), note="faint"),
        rating(None, "possible", place=(-6, 0, 0)),
    )
    assert read.source == "reader AB"
    lobar, deep = read.lesions[len(CANDIDATES) :]
    assert (lobar.lesion_id, lobar.status, lobar.grade) == (None, "kept", "definite")
    assert (lobar.x, lobar.y, lobar.z) == (20, 2, 8)
    assert [lobar.region, lobar.mars_region, lobar.side] == ["lobar", "frontal", "right"]
    assert [deep.region, deep.mars_region, deep.side] == ["deep", "thalamus", "left"]
    assert (lobar.border, lobar.diameter, lobar.algorithm) == (False, None, "absent")
    assert (lobar.readers, lobar.source) == ("AB: definite (faint)", "reader AB")
    assert fill(read.lesions).count("frontal", "right", "definite") == 3
    assert fill(read.lesions).count("thalamus", "left", "possible") == 1
    assert ratings.problems == ()


def test_an_added_lesion_has_its_place_in_mni152(applied, record):
    shift = np.full((4, 4, 4, 3), (1, -2, 0.5), np.float32)
    grid = Grid(
        (4, 4, 4), np.array([[30, 0, 0, -50], [0, 30, 0, -50], [0, 0, 30, -40.0], [0, 0, 0, 1]])
    )
    write_field(Field(shift, grid), record.files.to_standard)
    read, _ = applied(rating(None, "definite", place=(20, 2, 8)))
    assert read.lesions[-1].standard_point == (21, 0, 8.5)


@pytest.mark.parametrize(
    ("x", "region"),
    [(-1, "deep"), (1, "lobar"), (-20, "deep"), (-24, "unassigned")],
)
def test_outside_every_region_the_nearest_within_12_mm_is_taken(applied, x, region):
    # The thalamus has its voxels at x from -10 to -2, the frontal lobe from 0 on.
    read, _ = applied(rating(None, "definite", place=(x, 0, 0)))
    assert read.lesions[-1].region == region


def test_without_regions_an_added_lesion_counts_and_it_is_said(applied, record):
    record.files.mars.unlink()
    read, ratings = applied(rating(None, "definite", place=(20, 2, 8)))
    added = read.lesions[-1]
    assert (added.status, added.region, added.side) == (
        "kept", "unassigned", "unassigned",
    )  # fmt: skip
    (problem,) = ratings.problems
    assert problem.path == record.files.mars
    assert "unassigned" in problem.reason


@pytest.mark.parametrize(
    ("place", "cause"),
    [
        ((500, 0, 0), "outside the image"),
        ((11, 21, 30), "lies on candidate 1; rate that one instead"),
    ],
)
def test_a_lesion_cannot_be_added_where_it_makes_no_sense(applied, place, cause):
    read, ratings = applied(rating("1", "definite"), rating(None, "definite", place=place))
    assert len(read.lesions) == len(CANDIDATES)
    (problem,) = ratings.problems
    assert cause in problem.reason


def test_an_added_lesion_is_taken_back_by_a_later_decision(applied):
    where = {"place": (20, 2, 8)}
    read, ratings = applied(
        rating(None, "definite", **where), rating(None, "not-cmb", **where, **LATER)
    )
    assert len(read.lesions) == len(CANDIDATES)
    assert len(ratings.notes) == 2  # that, and candidates without a rating


# Files


def test_files_in_folders_of_folders_are_found(tmp_path, record):
    write_ratings(tmp_path / "site" / "reader", rating("1", "not-cmb"), name="x_ratings.tsv")
    assert row_of(read_ratings(tmp_path).apply(record), "1").status == "rejected"


def test_of_two_exports_the_later_decision_holds_and_it_is_said(tmp_path, record):
    new = write_ratings(tmp_path / "a", rating("1", "not-cmb", **LATER))
    old = write_ratings(tmp_path / "b", *everything("definite", "possible", "possible"))
    ratings = read_ratings(tmp_path)
    read = ratings.apply(record)
    assert row_of(read, "1").status == "rejected"
    assert (read.source, row_of(read, "2").status) == ("reader AB", "kept")
    (note,) = ratings.notes
    assert note.path == old
    assert f"candidate 1: a later decision of AB is used, from {new}" in note.reason


def test_copies_of_an_export_are_read_and_change_nothing(tmp_path, record):
    rows = [
        *everything("definite", "possible", "possible"),
        rating(None, "definite", place=(20, 2, 8)),
    ]
    write_ratings(tmp_path, *rows)
    write_ratings(tmp_path, *rows, name="sub-01_rater-AB_ratings (1).tsv")
    ratings = read_ratings(tmp_path)
    assert len(ratings.apply(record).lesions) == len(CANDIDATES) + 1
    assert (ratings.notes, ratings.problems) == ((), ())


def test_a_numbered_copy_alone_is_found(tmp_path, record):
    write_ratings(tmp_path, rating("1", "not-cmb"), name="sub-01_rater-AB_ratings (1).tsv")
    assert row_of(read_ratings(tmp_path).apply(record), "1").status == "rejected"


def test_dates_are_compared_across_time_zones(applied):
    read, _ = applied(
        rating("1", "not-cmb", date="2026-03-01T10:30:00+02:00"),  # 8:30 UTC
        rating("1", "possible", date="2026-03-01T09:00:00"),
    )
    assert row_of(read, "1").grade == "possible"


def test_a_name_in_other_letters_is_the_same_reader(applied):
    read, _ = applied(
        *everything("definite", "possible", "possible"), rating("1", "not-cmb", " ab ", **LATER)
    )
    assert read.source == "reader AB"
    assert row_of(read, "1").status == "rejected"


# Several readers


def test_several_readers_decide_by_majority(applied):
    read, _ = applied(
        *everything("definite", "not-cmb", "possible", rater="A"),
        *everything("not-cmb", "not-cmb", "possible", rater="B"),
        *everything("definite", "definite", "definite", rater="C"),
    )
    assert read.source == "majority of 3 readers"
    assert [(r.status, r.grade) for r in read.lesions[:3]] == [
        ("kept", "definite"),
        ("rejected", "possible"),
        ("kept", "possible"),
    ]
    assert row_of(read, "1").readers == "A: definite; B: not-cmb; C: definite"
    assert row_of(read, "1").source == "majority of 3 readers"


def test_at_a_tie_a_candidate_stays_as_it_was(applied):
    read, _ = applied(
        *everything("definite", "not-cmb", "possible", rater="A"),
        *everything("not-cmb", "not-cmb", "possible", rater="B"),
    )
    assert read.source == "majority of 2 readers (1 tied)"
    first = row_of(read, "1")
    assert (first.status, first.grade, first.reason) == ("kept", "definite", "parenchyma")
    assert first.source == "algorithm, at a tie of 2 readers"
    assert first.calibrated_probability == 0.7


def test_readers_who_finished_and_did_not_add_a_lesion_say_no(applied):
    done = ("definite", "possible", "possible")
    added = rating(None, "definite", "A", place=(20, 2, 8))
    alone, ratings = applied(*everything(*done, rater="A"), added, *everything(*done, rater="B"))
    assert len(alone.lesions) == len(CANDIDATES)  # one yes, one no
    assert "left out" in ratings.notes[0].reason
    assert "A: definite; B: not-cmb" in ratings.notes[0].reason
    # Two add it, a little apart; the third did not.
    both, _ = applied(
        *everything(*done, rater="A"), added,
        *everything(*done, rater="B"), rating(None, "possible", "B", place=(22, 2, 8)),
        *everything(*done, rater="C"),
    )  # fmt: skip
    row = both.lesions[-1]
    assert (row.lesion_id, row.grade, row.x) == (None, "possible", 21)
    assert row.source == "majority of 3 readers"


def test_readers_who_did_not_finish_have_no_say_on_added_lesions(applied):
    read, _ = applied(
        rating("1", "definite", "A"),
        rating(None, "definite", "A", place=(20, 2, 8)),
        rating("1", "definite", "B"),
    )
    assert read.lesions[-1].source == "reader A"


# The table


def test_every_column_that_readers_add_is_described(applied, record):
    read, _ = applied(rating("1", "not-cmb"))
    columns = columns_of(ReadLesion)
    assert list(vars(read.lesions[0])) == list(columns)
    assert list(columns)[: len(COLUMNS)] == list(vars(record.lesions[0])) == list(COLUMNS)
    assert "reader" in columns["reason"]["Levels"]
    assert "reader" not in COLUMNS["reason"]["Levels"]
    assert json.dumps(columns)


# Adjudication


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
