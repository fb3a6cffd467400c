"""The participant level with participants of several sessions, whose work is a stand-in's."""

import json

import pytest

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import write_text
from cmb_bidsapp.cli import main
from cmb_bidsapp.engine.children import Outcome
from tests.skeletons import build_dataset, result_of

STEMS = ("sub-01_ses-A", "sub-01_ses-B", "sub-02_ses-A", "sub-03_ses-A", "sub-03_ses-B")


@pytest.fixture
def dataset(tmp_path):
    return build_dataset(tmp_path / "bids", {f"{stem}_T2starw": {} for stem in STEMS})


class Runs:
    """What was run, by stage and label; codes by the same, 0 where nothing is said."""

    def __init__(self):
        self.codes = {}
        self.ran = []
        self.reported = []
        self.current = set()

    def run_sessions(self, sessions, settings, logs, on_event, stage):
        for session in sessions:
            label = session.label
            self.ran.append((stage, label))
            code = self.codes.get((stage, label), 0)
            if stage == "session" and not code:
                files = SessionFiles(settings.out_dir, session.participant, session.session)
                write_text(files.lesions, "lesion_id\n")
            yield Outcome(
                session=session,
                code=code,
                message="why" if code else "",
                ran=() if code else ("all",),
                seconds=1.0,
            )
            if code and settings.stop_on_first_crash:
                return

    def up_to_date(self, job):
        return (job.stage, job.session.label) in self.current

    def of(self, stage):
        return [label for ran, label in self.ran if ran == stage]


@pytest.fixture
def runs(monkeypatch):
    made = Runs()
    monkeypatch.setattr("cmb_bidsapp.levels.participant.run_sessions", made.run_sessions)
    monkeypatch.setattr("cmb_bidsapp.levels.participant.up_to_date", made.up_to_date)

    def report(settings, label, sessions):
        made.reported.append(label)
        path = settings.out_dir / f"sub-{label}.html"
        write_text(path, "report\n")
        return path

    monkeypatch.setattr("cmb_bidsapp.levels.reports.write_participant_report", report)
    return made


def participant(dataset, capsys, *options):
    """Run the level; returns the result line's numbers and the rows of the status."""
    out = dataset.parent / "out"
    code = main([str(dataset), str(out), "participant", *options])
    result = result_of(capsys.readouterr().out)
    assert result[3] == code
    status = json.loads((out / "logs" / "status.json").read_text())
    return result, status["sessions"]


def test_participants_with_several_sessions_are_followed_after_all_of_them(dataset, runs, capsys):
    result, rows = participant(dataset, capsys)
    assert result == (5, 0, 0, 0)
    assert sorted(runs.of("session")) == list(STEMS)
    assert runs.ran[len(STEMS) :] == [("follow-up", "sub-01"), ("follow-up", "sub-03")]
    stages = [(row["participant_id"], row["session_id"], row["stage"]) for row in rows]
    assert ("sub-01", None, "follow-up") in stages
    assert ("sub-01", "ses-A", "session") in stages
    assert len(stages) == 7


def test_a_follow_up_that_fails_leaves_the_sessions_as_they_are(dataset, runs, capsys):
    runs.codes = {("follow-up", "sub-01"): 65}
    result, rows = participant(dataset, capsys)
    assert result == (5, 1, 0, 1)
    failed = [row for row in rows if row["status"] == "failed"]
    assert [(row["participant_id"], row["stage"], row["exit_code"]) for row in failed] == [
        ("sub-01", "follow-up", 65)
    ]
    assert failed[0]["message"] == "why"


def test_sessions_that_failed_are_left_out_of_the_follow_up(dataset, runs, capsys):
    runs.codes = {("session", "sub-01_ses-B"): 65}
    result, _ = participant(dataset, capsys)
    assert result == (4, 1, 0, 1)
    assert runs.of("follow-up") == ["sub-03"]


def test_when_every_session_fails_the_code_is_theirs(dataset, runs, capsys):
    runs.codes = {("session", stem): 75 for stem in STEMS}
    assert participant(dataset, capsys)[0] == (0, 5, 0, 75)
    assert runs.of("follow-up") == []


def test_after_a_failure_that_stops_the_run_nothing_is_followed(dataset, runs, capsys):
    runs.codes = {("session", "sub-03_ses-B"): 65}
    result, rows = participant(dataset, capsys, "--stop-on-first-crash")
    assert result[1:] == (1, 0, 1)
    assert runs.of("follow-up") == []
    assert {row["stage"] for row in rows} == {"session"}


def test_a_follow_up_that_stops_the_run_leaves_the_others_not_reached(dataset, runs, capsys):
    runs.codes = {("follow-up", "sub-01"): 65}
    result, rows = participant(dataset, capsys, "--stop-on-first-crash")
    assert result == (5, 2, 0, 1)
    messages = {row["participant_id"]: row["message"] for row in rows if row["session_id"] is None}
    assert messages["sub-01"] == "why"
    assert "the run stopped after a failure" in messages["sub-03"]


def test_one_job_per_session_is_followed_with_what_earlier_jobs_made(dataset, runs, capsys):
    participant(dataset, capsys, "--participant-label", "01", "--session-label", "A")
    assert runs.of("follow-up") == []
    participant(dataset, capsys, "--participant-label", "01", "--session-label", "B")
    assert runs.of("follow-up") == ["sub-01"]


def test_only_a_follow_up_that_is_not_up_to_date_runs_again(dataset, runs, capsys):
    participant(dataset, capsys)
    assert sorted(runs.reported) == ["01", "02", "03"]
    runs.current = {("session", stem) for stem in STEMS} | {("follow-up", "sub-03")}
    runs.ran, runs.reported = [], []
    participant(dataset, capsys)
    assert runs.ran == [("follow-up", "sub-01")]
    assert runs.reported == [], "a report of the same results stays"
