"""Runs sessions on the workers of a dask cluster that somebody else has started.

Paths go there, outcomes and events come back. A worker starts the same child process as this
machine would, so one that dies costs only the sessions it was at, each of which is tried once more.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cmb_bidsapp import __version__
from cmb_bidsapp.bids.scans import Unit
from cmb_bidsapp.bids.text import read_json
from cmb_bidsapp.core.errors import ExitCode, UnavailableError, UsageError, classify
from cmb_bidsapp.core.home import provide_home
from cmb_bidsapp.core.resources import SESSION_MB
from cmb_bidsapp.core.scratch import PREFIX
from cmb_bidsapp.engine.children import Children, OnEvent, Outcome, run_one
from cmb_bidsapp.settings import Resources, Settings
from cmb_bidsapp.workflow import Stage

#: Sessions that the scheduler is told of at a time.
WINDOW = 500
#: How often a session is begun: once more where its worker has died.
TRIES = 2
#: How a worker says what it has, for messages.
START = f'dask worker ... --nworkers 1 --memory-limit 0 --resources "MEM={2 * SESSION_MB}"'


def run_on_cluster(
    sessions: Sequence[Unit], settings: Settings, logs: Path, on_event: OnEvent, stage: Stage
) -> Generator[Outcome, None, None]:
    """Run a stage of sessions on a cluster; see :func:`cmb_bidsapp.engine.pool.run_sessions`.

    Parameters
    ----------
    sessions
        Sessions, or participants for the follow-ups.
    settings
        Settings of the run; they name the scheduler.
    logs
        Folder of the logs, which the workers must reach under the same path.
    on_event
        Told that each session begins, and of its steps and notes, from other threads.
    stage
        Key of :data:`cmb_bidsapp.workflow.STAGES`.

    Yields
    ------
    outcome
        How a session ended, in the order in which they end.

    Raises
    ------
    UsageError
        The scheduler is another machine's and not encrypted, or its address is none.
    UnavailableError
        dask is not installed, the scheduler does not answer, or no worker can take a session.
    """
    with _joined(settings.resources) as client:
        _check_workers(client, settings.resources)
        yield from _Run(
            client=client, settings=settings, logs=logs, on_event=on_event, stage=stage
        ).outcomes(sessions)


def needs_of(resources: Resources) -> dict[str, int]:
    """Worker resources that a session takes: ``MEM`` in MB, and ``GPU``."""
    return {"MEM": SESSION_MB, **({"GPU": 1} if resources.device.startswith("cuda") else {})}


def address_of(resources: Resources) -> str:
    """Address of the scheduler, which must be this machine's, or encrypted.

    Raises
    ------
    UsageError
        It is neither, and that was not asked for besides; or it is no address.
    """
    address = given = resources.scheduler or ""
    if "://" not in given and Path(given).is_file():
        try:
            address = str(read_json(Path(given))["address"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"--scheduler-file {given}: no file of a dask scheduler") from error
    url = urlsplit(address if "://" in address else f"tcp://{address}")
    try:
        host, port = url.hostname, url.port
    except ValueError:
        host, port = None, None
    if url.scheme not in ("tcp", "tls") or host is None or port is None:
        raise UsageError(f"--scheduler {given}: expected tcp://HOST:PORT or tls://HOST:PORT")
    if url.scheme != "tls" and not resources.without_tls and not is_here(host):
        raise UsageError(
            f"--scheduler {given}: {host} is another machine and the connection is not "
            "encrypted. Anyone who can reach it can run any code as you. Set up TLS "
            "(distributed.comm.tls in dask's configuration), or add --scheduler-without-tls"
        )
    return url.geturl()


def is_here(host: str) -> bool:
    """Whether an address or name is this machine's: only then a socket can be bound to it."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.bind(place)
    except OSError:
        return False
    return True


@contextmanager
def _joined(resources: Resources) -> Iterator[Any]:
    address = address_of(resources)
    try:
        from distributed import Client
    except ImportError as error:
        raise UnavailableError(
            f"--scheduler: dask is not installed; pip install 'cmb-bidsapp[cluster]' ({error})"
        ) from error
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client = Client(address, set_as_default=False)
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        raise UnavailableError(
            f"--scheduler {address}: no answer ({' '.join(str(error).split())}); is it running, "
            "and does it use the same TLS settings?"
        ) from error
    with client:
        yield client


