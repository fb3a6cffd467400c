"""Ratings that cannot be used: each is listed, with what to do, and the others are used."""

import pytest

from cmb_bidsapp.core.errors import NoInputError
from cmb_bidsapp.group.ratings import read_ratings
from cmb_bidsapp.lesions.table import fingerprint
from tests.group.readers import rating, row_of, write_ratings


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"place": (10, 20, 30.6)}, "candidate 1: not where the lesion table has it"),
        ({"lesion_id": "9"}, "candidate 9: not in the lesion table"),
    ],
)
def test_ratings_of_other_results_are_listed_and_not_used(applied, record, changes, cause):
    read, ratings = applied(rating("1", "not-cmb", **changes))
    assert read is record
    (problem,) = ratings.problems
    assert cause in problem.reason
    assert "of other results (version 0.1," in problem.reason
    assert problem.path.name == "sub-01_rater-AB_ratings.tsv"


def test_a_place_that_differs_in_its_last_digits_is_the_same(applied):
    read, ratings = applied(rating("1", "not-cmb", place=(10.3, 20.3, 30)))
    assert row_of(read, "1").status == "rejected"
    assert ratings.problems == ()


def test_ratings_of_sessions_that_are_not_here_are_listed(applied):
    _, ratings = applied(
        rating("1", "not-cmb"),
        rating("1", "not-cmb", participant_id="sub-77"),
        rating("2", "not-cmb", participant_id="sub-01", session_id="ses-X"),
    )
    (problem,) = ratings.problems
    assert "no results of sub-77, sub-01_ses-X" in problem.reason


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"decision": "maybe"}, "decision 'maybe': definite, possible, not-cmb is expected"),
        ({"decision": None}, "decision 'n/a'"),
        ({"decision": "read"}, "decision 'read'"),  # of a candidate
        ({"x": "left"}, "x, y, z: three numbers"),
        ({"z": "inf"}, "x, y, z: three numbers"),
        ({"date": "yesterday"}, "date 'yesterday': ISO 8601"),
        ({"rater": None}, "rater 'n/a'"),
        ({"rater": "Algorithm"}, "rater 'Algorithm'"),
        ({"rater": "adjudicator EF"}, "rater 'adjudicator EF'"),
        ({"participant_id": "01"}, "participant '01'"),
        ({"session_id": "A"}, "session 'A'"),
        ({"mode": "open"}, "mode 'open': aided, blinded, adjudicated or n/a"),
        ({"seconds": "long"}, "seconds 'long': a number from 0 on"),
        ({"seconds": "-1"}, "seconds '-1': a number from 0 on"),
    ],
)
def test_a_broken_row_is_listed_and_the_others_are_used(applied, changes, cause):
    read, ratings = applied(rating("2", "not-cmb"), rating("1", "not-cmb") | changes)
    assert row_of(read, "2").status == "rejected"
    assert row_of(read, "1").status == "kept"
    (problem,) = ratings.problems
    assert problem.reason.startswith("line 3: ")
    assert cause in problem.reason


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
        f"sub-01: made on other outputs (ba9876543210; the lesion table is now {present}); what "
        "lies where it lay is used, look at the present report"
    )


@pytest.mark.parametrize(
    "content",
    [b"", b"rater\tdecision\nAB\tdefinite\n", b"\xff\xfe\x00", "cut".encode("utf-16")],
)
def test_a_broken_file_is_listed_and_the_others_are_used(tmp_path, record, content):
    write_ratings(tmp_path, rating("1", "not-cmb"))
    broken = tmp_path / "sub-02_rater-CD_ratings.tsv"
    broken.write_bytes(content)
    ratings = read_ratings(tmp_path)
    assert ratings.apply(record).source == "reader AB (2 unrated)"
    (problem,) = ratings.problems
    assert problem.path == broken
    assert "export the ratings again" in problem.reason


def test_a_file_cut_off_in_a_row_is_broken(tmp_path):
    path = write_ratings(tmp_path, rating("1", "not-cmb"))
    path.write_text(path.read_text()[:-40])
    (problem,) = read_ratings(tmp_path).problems
    assert "does not have the columns of the header" in problem.reason


def test_a_folder_without_ratings_is_an_error(tmp_path):
    (tmp_path / "participants.tsv").touch()
    with pytest.raises(NoInputError, match=r"no \*_ratings.tsv"):
        read_ratings(tmp_path)
