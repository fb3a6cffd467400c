"""How the sessions of a run fare, as it happens and in sum."""

from pathlib import Path

import pytest

from cmb_bidsapp.bids.scans import Choice, Participant, Rejected
from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.engine.children import Outcome
from cmb_bidsapp.levels import ledger as ledgers
from cmb_bidsapp.levels.ledger import Ledger
from tests.skeletons import session

ONE, TWO, THREE = (session(label) for label in ("01", "02", "03"))
WHOLE = Participant("01")


@pytest.fixture
def ledger(tmp_path):
    """Three sessions to run, one participant without a T2*w."""
    choice = Choice(
        sessions=(ONE, TWO, THREE), skipped=(Rejected(Path("sub-09"), "no T2*w image"),)
    )
    made = Ledger(tmp_path, choice)
    made.open()
    return made


def statuses(tmp_path):
    rows = read_table(tmp_path / "logs" / "status.tsv")
    return {row["participant_id"]: row["status"] for row in rows if row["stage"] == "session"}


def test_everybody_has_a_row_before_anything_runs(ledger, tmp_path):
    waiting = dict.fromkeys(("sub-01", "sub-02", "sub-03"), "failed")
    assert statuses(tmp_path) == {**waiting, "sub-09": "skipped"}
    assert (ledger.summary().ok, ledger.summary().failed, ledger.summary().skipped) == (0, 3, 1)


def test_a_row_changes_when_its_session_begins_and_when_it_ends(ledger, tmp_path):
    ledger.begins(ONE, "session")
    (row,) = [r for r in read_table(tmp_path / "logs" / "status.tsv") if "sub-01" in r.values()]
    assert "killed, or still running" in row["message"]
    ledger.ends(Outcome(session=ONE), "session")
    assert statuses(tmp_path)["sub-01"] == "ok"


def test_what_is_up_to_date_counts_as_done(ledger, tmp_path):
    outcomes = ledger.up_to_date([ONE, TWO], "session")
    assert [outcome.ran for outcome in outcomes] == [(), ()]
    ledger.ends(Outcome(session=THREE), "session")
    summary = ledger.summary()
    assert (summary.ok, summary.failed, summary.code) == (3, 0, 0)


def test_other_stages_count_where_they_fail(ledger):
    for one in (ONE, TWO, THREE):
        ledger.ends(Outcome(session=one), "session")
    ledger.ends(Outcome(session=WHOLE), "follow-up")
    assert ledger.summary().code == 0
    ledger.ends(Outcome(session=WHOLE, code=65, message="why"), "follow-up")
    summary = ledger.summary()
    assert (summary.ok, summary.failed, summary.code) == (3, 1, 1)
    assert [outcome.ok for outcome in ledger.outcomes("follow-up")] == [False]


def test_who_could_not_be_taken_is_bad_data(tmp_path):
    choice = Choice(
        sessions=(), skipped=(), failed=(Rejected(Path("sub-a-b"), "an invalid label"),)
    )
    summary = Ledger(tmp_path, choice).summary()
    assert (summary.ok, summary.failed, summary.code) == (0, 1, 65)


def test_an_interrupt_leaves_its_word_with_those_that_ran(ledger, tmp_path, capsys):
    ledger.ends(Outcome(session=ONE), "session")
    ledger.begins(TWO, "session")
    summary = ledger.broken_off(KeyboardInterrupt())
    assert (summary.ok, summary.failed, summary.code) == (1, 2, 130)
    assert summary.broken_off
    assert capsys.readouterr().err == "cmb_bidsapp: interrupted\n"
    rows = {r["participant_id"]: r for r in read_table(tmp_path / "logs" / "status.tsv")}
    assert rows["sub-01"]["status"] == "ok"
    assert rows["sub-02"]["message"] == "interrupted"
    assert "not started" in rows["sub-03"]["message"]


def test_a_full_disk_ends_a_run_with_its_cause(ledger, monkeypatch, capsys):
    full = OSError(28, "No space left on device", "status.tsv")

    def write(*_, **__):
        raise full

    monkeypatch.setattr(ledgers, "write_status", write)
    assert ledger.broken_off(full).code == 75
    assert "no space left" in capsys.readouterr().err
    outcome = ledger.ends(Outcome(session=ONE), "session")
    assert (outcome.ok, outcome.code) == (False, 75)
    assert "its row in logs/status.tsv cannot be written" in outcome.message
