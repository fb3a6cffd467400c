"""A stage of a session in a child process: its events, its end, and how it is stopped.

A child that dies takes nothing with it; its signal is reported.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cmb_bidsapp.bids.scans import Unit
from cmb_bidsapp.core.errors import ExitCode, classify
from cmb_bidsapp.core.resources import out_of_memory_kills
from cmb_bidsapp.core.scratch import SessionScratch
from cmb_bidsapp.engine.child import Job
from cmb_bidsapp.settings import Settings
from cmb_bidsapp.workflow import Stage

#: Time between asking a child to stop and killing it, s; its own programs are given half of it.
GRACE = 10.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a session ended; as it stands, with nothing left to do."""

    session: Unit
    code: int = ExitCode.OK
    message: str = ""
    ran: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether everything that was asked for is there."""
        return self.code == ExitCode.OK

    @property
    def error(self) -> str:
        """Why it failed; empty where it did not."""
        return "" if self.ok else self.message or f"exit code {self.code}"


#: Told of a session, ``begin``, ``step`` or ``note``, and its text; from several threads.
OnEvent = Callable[[Unit, str, str], None]


class Children:
    """The child processes that run now, so that they can be stopped together.

    Parameters
    ----------
    scratch
        Folder for their temporary files, instead of that of this process.
    """

    def __init__(self, scratch: Path | None = None) -> None:
        self._scratch = scratch
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self.stopped = False

    def run(
        self,
        session: Unit,
        settings: Settings,
        log: Path,
        on_event: OnEvent,
        stage: Stage = "session",
    ) -> Outcome:
        """Run a stage of one session to its end in a child process.

        Parameters
        ----------
        session
            Session, or participant for the follow-ups.
        settings
            Settings of the run.
        log
            Text file for what libraries print; an older one is overwritten.
        on_event
            Told that the session begins, and of its steps and notes.
        stage
            Key of :data:`cmb_bidsapp.workflow.STAGES`.

        Returns
        -------
        outcome
            How the stage ended; a child that fails or is killed is an outcome as well.

        Raises
        ------
        OSError
            The log cannot be written, or the child cannot be started.
        """
        start, killings = time.monotonic(), out_of_memory_kills()
        on_event(session, "begin", "")
        log.parent.mkdir(parents=True, exist_ok=True)
        scratch = SessionScratch(session.label, settings.keep_workdir, self._scratch)
        with log.open("wb") as errors, scratch:
            with self._lock:
                if self.stopped:
                    return Outcome(
                        session=session, code=ExitCode.INTERRUPTED, message="not started"
                    )
                child = subprocess.Popen(
                    [sys.executable, "-m", "cmb_bidsapp.engine.child"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env=_environment(settings.resources.threads or 1) | scratch.environment,
                )
                self._running.add(child)
            watch = _Watch(child, settings.resources.step_timeout)
            try:
                assert child.stdin is not None
                assert child.stdout is not None
                try:
                    child.stdin.write(pickle.dumps(Job(session, settings, stage)))
                    child.stdin.close()
                except BrokenPipeError:
                    pass  # it died early; its status says how
                code, message, ran = _listen(child.stdout, watch.begin, partial(on_event, session))
                status = child.wait()
                scratch.failed = status != 0
            finally:
                watch.end()
                with self._lock:
                    self._running.discard(child)
        if watch.expired:
            code, message, ran = ExitCode.TEMPORARY, watch.expired, ()
        elif status < 0:
            starved = killings is not None and out_of_memory_kills() != killings
            code, message = _killed(-status, stopped=self.stopped, starved=starved)
        elif (status != 0 or code != ExitCode.OK) and not message:
            code, message = ExitCode.INTERNAL, f"ended with status {status}; see {log}"
        return Outcome(
            session=session,
            code=int(code),
            message=message,
            ran=ran,
            seconds=round(time.monotonic() - start, 1),
        )

    def stop(self) -> None:
        """Stop every child and start no more."""
        with self._lock:
            self.stopped = True
            for child in self._running:
                child.terminate()


def run_one(
    children: Children,
    session: Unit,
    settings: Settings,
    logs: Path,
    on_event: OnEvent,
    stage: Stage,
) -> Outcome:
    """Run a session to its end; one that cannot be started has failed alone.

    Parameters
    ----------
    children
        Processes of this run, which get one more.
    session
        Session, or participant for the follow-ups.
    settings
        Settings of the run.
    logs
        Folder of the log, ``<label>.log``.
    on_event
        Told that the session begins, and of its steps and notes.
    stage
        Key of :data:`cmb_bidsapp.workflow.STAGES`.
    """
    try:
        return children.run(session, settings, logs / f"{session.label}.log", on_event, stage)
    except OSError as error:  # a disk that is full, a process too many
        code, message = classify(error)
        return Outcome(session=session, code=code, message=message)


def _listen(
    lines: Iterable[bytes], begin: Callable[[str], None], tell: Callable[[str, str], None]
) -> tuple[ExitCode, str, tuple[str, ...]]:
    """Follow a child to its end: its exit code, why it failed, and the phases that ran.

    ``begin`` is told of steps; ``tell`` gets ``step`` or ``note``, and its text.
    """
    code, message, ran = ExitCode.INTERNAL, "", ()
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue  # torn by the child's death, or printed by a library
        if event["event"] in ("step", "note"):
            if event["event"] == "step":
                begin(event["text"])
            tell(event["event"], event["text"])
        elif event["event"] == "done":
            code, ran = ExitCode.OK, tuple(event["ran"])
        elif event["event"] == "failed":
            code, message = ExitCode(event["code"]), event["message"]
    return code, message, ran


class _Watch:
    """Stops a child one of whose steps takes too long; without a limit, in minutes, never."""

    def __init__(self, child: subprocess.Popen[bytes], limit: float | None) -> None:
        self._child = child
        self._limit = limit
        self._timers: list[threading.Timer] = []
        self.expired = ""
        self.begin("start")

    def begin(self, step: str) -> None:
        """A step begins; the one before it has ended."""
        self.end()
        if self._limit is not None and not self.expired:
            self._after(60 * self._limit, lambda: self._stop(step))

    def end(self) -> None:
        """Nothing is waited for any more."""
        for timer in self._timers:
            timer.cancel()

    def _stop(self, step: str) -> None:
        self.expired = (
            f"{step}: took longer than --step-timeout {self._limit:g} (minutes); see the log, and "
            "run it again or give more time"
        )
        self._child.terminate()
        self._after(GRACE, self._child.kill)

    def _after(self, seconds: float, work: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, work)
        timer.daemon = True
        self._timers.append(timer)
        timer.start()


def _killed(number: int, *, stopped: bool, starved: bool) -> tuple[ExitCode, str]:
    name = signal.Signals(number).name
    if stopped:
        return ExitCode.INTERRUPTED, "stopped"
    if starved:
        return (
            ExitCode.TEMPORARY,
            f"killed by {name}, out of memory; run fewer sessions at once or give the job more "
            "memory",
        )
    if number == signal.SIGKILL:
        return (
            ExitCode.TEMPORARY,
            f"killed by {name}: by a person, a scheduler, or for want of memory; run it again",
        )
    return ExitCode.TEMPORARY, f"killed by {name}"


def _environment(threads: int) -> dict[str, str]:
    """Environment of a child: its share of the cores, and no pile-up of nested pools."""
    names = (
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
    )
    return {**os.environ, **dict.fromkeys(names, str(threads)), "PYTHONUNBUFFERED": "1"}
