"""A stage in a process of its own: phases in order, each only where its stamp is stale.

Run as ``python -m cmb_bidsapp.engine.child``: the job comes on standard input, events leave on
standard output as JSON lines, everything libraries print goes to standard error.
"""

from __future__ import annotations

import ctypes
import json
import os
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cmb_bidsapp.bids.derivatives import SessionFiles, locked, participant_lock
from cmb_bidsapp.bids.inputs import Session
from cmb_bidsapp.bids.outputs import remove, sidecar_of
from cmb_bidsapp.bids.provenance import write_seconds
from cmb_bidsapp.bids.stamps import (
    Stamp,
    current,
    key_of,
    read_stamp,
    states,
    write_stamp,
)
from cmb_bidsapp.core.errors import RefusedScanError, classify
from cmb_bidsapp.phases.base import Phase
from cmb_bidsapp.settings import Settings
from cmb_bidsapp.workflow import STAGES, Stage

Emit = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Job:
    """What a child process is told.

    ``stage`` is a key of :data:`cmb_bidsapp.workflow.STAGES`; a ``session`` without a label stands
    for all sessions of the participant there.
    """

    session: Session
    settings: Settings
    stage: Stage = "session"

    @property
    def phases(self) -> tuple[Phase, ...]:
        """What the stage consists of."""
        return STAGES[self.stage]

    @property
    def files(self) -> SessionFiles:
        """Where the session's derivatives lie."""
        return SessionFiles(self.settings.out_dir, self.session.participant, self.session.session)


@dataclass
class Check:
    """Whether a phase has to run, and the key and inputs a new stamp would hold."""

    stale: bool
    key: str
    inputs: dict[str, Any] = field(default_factory=dict)


def check(phase: Phase, job: Job) -> Check:
    """Compare a phase's stamp with its parameters, inputs and outputs as they are."""
    stamp = read_stamp(job.files.stamp(phase.name))
    paths = phase.inputs(job.session, job.files, job.settings)
    if not all(path.exists() for path in paths):
        return Check(True, "")
    inputs = states(paths, stamp.inputs if stamp else {})
    key = key_of(phase.parameters(job.settings, job.session), inputs)
    return Check(job.settings.force or not current(stamp, key, job.settings.out_dir), key, inputs)


def up_to_date(job: Job) -> bool:
    """Whether nothing is left to do."""
    return not any(check(phase, job).stale for phase in job.phases)


def run(job: Job, emit: Emit) -> list[str]:
    """Run the stale phases of a stage; returns their names."""
    ran = []
    with locked(participant_lock(job.settings.out_dir, job.session.participant)):
        for phase in job.phases:
            checked = check(phase, job)
            if not checked.stale:
                continue
            timings: dict[str, float] = {}
            clock = [time.monotonic(), ""]

            def step(name: str, timings: dict[str, float] = timings, clock: Any = clock) -> None:
                now = time.monotonic()
                if clock[1]:
                    timings[clock[1]] = round(now - clock[0], 2)
                clock[:] = [now, name]
                if name:
                    emit({"event": "step", "text": name})

            try:
                result = phase.run(job.session, job.files, job.settings, step)
            except RefusedScanError:
                if job.stage == "session":
                    withdraw(job, phase)
                raise
            step("")
            for note in result.notes:
                emit({"event": "note", "text": note})
            root = job.settings.out_dir
            # Sidecars are the record of how a result was made: without them it is made again.
            sidecars = [path for path in map(sidecar_of, result.outputs) if path.exists()]
            outputs = states(dict.fromkeys([*result.outputs, *sidecars]), {})
            relative = {os.path.relpath(name, root): state for name, state in outputs.items()}
            # The key is taken again: a phase before this one may have made the inputs.
            checked = check(phase, job)
            write_stamp(job.files.stamp(phase.name), Stamp(checked.key, checked.inputs, relative))
            write_seconds(job.files, phase.name, timings)
            ran.append(phase.name)
    return ran


def withdraw(job: Job, failed: Phase) -> None:
    """Remove what earlier runs made in a phase and those after it.

    Where a scan turns out not to be usable, an older count must not go on to be read as its own.
    Nothing is lost by anything else that is refused, such as a parcellation of another head.
    """
    root = job.settings.out_dir.resolve()
    paths = [job.files.lesions, job.files.mars_form, job.files.summary]
    for phase in job.phases[job.phases.index(failed) :]:
        stamp = read_stamp(job.files.stamp(phase.name))
        paths += [root / name for name in (stamp.outputs if stamp else ())]
        job.files.stamp(phase.name).unlink(missing_ok=True)
    for path in paths:
        if path.resolve().is_relative_to(root):
            remove(path)


def _die_with_parent() -> None:
    """Ask Linux to stop this process when the app dies, whatever killed it."""
    parent = os.getppid()
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    except (OSError, AttributeError):  # not Linux: the parent stops its children itself
        return
    if os.getppid() != parent:
        sys.exit(1)


def main() -> int:
    """Entry point of the child process."""
    _die_with_parent()
    events = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)

    def emit(event: dict[str, Any]) -> None:
        events.write(json.dumps(event) + "\n")

    job: Job = pickle.load(sys.stdin.buffer)  # noqa: S301 (written by our own parent)
    try:
        emit({"event": "done", "ran": run(job, emit)})
    except BaseException as error:  # noqa: BLE001 (the parent is told of every end)
        code, message = classify(error)
        traceback.print_exc()
        emit({"event": "failed", "code": int(code), "message": message})
        return int(code)
    return 0


if __name__ == "__main__":
    # The classes a job is pickled with belong to the imported module, not to __main__.
    from cmb_bidsapp.engine.child import main as imported_main

    sys.exit(imported_main())
