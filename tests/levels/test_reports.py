"""When a participant's report is made again, and when it is left as it is."""

import dataclasses

import pytest

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import write_text
from cmb_bidsapp.bids.stamps import Stamp, write_stamp
from cmb_bidsapp.levels import reports
from cmb_bidsapp.levels.reports import keep_report
from cmb_bidsapp.report.sessions import ReportedSession
from cmb_bidsapp.settings import Settings
from tests.skeletons import session


@pytest.fixture
def settings(tmp_path):
    return Settings(bids_dir=tmp_path, out_dir=tmp_path / "out", levels=("participant",))


@pytest.fixture
def keep(settings, monkeypatch):
    def write(given, participant, shown):
        path = given.out_dir / f"sub-{participant}.html"
        write_text(path, f"{len(shown)} sessions\n")
        return path

    monkeypatch.setattr(reports, "write_participant_report", write)
    return lambda *shown: keep_report(settings, "01", shown or (ReportedSession(session("01")),))


def test_a_report_is_written_once(keep, settings):
    assert keep() == settings.out_dir / "sub-01.html"
    assert keep() is None


@pytest.mark.parametrize("damage", ["", "1 sess", None])
def test_a_report_that_is_damaged_or_gone_is_written_again(keep, damage):
    report = keep()
    report.unlink() if damage is None else report.write_text(damage)
    assert keep() == report
    assert report.read_text() == "1 sessions\n"


@pytest.mark.parametrize(("phase", "whose"), [("decide", "A"), ("follow", None)])
def test_new_results_are_reported(keep, settings, phase, whose):
    shown = ReportedSession(session("01", "A")), ReportedSession(session("01", "B"))
    assert keep(*shown) is not None
    files = SessionFiles(settings.out_dir, "01", whose)
    write_stamp(files.stamp(phase), Stamp("new", {}, {}))
    assert keep(*shown) is not None
    assert keep(*shown) is None


def test_another_end_of_a_session_is_reported(keep):
    one = ReportedSession(session("01"))
    assert keep(one) is not None
    failed = dataclasses.replace(one, error="damaged")
    assert keep(failed) is not None
    assert keep(failed) is None
    assert keep(one) is not None


def test_a_report_that_cannot_be_made_leaves_no_stamp(keep, monkeypatch):
    def fails(*_):
        raise OSError(28, "No space left", "out")

    with monkeypatch.context() as patched:
        patched.setattr(reports, "write_participant_report", fails)
        with pytest.raises(OSError, match="No space"):
            keep()
    assert keep() is not None
