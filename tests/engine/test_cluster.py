import dataclasses
import json

import dask
import pytest

from cmb_bidsapp.core.errors import UnavailableError, UsageError
from cmb_bidsapp.engine import cluster
from cmb_bidsapp.engine.cluster import RemoteJob, address_of, is_here, needs_of, run_on_worker
from cmb_bidsapp.settings import Resources, Settings
from tests.skeletons import session


def at(scheduler, **options):
    return Resources(scheduler=str(scheduler), **options)


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("127.0.0.1:8786", "tcp://127.0.0.1:8786"),
        ("tcp://localhost:8786", "tcp://localhost:8786"),
        ("tls://192.0.2.1:8786", "tls://192.0.2.1:8786"),
    ],
)
def test_a_scheduler_here_or_with_tls_is_joined(given, address):
    assert address_of(at(given)) == address


def test_a_scheduler_elsewhere_without_tls_is_refused_unless_asked_for_twice():
    with pytest.raises(UsageError, match=r"192\.0\.2\.1 is another.*--scheduler-without-tls"):
        address_of(at("tcp://192.0.2.1:8786"))
    there = at("tcp://192.0.2.1:8786", without_tls=True)
    assert address_of(there) == "tcp://192.0.2.1:8786"


def test_a_file_has_the_address_and_is_held_to_the_same(tmp_path):
    file = tmp_path / "scheduler.json"
    file.write_text(json.dumps({"address": "tcp://127.0.0.1:1234"}))
    assert address_of(at(file)) == "tcp://127.0.0.1:1234"
    file.write_text(json.dumps({"address": "tcp://192.0.2.1:1234"}))
    with pytest.raises(UsageError, match="another machine"):
        address_of(at(file))


@pytest.mark.parametrize("text", ["no JSON", "[]", "{}"])
def test_a_file_of_something_else_is_told(tmp_path, text):
    file = tmp_path / "scheduler.json"
    file.write_text(text)
    with pytest.raises(UsageError, match="no file of a dask scheduler"):
        address_of(at(file))


@pytest.mark.parametrize("given", ["here", "ftp://here:1", "tcp://here:port", "inproc://1/2/3"])
def test_what_is_no_address_is_told(given):
    with pytest.raises(UsageError, match="expected tcp://HOST:PORT or tls://HOST:PORT"):
        address_of(at(given))


def test_addresses_of_this_machine():
    assert is_here("127.0.0.1")
    assert is_here("localhost")
    assert not is_here("192.0.2.1")


def test_a_session_needs_memory_and_a_gpu_where_it_computes_on_one():
    assert needs_of(at("x")) == {"MEM": 4000}
    assert needs_of(at("x", device="cuda:1")) == {"MEM": 4000, "GPU": 1}


class Workers:
    def __init__(self, *resources):
        self._workers = {number: {"resources": one} for number, one in enumerate(resources)}

    def scheduler_info(self, n_workers):
        return {"workers": self._workers}


@pytest.mark.parametrize("workers", [[], [{"MEM": 4000}], [{}, {"MEM": 9000, "GPU": 1}]])
def test_workers_that_can_take_a_session_or_may_come_are_waited_for(workers):
    cluster._check_workers(Workers(*workers), at("x"))


@pytest.mark.parametrize("workers", [[{}], [{"MEM": 3999}, {"GPU": 1}]])
def test_workers_that_never_could_are_told(workers):
    with pytest.raises(UnavailableError, match=r"none of \d dask workers has .*MEM=4000.*dask wor"):
        cluster._check_workers(Workers(*workers), at("x"))


@pytest.fixture
def task(tmp_path, monkeypatch):
    class Worker:
        address = "tcp://here:1"

    monkeypatch.setattr("distributed.get_worker", Worker)
    settings = Settings(bids_dir=tmp_path, out_dir=tmp_path / "out", levels=("participant",))
    return RemoteJob(
        run_id="run",
        session=session("01"),
        settings=settings,
        logs=tmp_path / "logs",
        stage="session",
    )


def test_a_worker_of_another_version_runs_nothing(task):
    outcome = run_on_worker(dataclasses.replace(task, version="0.0"))
    assert outcome.code == 78
    assert "not 0.0" in outcome.message


def test_a_session_is_begun_twice_and_no_more(task, monkeypatch):
    ended = []
    monkeypatch.setattr(cluster, "run_one", lambda _, one, *rest: ended.append(one) or "ended")
    assert [run_on_worker(task), run_on_worker(task)] == ["ended", "ended"]
    outcome = run_on_worker(task)
    assert (outcome.code, len(ended)) == (75, 2)
    assert "dask workers died 2 times" in outcome.message
    assert run_on_worker(dataclasses.replace(task, stage="sensitivity")) == "ended"
    cluster.stop_on_worker("run", keep=False)


def test_a_scheduler_that_does_not_answer_is_told():
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "100ms"}),
        pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9: no answer"),
        cluster._joined(at("127.0.0.1:9")),
    ):
        pass
