"""Sessions on the workers of a dask cluster, one of which is killed."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.faults.conftest import ROOT
from tests.faults.test_interruption import all_end, children_of, partial, status, wait_for
from tests.skeletons import result_of


@pytest.fixture
def cluster(tmp_path):
    """Starts a scheduler and two workers, whose environment is that of a tiny program."""
    started = []

    def start(app):
        environment = {**app.environment, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}

        def run(*arguments):
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                env=environment,
                cwd=ROOT,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            started.append(process)
            return process

        file = tmp_path / "scheduler.json"
        scheduler = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show")
        run("distributed.cli.dask_scheduler", "--scheduler-file", str(file), *scheduler)
        deadline = time.monotonic() + 60
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        options = ("--no-nanny", "--nthreads", "2", "--memory-limit", "0", "--no-dashboard")
        own = ("--resources", "MEM=8000", "--local-directory", str(tmp_path / "dask"))
        return file, [
            run("tests.faults.tiny", "worker", "--scheduler-file", str(file), *options, *own)
            for _ in range(2)
        ]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_worker_that_is_killed_costs_only_its_sessions_which_run_elsewhere(tiny, cluster):
    labels = ["slow1", "slow2", "bad1"]
    app = tiny(*labels)
    file, workers = cluster(app)
    process = app.start("--scheduler-file", str(file), "--omp-nthreads", "1")
    wait_for(process, lambda: all(map(children_of, workers)))
    lost = children_of(workers[0])
    os.kill(workers[0].pid, signal.SIGKILL)
    said, _ = process.communicate(timeout=120)
    assert result_of(said) == (2, 1, 0, 1)
    assert said.count("the dask worker died; trying once more") in (1, 2)
    assert all_end(lost)
    assert status(app.out)["sub-bad1"] == ("failed", "65", "no good")
    assert {f"sub-{one} decide" for one in labels} - {*app.marks} == {"sub-bad1 decide"}
    assert not partial(app.out)


def test_a_run_that_is_interrupted_ends_its_sessions_on_the_workers(tiny, cluster):
    app = tiny("hang1", "hang2")
    file, workers = cluster(app)
    process = app.start("--scheduler-file", str(file))
    wait_for(process, lambda: len(app.marks) == 2)
    running = [pid for worker in workers for pid in children_of(worker)]
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert result_of(said)[3] == 130
    assert all_end(running)
    assert all(worker.poll() is None for worker in workers)


def test_nothing_of_dask_is_started_without_the_option(tiny):
    app = tiny("01")
    (app.bids.parent / "distributed.py").write_text("raise ImportError('dask was imported')")
    app.environment["PYTHONPATH"] = f"{app.bids.parent}:{ROOT}"
    code, said, _ = app.run()
    assert (code, result_of(said)) == (0, (1, 0, 0, 0))
    code, said, complained = app.run("--force", "--scheduler", "127.0.0.1:9")
    assert code == 69
    assert "cmb-bidsapp[cluster]" in said + complained
