"""Runs sessions side by side, each in a child process: here, or on the workers of a cluster."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from cmb_bidsapp.bids.scans import Unit
from cmb_bidsapp.engine.children import Children, OnEvent, Outcome, run_one
from cmb_bidsapp.settings import Settings
from cmb_bidsapp.workflow import Stage


def run_sessions(
    sessions: Sequence[Unit],
    settings: Settings,
    logs: Path,
    on_event: OnEvent,
    stage: Stage = "session",
) -> Iterator[Outcome]:
    """Run a stage of sessions and yield their outcomes as they come.

    Parameters
    ----------
    sessions
        Sessions, or participants for the follow-ups.
    settings
        Settings of the run; they say whether sessions run here or on a cluster.
    logs
        Folder that gets one text file per session: what its libraries printed.
    on_event
        Told that each session begins, and of its steps and notes, from other threads.
    stage
        Key of :data:`cmb_bidsapp.workflow.STAGES`.

    Raises
    ------
    UsageError, UnavailableError
        See :func:`cmb_bidsapp.engine.cluster.run_on_cluster`.
    """
    if not sessions:
        return
    if settings.resources.scheduler is None:
        outcomes = _run_here(sessions, settings, logs, on_event, stage)
    else:
        # dask, which only clusters need.
        from cmb_bidsapp.engine.cluster import run_on_cluster

        outcomes = run_on_cluster(sessions, settings, logs, on_event, stage)
    try:
        for outcome in outcomes:
            yield outcome
            if not outcome.ok and settings.stop_on_first_crash:
                return
    finally:
        outcomes.close()


def _run_here(
    sessions: Sequence[Unit], settings: Settings, logs: Path, on_event: OnEvent, stage: Stage
) -> Generator[Outcome, None, None]:
    children, waiting = Children(), _Waiting(sessions)
    resources = settings.resources.shared_by(len({session.participant for session in sessions}))
    settings = replace(settings, resources=resources)

    def work() -> Outcome:
        with waiting.turn() as session:
            outcome = run_one(children, session, settings, logs, on_event, stage)
        if not outcome.ok and settings.stop_on_first_crash:
            children.stop()
        return outcome

    # One thread waits for each child.
    pool = ThreadPoolExecutor(resources.processes)
    try:
        for future in as_completed([pool.submit(work) for _ in sessions]):
            yield future.result()
    finally:
        children.stop()
        pool.shutdown(cancel_futures=True)


class _Waiting:
    """Sessions that wait for their turn.

    Those of a participant run one after the other. One that is begun beside another would wait
    for it in a place that somebody else's could have.
    """

    def __init__(self, sessions: Sequence[Unit]) -> None:
        self._lock = threading.Lock()
        self._sessions, self._at_work = list(sessions), list[str]()

    @contextmanager
    def turn(self) -> Iterator[Unit]:
        """The next session, of a participant that nobody is at if there is any."""
        with self._lock:
            free = (n for n, s in enumerate(self._sessions) if s.participant not in self._at_work)
            session = self._sessions.pop(next(free, 0))
            self._at_work.append(session.participant)
        try:
            yield session
        finally:
            with self._lock:
                self._at_work.remove(session.participant)
