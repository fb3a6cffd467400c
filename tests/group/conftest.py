"""A session, and what it is after its readers; a trial with its group tables."""

import pytest

from cmb_bidsapp.group.ratings import read_ratings
from tests.group.readers import write_ratings, write_session
from tests.group.trial import write_trial


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


@pytest.fixture(scope="session")
def trial(tmp_path_factory):
    """An output folder with the group tables of a trial."""
    return write_trial(tmp_path_factory.mktemp("endpoints") / "out")