def _check_workers(client: Any, resources: Resources) -> None:
    """Refuse workers that could never take a session; those to come are waited for."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    needs = needs_of(resources)
    if workers and not any(
        all(worker["resources"].get(name, 0) >= need for name, need in needs.items())
        for worker in workers
    ):
        wanted = " ".join(f"{name}={need}" for name, need in needs.items())
        raise UnavailableError(
            f"none of {len(workers)} dask workers has what a session needs ({wanted}); "
            f"start them with {START}"
        )


@dataclass(frozen=True, kw_only=True)
class RemoteJob:
    """What a worker is told: paths and settings, no images."""

    run_id: str
    session: Unit
    settings: Settings
    logs: Path
    stage: Stage
    version: str = __version__


@dataclass(frozen=True)
class _Here:
    """What a worker keeps of a run: its children, and the folder for their scratch."""

    children: Children
    scratch: Path


#: By run.
_RUNS: dict[str, _Here] = {}
_LOCK = threading.Lock()


def run_on_worker(task: RemoteJob) -> Outcome:
    """Run a session here, on a worker, and tell the client of its events."""
    from distributed import get_worker

    worker, session = get_worker(), task.session
    if task.version != __version__:
        message = (
            f"worker {worker.address} has version {__version__}, not {task.version}; use the "
            "same image on all workers"
        )
        return Outcome(session=session, code=ExitCode.CONFIG, message=message)
    try:
        if not _may_begin(task):
            return _given_up(session)
        with _LOCK:
            if task.run_id not in _RUNS:
                _RUNS[task.run_id] = _start(task.settings.work_dir)
        here = _RUNS[task.run_id]
    except OSError as error:
        code, message = classify(error)
        return Outcome(session=session, code=code, message=f"worker {worker.address}: {message}")

    def tell(session: Unit, kind: str, text: str) -> None:
        worker.log_event(task.run_id, (session.label, kind, text))

    return run_one(here.children, session, task.settings, task.logs, tell, task.stage)


def stop_on_worker(run_id: str, *, keep: bool) -> None:
    """End what runs here of a run, and its scratch unless that is to be kept.

    Parameters
    ----------
    run_id
        Identifier of the run, which the client chose.
    keep
        Whether the scratch folder stays.
    """
    with _LOCK:
        here = _RUNS.pop(run_id, None)
    if here is not None:
        here.children.stop()
        if not keep:
            shutil.rmtree(here.scratch, ignore_errors=True)


def _start(work_dir: Path | None) -> _Here:
    provide_home()
    if work_dir is not None:
        work_dir.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=PREFIX, dir=work_dir))
    return _Here(Children(scratch), scratch)


def _may_begin(task: RemoteJob) -> bool:
    """Whether a session was begun less than :data:`TRIES` times; now it is once more.

    Files count: the scheduler repeats what its workers die of as often as its own configuration
    says, and tells nobody.
    """
    folder = task.logs / "begun"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, TRIES + 1):
        try:
            (folder / f"{task.session.label}_{task.stage}_{number}").touch(exist_ok=False)
        except FileExistsError:
            continue
        return True
    return False


def _given_up(session: Unit) -> Outcome:
    message = f"dask workers died {TRIES} times, for lack of memory or time; see the session log"
    return Outcome(session=session, code=ExitCode.TEMPORARY, message=message)


class _Run:
    """One stage of a run on a cluster."""

    def __init__(
        self, client: Any, settings: Settings, logs: Path, on_event: OnEvent, stage: Stage
    ) -> None:
        self._client = client
        self._needs = needs_of(settings.resources)
        self._settings, self._logs, self._stage = settings, logs, stage
        self._on_event = on_event
        # Keys of several runs on one scheduler must differ: it takes equal ones for one task.
        self._id = f"cmb-{socket.gethostname()}-{os.getpid()}-{time.time_ns()}"
        self._sessions: dict[str, Unit] = {}
        self._begun: Counter[str] = Counter()
        self._died: Counter[str] = Counter()
        self._futures: dict[Any, Unit] = {}

    def outcomes(self, sessions: Sequence[Unit]) -> Generator[Outcome, None, None]:
        from distributed import as_completed

        self._client.subscribe_topic(self._id, self._told)
        waiting = iter(sessions)
        done = as_completed(
            [self._submit(session) for session in islice(waiting, WINDOW)], loop=self._client.loop
        )
        try:
            for future in done:
                session = self._futures.pop(future)
                outcome = self._outcome(future, session)
                if outcome is None:
                    done.add(self._submit(session))
                    continue
                yield outcome
                following = next(waiting, None)
                if following is not None:
                    done.add(self._submit(following))
        finally:
            self._stop()

    def _submit(self, session: Unit) -> Any:
        self._sessions[session.label] = session
        task = RemoteJob(
            run_id=self._id,
            session=session,
            settings=self._settings,
            logs=self._logs,
            stage=self._stage,
        )
        future = self._client.submit(
            run_on_worker,
            task,
            key=f"{session.label}-{self._id}-{time.monotonic_ns()}",
            resources=self._needs,
            pure=False,
        )
        self._futures[future] = session
        return future

    def _outcome(self, future: Any, session: Unit) -> Outcome | None:
        """How a session ended; ``None`` where its worker died and it is to be tried again."""
        from distributed import KilledWorker

        if future.status == "finished":
            outcome: Outcome = future.result()
            return outcome
        error = future.exception() if future.status == "error" else None
        if isinstance(error, KilledWorker):
            self._died[session.label] += 1
            return None if self._died[session.label] < TRIES else _given_up(session)
        if error is not None:
            message = f"on a dask worker: {type(error).__name__}: {error}"
            return Outcome(session=session, code=ExitCode.INTERNAL, message=message)
        message = "the dask scheduler lost this session; was the scheduler stopped?"
        return Outcome(session=session, code=ExitCode.TEMPORARY, message=message)

    def _told(self, event: tuple[float, tuple[str, str, str]]) -> None:
        label, kind, text = event[1]
        session = self._sessions[label]
        if kind == "begin":
            self._begun[label] += 1
            if self._begun[label] > 1:
                self._on_event(session, "note", "the dask worker died; trying once more")
        self._on_event(session, kind, text)

    def _stop(self) -> None:
        """Leave nothing of this run on the cluster, as far as that still answers."""
        keep = self._settings.keep_workdir != "never"
        with suppress(Exception):
            self._client.cancel([*self._futures])
            self._client.run(stop_on_worker, self._id, keep=keep, on_error="ignore")
            self._client.unsubscribe_topic(self._id)
