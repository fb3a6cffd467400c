"""Rows of a ratings file."""

import pytest

from tests.group.readers import rating, row_of


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"decision": "maybe"}, "decision 'maybe': expected definite, possible, not-cmb"),
        ({"decision": None}, "decision 'n/a'"),
        ({"decision": "read"}, "decision 'read'"),  # of a candidate
        ({"x": "left"}, "x, y, z: expected three numbers"),
        ({"z": "inf"}, "x, y, z: expected three numbers"),
        ({"date": "yesterday"}, "date 'yesterday': expected ISO 8601"),
        ({"rater": None}, "rater 'n/a'"),
        ({"rater": "Algorithm"}, "rater 'Algorithm'"),
        ({"rater": "adjudicator EF"}, "rater 'adjudicator EF'"),
        ({"participant_id": "01"}, "participant '01'"),
        ({"session_id": "A"}, "session 'A'"),
        ({"mode": "open"}, "mode 'open': expected aided, blinded, adjudicated or n/a"),
        ({"seconds": "long"}, "seconds 'long': expected a number of 0 or more"),
        ({"seconds": "-1"}, "seconds '-1': expected a number of 0 or more"),
    ],
)
def test_a_broken_row_is_listed_and_the_others_are_used(applied, changes, cause):
    read, ratings = applied(rating("2", "not-cmb"), rating("1", "not-cmb") | changes)
    assert row_of(read, "2").status == "rejected"
    assert row_of(read, "1").status == "kept"
    (problem,) = ratings.problems
    assert problem.reason.startswith("line 3: ")
    assert cause in problem.reason
