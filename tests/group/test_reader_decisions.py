"""One session after its readers."""

import json

import numpy as np
import pytest

from cmb_bidsapp.anatomy.standard import Field, write_field
from cmb_bidsapp.bids.typed import columns_of
from cmb_bidsapp.clinical.mars import fill
from cmb_bidsapp.group.opinion import ReadLesion
from cmb_bidsapp.lesions.table import COLUMNS, fingerprint
from cmb_bidsapp.preprocess.resampling import Grid
from tests.group.readers import CANDIDATES, rating, row_of

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


def test_notes_are_kept_with_the_decision(applied):
    read, _ = applied(rating("1", "possible", note="beside a vein; <b>see</b>"))
    assert row_of(read, "1").readers == "AB: possible (beside a vein; <b>see</b>)"


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
        ((11, 21, 30), "is at candidate 1; rate that candidate instead"),
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


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"place": (10, 20, 30.6)}, "candidate 1: not at its place in the lesion table"),
        ({"lesion_id": "9"}, "candidate 9: not in the lesion table"),
    ],
)
def test_ratings_of_other_results_are_listed_and_not_used(applied, record, changes, cause):
    read, ratings = applied(rating("1", "not-cmb", **changes))
    assert read is record
    (problem,) = ratings.problems
    assert cause in problem.reason
    assert "made on other results (version 0.1," in problem.reason
    assert problem.path.name == "sub-01_rater-AB_ratings.tsv"


def test_a_place_that_differs_in_its_last_digits_is_the_same(applied):
    read, ratings = applied(rating("1", "not-cmb", place=(10.3, 20.3, 30)))
    assert row_of(read, "1").status == "rejected"
    assert ratings.problems == ()


def test_ratings_made_on_other_outputs_are_used_where_they_can_be_and_it_is_said(applied, record):
    present = fingerprint(record.files.lesions)
    fresh = rating("1", "not-cmb", mode="blinded", seconds="12.5", outputs=present)
    read, ratings = applied(fresh)
    assert ratings.problems == ()
    read, ratings = applied(fresh, rating("2", "not-cmb", outputs="ba9876543210"))
    assert row_of(read, "2").status == "rejected"
    (problem,) = ratings.problems
    assert problem.files == record.files
    assert problem.reason == (
        f"sub-01: made on other outputs (ba9876543210; the lesion table is now {present}). "
        "Ratings are used if the lesion is still at the same place; check the current report"
    )
