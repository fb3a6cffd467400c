"""What readers said, as points to learn from."""

import pytest

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.core.errors import DataError, NoInputError
from cmb_bidsapp.train.rated import read_rated
from tests.group.readers import rating, write_ratings, write_session


@pytest.fixture
def ratings(tmp_path):
    folder = tmp_path / "ratings"
    folder.mkdir()
    return folder


def test_what_readers_decided_is_a_microbleed_or_none(tmp_path, ratings):
    for participant in ("01", "02"):
        write_session(tmp_path, participant)
    rows = rating("1", "possible"), rating("2", "not-cmb"), rating("4", "definite")
    added = rating(None, "definite", place=(20.0, 10.0, 8.0))
    write_ratings(ratings, *rows, added)
    sessions = [SessionFiles(tmp_path, participant, None) for participant in ("01", "02")]
    rated, problems = read_rated(ratings, sessions)
    assert problems == ()
    assert list(rated) == ["sub-01"], "nobody read the other one"
    assert rated["sub-01"].lesions.tolist() == [[10, 20, 30], [40, 40, 0], [20, 10, 8]]
    assert rated["sub-01"].others.tolist() == [[12.5, -20, 30]]


def test_a_tie_of_two_readers_decides_nothing(tmp_path, ratings):
    write_session(tmp_path)
    write_ratings(ratings, rating("1", "definite"), rating("1", "not-cmb", "CD"))
    assert read_rated(ratings, [SessionFiles(tmp_path, "01", None)])[0] == {}


def test_ratings_that_cannot_be_used_are_told(tmp_path, ratings):
    write_session(tmp_path)
    write_ratings(ratings, rating("1", "definite", place=(0, 0, 0)))
    rated, (problem,) = read_rated(ratings, [SessionFiles(tmp_path, "01", None)])
    assert rated == {}
    assert "candidate 1: not at its place in the lesion table" in str(problem)


def test_without_ratings_or_a_lesion_table_there_is_nothing_to_read(tmp_path, ratings):
    with pytest.raises(NoInputError, match="--ratings"):
        read_rated(ratings, [])
    write_ratings(ratings, rating("1", "definite"))
    with pytest.raises(DataError, match=r"lesions.tsv.*participant level"):
        read_rated(ratings, [SessionFiles(tmp_path, "01", None)])
