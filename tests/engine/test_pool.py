"""Many sessions side by side, each in a child process."""

import pytest

from cmb_bidsapp.engine.pool import run_sessions
from tests.engine.standin import settings_of
from tests.skeletons import session


def test_a_child_that_is_killed_takes_nothing_with_it(run):
    codes = {o.session.participant: o.code for o in run("isgood1", "iskill", "isgood2", "isfail")}
    assert codes == {"isgood1": 0, "iskill": 75, "isgood2": 0, "isfail": 65}


def test_a_child_killed_while_it_speaks_takes_nothing_with_it(run):
    codes = {o.session.participant: o.code for o in run("isgood1", "istorn", "isgood2")}
    assert codes == {"isgood1": 0, "istorn": 75, "isgood2": 0}


def test_every_session_has_an_outcome_steps_and_a_log(run, tmp_path):
    steps = []
    labels = [f"isgood{i}" for i in range(5)]
    outcomes = list(run(*labels, on_event=lambda s, *told: steps.append((s.label, *told))))
    assert sorted(o.session.participant for o in outcomes) == labels
    assert all(o.ok and o.ran == ("prepare",) and o.seconds >= 0 for o in outcomes)
    told = ("begin", ""), ("step", "working")
    assert sorted(steps) == [(f"sub-{label}", *one) for label in labels for one in told]
    for label in labels:
        log = tmp_path / "logs" / f"sub-{label}.log"
        assert log.read_text() == "a library complains"


@pytest.mark.parametrize(("stages", "marked"), [((), 0), (("follow-up",), 1)])
def test_a_child_is_told_its_stage(tmp_path, marks, stages, marked):
    given = [session("isgood")], settings_of(tmp_path, 1), tmp_path / "logs", lambda *_: None
    assert [outcome.ok for outcome in run_sessions(*given, *stages)] == [True]
    assert marks().count("follow-up") == marked


def test_the_next_session_is_of_somebody_whom_nobody_is_at(tmp_path, marks):
    sessions = [session("isslow", "A"), session("isslow", "B"), session("isgood")]
    given = settings_of(tmp_path, 2), tmp_path / "logs", lambda *_: None
    outcomes = list(run_sessions(sessions, *given))
    assert [outcome.ok for outcome in outcomes] == [True] * 3
    starts = [mark for mark in marks() if mark.startswith("start")]
    assert sorted(starts[:2]) == ["start good", "start slow"]
    assert marks().count("end slow") == 2


@pytest.mark.parametrize(
    ("sessions", "threads"),
    [
        ([session("isenv")], "4"),
        ([session("isenv", "A"), session("isenv", "B")], "4"),
        ([session("isenv"), session("isgood")], "3"),
    ],
)
def test_cores_are_shared_by_the_participants_that_are_left(tmp_path, marks, sessions, threads):
    given = settings_of(tmp_path, 6, threads=None), tmp_path / "logs", lambda *_: None
    outcomes = run_sessions(sessions, *given)
    assert {one.message for one in outcomes if not one.ok} == {threads}


def test_nothing_to_run_is_no_outcome(run):
    assert list(run()) == []


def test_nothing_starts_after_a_failure_when_asked(run, marks):
    labels = ["isfail", *(f"isgood{i}" for i in range(4))]
    outcomes = list(run(*labels, processes=1, stop_on_first_crash=True))
    assert [o.code for o in outcomes] == [65]
    assert marks() == ["start fail"]


def test_children_are_stopped_when_nobody_waits_for_them_any_more(run, marks):
    outcomes = run("isgood", "isslow")
    assert next(outcomes).session.participant == "isgood"
    outcomes.close()
    assert "end slow" not in marks()


def test_a_session_whose_log_cannot_be_written_fails_alone(run, tmp_path):
    (tmp_path / "logs" / "sub-isgood1.log").mkdir(parents=True)
    codes = {o.session.participant: o.code for o in run("isgood1", "isgood2")}
    assert codes.keys() == {"isgood1", "isgood2"}
    assert codes["isgood1"] != 0
    assert codes["isgood2"] == 0
