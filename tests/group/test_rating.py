"""Rows of a ratings file."""

import pytest

from tests.group.readers import rating, row_of


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
