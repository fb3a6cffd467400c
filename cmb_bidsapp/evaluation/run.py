"""The ``evaluate`` verb: finds the sessions of both folders, evaluates them, writes the tables."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.evaluation.results import STAGES, SessionResult
from cmb_bidsapp.evaluation.session import evaluate_session, find_sessions
from cmb_bidsapp.evaluation.summary import groups_of, summarise
from cmb_bidsapp.runtime.errors import (
    ExitCode,
    NoInputError,
    TemporaryError,
    UsageError,
    classify,
)

#: Memory to set aside for a session, in MB: twice what one takes on the paper's grid.
SESSION_MB = 1000


@dataclass(frozen=True)
class Task:
    """One session to evaluate."""

    predicted: SessionFiles
    reference: SessionFiles
    thresholds: tuple[float, ...]


@dataclass(frozen=True)
class Failure:
    """A session that could not be evaluated, and why."""

    files: SessionFiles
    code: int
    reason: str


def run_evaluation(given: argparse.Namespace) -> int:
    """Evaluate what the command line names.

    Raises
    ------
    UsageError
        An option is out of range, or a folder is not there.
    NoInputError
        The two folders have no session in common.
    """
    from cmb_bidsapp.cli import result_line
    from cmb_bidsapp.evaluation.page import page
    from cmb_bidsapp.evaluation.tables import identity, sweep_rows, write_tables

    _check(given)
    predicted, unnamed = find_sessions(given.predicted)
    reference, other = find_sessions(given.reference)
    for path in (*unnamed, *other):
        print(f"left out: {path}: sub-LABEL[_ses-LABEL]_space-T2starw_label-CMB_mask is expected")
    unpredicted = [files for label, files in reference.items() if label not in predicted]
    unreferenced = [files for label, files in predicted.items() if label not in reference]
    tasks = [
        Task(predicted[label], files, tuple(sorted(set(given.thresholds))))
        for label, files in reference.items()
        if label in predicted
    ]
    if not tasks:
        raise NoInputError(
            f"{given.predicted} ({len(predicted)} sessions) and {given.reference} "
            f"({len(reference)}) have no session in common; each needs a "
            "*_space-T2starw_label-CMB_mask.nii.gz"
        )
    results, failures = _evaluate(tasks, given.nprocs)
    others = [
        *((files, "no-prediction", None) for files in unpredicted),
        *((files, "no-reference", None) for files in unreferenced),
        *((failure.files, "failed", failure.reason) for failure in failures),
    ]
    groups = groups_of(results)
    summaries = [
        {"group": group.name, "stage": stage, **summarise(group.results, stage, given.random_seed)}
        for group in groups
        for stage in STAGES
        if group.results
    ]
    rows = [
        {**identity(files.participant, files.session), "status": status, "reason": reason}
        for files, status, reason in others
    ]
    written = write_tables(given.output_dir, groups, summaries, rows)
    if results:
        print(f"\n{page(summaries, list(sweep_rows(groups)))}\n")
    for files, status, reason in others:
        print(f"{files.label}: {reason or status.replace('-', ' ')}; not in the figures")
    for path in written:
        print(f"table: {path}")
    code = _exit_code(failures, len(results), len(unpredicted))
    bad = len(failures) + len(unpredicted)
    print(result_line(len(results), bad, len(unreferenced), code), flush=True)
    return code


def _check(given: argparse.Namespace) -> None:
    problems = [
        f"{name} {path}: not a folder"
        for name, path in (
            ("PRED_DERIVATIVES", given.predicted),
            ("REF_DERIVATIVES", given.reference),
        )
        if not path.is_dir()
    ]
    out = given.output_dir.resolve()
    for path in (given.predicted.resolve(), given.reference.resolve()):
        if path in (out, *out.parents):
            problems.append(f"OUTPUT_DIR {out} lies in {path}; nothing is written into the inputs")
    problems += [
        f"--thresholds {value:g}: between 0 and 1 is expected"
        for value in given.thresholds
        if not 0 < value < 1
    ]
    if given.nprocs is not None and given.nprocs < 1:
        problems.append(f"--nprocs {given.nprocs}: at least 1 is expected")
    if given.random_seed < 0:
        problems.append(f"--random-seed {given.random_seed}: 0 or more is expected")
    if problems:
        raise UsageError("\n".join(problems))


def _evaluate(
    tasks: Sequence[Task], nprocs: int | None
) -> tuple[list[SessionResult], list[Failure]]:
    """Evaluate all sessions; only their numbers are kept."""
    from cmb_bidsapp.runtime import resources

    cpus, memory = resources.available_cpus(), resources.available_memory_mb()
    processes = nprocs or max(1, min(cpus.value, memory.value // SESSION_MB))
    processes = min(processes, len(tasks))
    print(f"{len(tasks)} sessions, {processes} at a time", flush=True)
    results, failures = [], []
    for done, outcome in enumerate(_outcomes(tasks, processes), 1):
        if isinstance(outcome, Failure):
            failures.append(outcome)
            print(f"cmb_bidsapp: {outcome.files.label}: {outcome.reason}", file=sys.stderr)
        else:
            results.append(outcome)
        label = tasks[done - 1].predicted.label
        print(f"{label} ({done} of {len(tasks)})", flush=True)
    return results, failures


def _outcomes(tasks: Sequence[Task], processes: int) -> Iterator[SessionResult | Failure]:
    if processes == 1:
        yield from map(evaluate_task, tasks)
        return
    # A forked child may inherit a lock of a numerical library's thread; a new one cannot.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context) as pool:
        try:
            yield from pool.map(evaluate_task, tasks)
        except BrokenProcessPool as error:
            raise TemporaryError(
                "a process of the evaluation was killed, for lack of memory perhaps; "
                "give a lower --nprocs"
            ) from error


def evaluate_task(task: Task) -> SessionResult | Failure:
    """Evaluate one session; whatever goes wrong with it concerns it alone."""
    try:
        return evaluate_session(task.predicted, task.reference, task.thresholds)
    except Exception as error:  # noqa: BLE001 (the caller is told of every end)
        code, reason = classify(error)
        if code == ExitCode.INTERNAL:
            traceback.print_exc()
        return Failure(task.predicted, int(code), reason)


def _exit_code(failures: Sequence[Failure], evaluated: int, unpredicted: int) -> int:
    """0; the common code when everything failed for one reason; else 1."""
    codes = {failure.code for failure in failures}
    if len(codes) == 1 and not evaluated and not unpredicted:
        return codes.pop()
    return ExitCode.SOME_FAILED if failures or unpredicted else ExitCode.OK
