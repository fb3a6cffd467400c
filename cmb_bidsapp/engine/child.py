"""A stage in a process of its own: phases in order, each only where its stamp is stale.

Run as ``python -m cmb_bidsapp.engine.child``: the job comes on standard input, events leave on
standard output as JSON lines, everything libraries print goes to standard error.
"""

from __future__ import annotations

import ctypes
import json
import os
import pickle
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.locks import locked, participant_lock
from cmb_bidsapp.bids.outputs import remove, sidecar_of
from cmb_bidsapp.bids.provenance import write_seconds
from cmb_bidsapp.bids.scans import Unit
from cmb_bidsapp.bids.stamps import (
    FileState,
    Stamp,
    current,
    key_of,
    read_stamp,
    refreshed,
    states,
    write_stamp,
)
from cmb_bidsapp.core.errors import CannotWriteError, ExitCode, RefusedScanError, classify
from cmb_bidsapp.core.logs import show_logs
from cmb_bidsapp.core.resources import take_blas_buffer
from cmb_bidsapp.phases.base import Phase
from cmb_bidsapp.settings import Settings
from cmb_bidsapp.workflow import STAGES, Stage

#: A disk with fewer bytes than this is full.
FULL = 1 << 20

Emit = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Job:
    """What a child process is told.

    ``stage`` is a key of :data:`cmb_bidsapp.workflow.STAGES`; that of the follow-ups takes a
    participant as its ``session``.
    """

    session: Unit
    settings: Settings
    stage: Stage = "session"

    @property
    def phases(self) -> tuple[Phase[Any], ...]:
        """What the stage consists of."""
        return STAGES[self.stage]

    @property
    def files(self) -> SessionFiles:
        """Where the session's derivatives lie."""
        return SessionFiles(self.settings.out_dir, self.session.participant, self.session.session)


def is_stale(phase: Phase[Any], job: Job, known: dict[str, FileState]) -> bool:
    """Compare a phase's stamp with its parameters, inputs and outputs as they are.

    A stamp that holds gets the times of files that were only touched or copied: the next run need
    not hash them again.

    Parameters
    ----------
    phase
        Phase of the job's stage.
    job
        Session, settings and stage of this process.
    known
        States of files that this process has read; gets those of the inputs that had to be.
    """
    parameters = phase.depends_on(job.settings, job.session)
    stamp = read_stamp(job.files.stamp(phase.name))
    # With other parameters no content of the inputs could make the key the same.
    if stamp is None or job.settings.force or key_of(parameters, stamp.inputs) != stamp.key:
        return True
    inputs = _inputs(phase, job, {**stamp.inputs, **known})
    known |= inputs or {}
    root = job.settings.out_dir
    if inputs is None or not current(stamp, key_of(parameters, inputs), root):
        return True
    now = refreshed(stamp, inputs, root)
    if now != stamp:
        # Results that cannot be written to are no less up to date.
        with suppress(OSError):
            write_stamp(job.files.stamp(phase.name), now)
    return False


def _inputs(
    phase: Phase[Any], job: Job, known: Mapping[str, FileState]
) -> dict[str, FileState] | None:
    """States of a phase's inputs by path; ``None`` where one is not there."""
    paths = phase.inputs(job.session, job.files, job.settings)
    return states(paths, known) if all(path.exists() for path in paths) else None


def up_to_date(job: Job) -> bool:
    """Whether nothing is left to do."""
    known: dict[str, FileState] = {}
    return not any(is_stale(phase, job, known) for phase in job.phases)


def run(job: Job, emit: Emit) -> list[str]:
    """Run the stale phases of a stage; returns their names.

    Parameters
    ----------
    job
        Session, settings and stage of this process.
    emit
        Called with each event, a step that begins or a note, as a mapping that JSON can hold.
    """
    ran = []
    known: dict[str, FileState] = {}
    _stay_out_of(job.settings.bids_dir, job)
    with locked(participant_lock(job.settings.out_dir, job.session.participant)):
        for phase in job.phases:
            if is_stale(phase, job, known):
                _run_phase(phase, job, known, emit)
                ran.append(phase.name)
    return ran


def _stay_out_of(bids_dir: Path, job: Job) -> None:
    """Refuse links in the output folder that lead into the dataset: nothing is written there.

    Raises
    ------
    CannotWriteError
        Which link.
    """
    root, dataset = job.settings.out_dir.resolve(), bids_dir.resolve()
    for folder in (job.files.lesions.parent, job.files.figure("any").parent):
        where = folder.resolve()
        if where.is_relative_to(dataset) and not where.is_relative_to(root):
            raise CannotWriteError(
                f"{folder} links into the dataset ({where}), which must not be modified; remove "
                "the link"
            )


def _run_phase(phase: Phase[Any], job: Job, known: dict[str, FileState], emit: Emit) -> None:
    """Run a phase and leave its stamp; ``known`` gets the states of inputs and outputs."""
    timings: dict[str, float] = {}
    since, running = time.monotonic(), ""

    def step(name: str) -> None:
        nonlocal since, running
        now = time.monotonic()
        if running:
            timings[running] = round(now - since, 2)
        since, running = now, name
        if name:
            emit({"event": "step", "text": name})

    before = _inputs(phase, job, known) or {}
    known |= before
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
    known |= outputs
    relative = {os.path.relpath(name, root): state for name, state in outputs.items()}
    # The phase may have had other programs make inputs. Those that were there count as they were:
    # where somebody has changed one meanwhile, the phase runs again next time.
    after = _inputs(phase, job, known)
    inputs = {} if after is None else {**after, **before}
    parameters = phase.depends_on(job.settings, job.session)
    key = "" if after is None else key_of(parameters, inputs)
    write_stamp(job.files.stamp(phase.name), Stamp(key, inputs, relative))
    write_seconds(job.files, phase.name, timings)


def withdraw(job: Job, failed: Phase[Any]) -> None:
    """Remove what earlier runs made in a phase and those after it.

    Where a scan turns out not to be usable, an older count must not go on to be read as its own.
    Nothing is lost by anything else that is refused, such as a parcellation of another head.

    Parameters
    ----------
    job
        Session, settings and stage of this process.
    failed
        Phase of the stage that has refused the scan.
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


def _why(error: BaseException, *folders: Path) -> tuple[ExitCode, str]:
    """Classify an error; what a library says in its own words where a disk is full means that."""
    code, message = classify(error)
    for folder in folders if code == ExitCode.INTERNAL else ():
        with suppress(OSError):
            if shutil.disk_usage(folder).free < FULL:
                return ExitCode.TEMPORARY, f"no space left on the disk of {folder} ({message})"
    return code, message


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
    take_blas_buffer()
    events = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)

    def emit(event: dict[str, Any]) -> None:
        events.write(json.dumps(event) + "\n")

    job: Job = pickle.load(sys.stdin.buffer)  # noqa: S301 (written by our own parent)
    show_logs(job.settings.verbosity)
    try:
        emit({"event": "done", "ran": run(job, emit)})
    except BaseException as error:  # noqa: BLE001 (the parent is told of every end)
        code, message = _why(error, job.settings.out_dir, Path(tempfile.gettempdir()))
        traceback.print_exc()
        emit({"event": "failed", "code": int(code), "message": message})
        return int(code)
    return 0


if __name__ == "__main__":
    # The classes a job is pickled with belong to the imported module, not to __main__.
    from cmb_bidsapp.engine.child import main as imported_main

    sys.exit(imported_main())
