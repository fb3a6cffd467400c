"""Sessions evaluated one by one, the failure of each its own."""

import pytest

from cmb_bidsapp.core.resources import Limit
from cmb_bidsapp.evaluation import pool
from cmb_bidsapp.evaluation.pool import Failure, Task, evaluate_all, evaluate_task
from cmb_bidsapp.evaluation.predictions import PredictionFiles
from cmb_bidsapp.evaluation.presets import DEFAULT_RULES
from tests.evaluation.folders import blobs, write_prediction, write_reference


def given(files):
    return PredictionFiles(
        out_dir=files.out_dir, participant=files.participant, session=files.session, path=files.mask
    )


@pytest.fixture
def task(tmp_path):
    """One session of two methods that both find its lesion."""
    lesion = blobs((3, 3, 1))
    reference = given(write_reference(tmp_path / "truth", "01", instances=lesion))
    predicted = {
        name: given(write_prediction(tmp_path / name, "01", instances=lesion))
        for name in ("one", "two")
    }
    return Task(reference, predicted, DEFAULT_RULES)


def test_every_method_of_a_session_has_a_result(task):
    results = evaluate_task(task)
    assert [result.method for result in results] == ["one", "two"]
    assert [stage.counts.tp for r in results for stage in r.stages.values()] == [1] * 4


def test_a_damaged_prediction_fails_its_own_method_alone(task):
    task.predicted["one"].mask.write_bytes(b"no image")
    failure, result = evaluate_task(task)
    assert isinstance(failure, Failure)
    assert (failure.method, failure.code) == ("one", 65)
    assert task.predicted["one"].mask.name in failure.reason
    assert result.method == "two"


def test_a_damaged_reference_fails_every_method(task):
    task.reference.mask.write_bytes(b"no image")
    failures = evaluate_task(task)
    assert [(one.method, one.code) for one in failures] == [("one", 65), ("two", 65)]


def test_a_fault_of_the_program_is_told_with_its_traceback(task, monkeypatch, capsys):
    def fault(*_):
        raise ZeroDivisionError("by nought")

    monkeypatch.setattr(pool, "evaluate", fault)
    assert {one.code for one in evaluate_task(task)} == {70}
    assert "in fault" in capsys.readouterr().err


def test_memory_and_cores_say_how_many_run_at_a_time(task, monkeypatch, capsys):
    monkeypatch.setattr(pool.resources, "available_cpus", lambda: Limit(8, "cores"))
    monkeypatch.setattr(pool.resources, "available_memory_mb", lambda: Limit(1500, "free"))
    task.predicted["two"].mask.write_bytes(b"no image")
    results, failures = evaluate_all([task, task], None)
    assert (len(results), len(failures)) == (2, 2)
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == "2 sessions, 1 at a time"
    assert said.out.splitlines()[-1] == "sub-01 (2 of 2)"
    assert said.err.count("sub-01: ") == 2
