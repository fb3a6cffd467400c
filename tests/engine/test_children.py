"""A session in a child process: how its end is told, and how it is stopped."""

import dataclasses

import pytest

from cmb_bidsapp.engine.children import Children, Outcome
from cmb_bidsapp.settings import Resources
from tests.engine.standin import settings_of
from tests.skeletons import session


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


def test_steps_may_take_as_long_as_they_do_unless_there_is_a_limit(run_one):
    assert Resources().step_timeout is None
    assert run_one("isslow").ok


@pytest.mark.parametrize(("label", "step"), [("isslow", "sleeping"), ("isstuck", "waiting")])
def test_a_step_that_takes_too_long_ends_its_session_even_if_it_does_not_heed(
    tmp_path, marks, monkeypatch, label, step
):
    monkeypatch.setattr("cmb_bidsapp.engine.children.GRACE", 0.2)
    settings = settings_of(tmp_path, 1)
    limited = dataclasses.replace(
        settings, resources=dataclasses.replace(settings.resources, step_timeout=0.01)
    )
    outcome = Children().run(session(label), limited, tmp_path / "log", lambda *_: None)
    assert outcome.code == 75
    assert outcome.message.startswith(f"{step}: took longer than --step-timeout 0.01 (minutes)")
    assert [mark for mark in marks() if mark.startswith("end")] == []
