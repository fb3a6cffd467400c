"""When a session was in its participant's follow-up, and what goes with it."""

import pytest

from cmb_bidsapp.bids.protocol import SequenceKind
from cmb_bidsapp.group.visits import POOL_OF, POOLS
from tests.group.trial import rows

WHEN = ("pool", "sequence", "visit", "baseline", "days")


@pytest.mark.parametrize(
    "name", ["lesions", "mars", "mars_long", "summary", "changes", "changes_long", "tracks", "qc"]
)
def test_every_table_of_sessions_says_when_and_what_may_be_added_up(trial, name):
    found = rows(trial, name, session_id="ses-C")
    assert found
    for row in found:
        assert [row[column] for column in WHEN] == ["GRE", "T2starw", "3", "false", "1461"]
        assert [row[column] for column in ("age", "sex", "arm")] == ["71", "F", "drug"]


def test_the_baseline_is_the_first_visit_at_day_zero(trial):
    found = {(row["participant_id"], row["session_id"]): row for row in rows(trial, "summary")}
    for session in (("sub-01", "ses-A"), ("sub-02", "n/a")):
        row = found[session]
        assert [row[column] for column in ("visit", "baseline", "days")] == ["1", "true", "0"]


def test_every_kind_of_sequence_is_in_a_pool():
    assert set(POOL_OF) == set(SequenceKind)
    assert set(POOL_OF.values()) == set(POOLS)
