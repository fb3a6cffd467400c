import dataclasses
import sys

import pytest

from cmb_bidsapp.engine.children import Children, Outcome
from cmb_bidsapp.engine.pool import run_sessions
from cmb_bidsapp.settings import Resources, Settings
from tests.skeletons import session

#: Stands in for the interpreter: what it does follows from the participant label in the job.
CHILD = """\
#!{python} -SE
import json, os, signal, sys, time
job = sys.stdin.buffer.read()
label = next(word for word in {words} if b"is" + word in job).decode()

def mark(what):
    with open({marks!r}, "a") as stream:
        stream.write(what + "\\n")

def say(**event):
    print(json.dumps(event), flush=True)

mark("start " + label)
if b"follow-up" in job:
    mark("follow-up")
if label == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
if label == "segv":
    os.kill(os.getpid(), signal.SIGSEGV)
if label == "torn":
    sys.stdout.write('{{"event": "st')
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)
if label == "noise":
    print("a library says hello", flush=True)
if label == "fail":
    say(event="failed", code=65, message="bad data")
    sys.exit(65)
if label == "status":
    sys.exit(3)
if label == "silent":
    sys.exit(0)
if label == "env":
    say(event="failed", code=70, message=os.environ["OMP_NUM_THREADS"])
    sys.exit(70)
if label == "slow":
    say(event="step", text="sleeping")
    time.sleep(3)
if label == "stuck":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say(event="step", text="waiting")
    time.sleep(600)
say(event="step", text="working")
sys.stderr.write("a library complains")
say(event="done", ran=["prepare"])
mark("end " + label)
"""
WORDS = (
    b"good",
    b"kill",
    b"segv",
    b"torn",
    b"noise",
    b"fail",
    b"status",
    b"silent",
    b"env",
    b"slow",
    b"stuck",
)


@pytest.fixture
def marks(tmp_path, monkeypatch):
    path = tmp_path / "marks"
    path.touch()
    child = tmp_path / "python"
    child.write_text(CHILD.format(python=sys.executable, words=WORDS, marks=str(path)))
    child.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(child))
    return lambda: path.read_text().splitlines()


@pytest.fixture
def run(tmp_path, marks):
    """Run sessions with the stand-in; the settings' options may be given."""

    def runs(*labels, processes=2, on_event=lambda *_: None, **options):
        settings = _settings(tmp_path, processes, **options)
        sessions = [session(label) for label in labels]
        return run_sessions(sessions, settings, tmp_path / "logs", on_event)

    return runs


@pytest.fixture
def run_one(tmp_path, marks):
    def runs(label, children=None, on_event=lambda *_: None):
        log = tmp_path / "logs" / "log"
        settings = _settings(tmp_path, 1)
        return (children or Children()).run(session(label), settings, log, on_event)

    return runs


def _settings(folder, processes, **options):
    return Settings(
        bids_dir=folder,
        out_dir=folder / "out",
        levels=("participant",),
        resources=Resources(processes=processes, threads=3),
        **options,
    )


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
    given = [session("isgood")], _settings(tmp_path, 1), tmp_path / "logs", lambda *_: None
    assert [outcome.ok for outcome in run_sessions(*given, *stages)] == [True]
    assert marks().count("follow-up") == marked


def test_the_next_session_is_of_somebody_whom_nobody_is_at(tmp_path, marks):
    sessions = [session("isslow", "A"), session("isslow", "B"), session("isgood")]
    given = _settings(tmp_path, 2), tmp_path / "logs", lambda *_: None
    outcomes = list(run_sessions(sessions, *given))
    assert [outcome.ok for outcome in outcomes] == [True] * 3
    assert sorted(marks()[:2]) == ["start good", "start slow"]
    assert marks().count("end slow") == 2


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


@pytest.mark.parametrize(
    ("label", "code", "said"),
    [
        ("iskill", 75, "SIGKILL"),
        ("iskill", 75, "by a person"),
        ("issegv", 75, "SIGSEGV"),
        ("istorn", 75, "SIGKILL"),
        ("isfail", 65, "bad data"),
        ("isstatus", 70, "status 3"),
        ("issilent", 70, "log"),
        ("isenv", 70, "3"),
    ],
)
def test_how_a_child_ended_is_told(run_one, label, code, said):
    outcome = run_one(label)
    assert not outcome.ok
    assert outcome.code == code
    assert said in outcome.message
    assert outcome.ran == ()


def test_a_line_that_is_no_event_is_passed_over(run_one):
    outcome = run_one("isnoise")
    assert outcome.ok
    assert outcome.ran == ("prepare",)


def test_stopped_children_start_nothing_more(run_one, marks):
    children = Children()
    children.stop()
    outcome = run_one("isgood", children)
    assert outcome.code == 130
    assert marks() == []


def test_a_child_that_was_stopped_is_interrupted(run_one, marks):
    children = Children()
    stop = {"begin": lambda: None, "step": children.stop}
    outcome = run_one("isslow", children, on_event=lambda _, kind, __: stop[kind]())
    assert outcome.code == 130
    assert outcome.message == "stopped"
    assert marks() == ["start slow"]


def test_a_failure_without_words_is_a_failure():
    assert Outcome(session=session("01"), code=65).error == "exit code 65"
    assert Outcome(session=session("01"), code=65, message="damaged").error == "damaged"
    assert Outcome(session=session("01")).error == ""


@pytest.mark.parametrize(
    ("kills", "said"), [([7, 8], "out of memory"), ([7, 7], "by a person"), ([None] * 2, "person")]
)
def test_a_kill_is_called_lack_of_memory_where_the_kernel_says_so(
    run_one, monkeypatch, kills, said
):
    told = iter(kills)
    monkeypatch.setattr(
        "cmb_bidsapp.engine.children.out_of_memory_kills", lambda: next(told, kills[-1])
    )
    outcome = run_one("iskill")
    assert said in outcome.message
    assert ("out of memory" in outcome.message) == (said == "out of memory")


def test_a_session_whose_log_cannot_be_written_fails_alone(run, tmp_path):
    (tmp_path / "logs" / "sub-isgood1.log").mkdir(parents=True)
    codes = {o.session.participant: o.code for o in run("isgood1", "isgood2")}
    assert codes.keys() == {"isgood1", "isgood2"}
    assert codes["isgood1"] != 0
    assert codes["isgood2"] == 0


@pytest.mark.parametrize(("label", "step"), [("isslow", "sleeping"), ("isstuck", "waiting")])
def test_a_step_that_takes_too_long_ends_its_session_even_if_it_does_not_heed(
    tmp_path, marks, monkeypatch, label, step
):
    monkeypatch.setattr("cmb_bidsapp.engine.children.GRACE", 0.2)
    settings = _settings(tmp_path, 1)
    limited = dataclasses.replace(
        settings, resources=dataclasses.replace(settings.resources, step_timeout=0.01)
    )
    outcome = Children().run(session(label), limited, tmp_path / "log", lambda *_: None)
    assert outcome.code == 75
    assert outcome.message.startswith(f"{step}: took longer than --step-timeout 0.01 (minutes)")
    assert [mark for mark in marks() if mark.startswith("end")] == []


def test_steps_may_take_as_long_as_they_do_unless_there_is_a_limit(run_one):
    assert Resources().step_timeout is None
    assert run_one("isslow").ok
