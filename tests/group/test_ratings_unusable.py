"""Ratings that cannot be used: each is listed, with what to do, and the others are used."""

import pytest

from cmb_bidsapp.core.errors import NoInputError
from cmb_bidsapp.group.ratings import read_ratings
from tests.group.readers import rating, write_ratings


def test_ratings_of_sessions_that_are_not_here_are_listed(applied):
    _, ratings = applied(
        rating("1", "not-cmb"),
        rating("1", "not-cmb", participant_id="sub-77"),
        rating("2", "not-cmb", participant_id="sub-01", session_id="ses-X"),
    )
    (problem,) = ratings.problems
    assert "no results of sub-77, sub-01_ses-X" in problem.reason


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
