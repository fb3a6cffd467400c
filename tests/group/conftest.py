"""A session, and what it is after its readers."""

import pytest

from cmb_bidsapp.group.ratings import read_ratings
from tests.group.readers import write_ratings, write_session


@pytest.fixture
def record(tmp_path):
    return write_session(tmp_path / "out")


@pytest.fixture
def applied(tmp_path, record):
    """The record after ratings, given as rows, and the ratings."""

    def apply(*rows):
        write_ratings(tmp_path / "ratings", *rows)
        ratings = read_ratings(tmp_path / "ratings")
        return ratings.apply(record), ratings

    return apply
