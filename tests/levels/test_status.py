"""The table of how every session ended, in whichever run."""

import json
from pathlib import Path

import pytest

from cmb_bidsapp.bids.outputs import PARTIAL
from cmb_bidsapp.bids.scans import Choice, Rejected
from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.engine.children import Outcome
from cmb_bidsapp.levels.status import begun, ended, left_out, waiting, write_status
from tests.skeletons import session

ONE, TWO = session("01", "A"), session("02")
DONE = Outcome(session=ONE, seconds=12.5)
FAILED = Outcome(session=TWO, code=65, message="bad data")


def table(out):
    rows = read_table(out / "logs" / "status.tsv")
    return {(row["participant_id"], row["session_id"], row["stage"]): row for row in rows}


def test_what_has_ended_says_how(tmp_path):
    write_status(tmp_path, ended([DONE, FAILED], "session"))
    rows = table(tmp_path)
    one, two = rows["sub-01", "ses-A", "session"], rows["sub-02", "n/a", "session"]
    assert [one[name] for name in ("status", "exit_code", "message")] == ["ok", "0", "n/a"]
    assert one["seconds"] == "12.5"
    assert [two[name] for name in ("status", "exit_code", "message")] == [
        "failed", "65", "bad data",
    ]  # fmt: skip


@pytest.mark.parametrize("unfinished", [waiting, begun])
def test_what_has_not_ended_stands_as_failed_and_worth_another_try(tmp_path, unfinished):
    write_status(tmp_path, unfinished([ONE], "session"))
    (row,) = table(tmp_path).values()
    assert (row["status"], row["exit_code"]) == ("failed", "75")
    assert row["message"] != "n/a"


def test_what_was_not_chosen_is_skipped_or_bad_data():
    choice = Choice(
        sessions=(),
        skipped=(Rejected(Path("sub-03"), "no T2*w image"),),
        failed=(Rejected(Path("sub-04", "ses-\udcff"), "an invalid label"),),
    )
    skipped, failed = left_out(choice)
    assert (skipped["status"], skipped["exit_code"], skipped["session_id"]) == (
        "skipped", None, None,
    )  # fmt: skip
    assert (failed["status"], failed["exit_code"]) == ("failed", 65)
    assert failed["session_id"] == r"ses-\xff"


def test_rows_of_others_stay_and_those_given_take_the_place_of_their_own(tmp_path):
    write_status(tmp_path, ended([FAILED], "session"))
    write_status(tmp_path, ended([DONE], "session"))
    write_status(tmp_path, ended([Outcome(session=TWO)], "session"))
    write_status(tmp_path, ended([Outcome(session=TWO)], "sensitivity"))
    rows = table(tmp_path)
    assert list(rows) == [
        ("sub-01", "ses-A", "session"),
        ("sub-02", "n/a", "sensitivity"),
        ("sub-02", "n/a", "session"),
    ]
    assert {row["status"] for row in rows.values()} == {"ok"}


def test_what_is_known_already_may_be_left_to_stand(tmp_path):
    write_status(tmp_path, ended([DONE], "session"))
    write_status(tmp_path, waiting([ONE, TWO], "session"), new_only=True)
    assert [row["status"] for row in table(tmp_path).values()] == ["ok", "failed"]


def test_the_json_counts_and_has_numbers(tmp_path):
    write_status(tmp_path, ended([DONE, FAILED], "session"))
    write_status(tmp_path, ())
    content = json.loads((tmp_path / "logs" / "status.json").read_text())
    assert content["counts"] == {"ok": 1, "failed": 1}
    first, second = content["sessions"]
    assert (first["seconds"], first["message"], second["exit_code"]) == (12.5, None, 65)


def test_a_damaged_table_and_the_rest_of_a_killed_run_are_replaced(tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "status.tsv").write_bytes(b"\xff\xfe\x00")
    left = logs / f"{PARTIAL}x-status.tsv"
    left.touch()
    write_status(tmp_path, ended([DONE], "session"))
    assert len(table(tmp_path)) == 1
    assert not left.exists()
