"""Sessions evaluated in processes of their own; only their numbers come back."""

from __future__ import annotations

import multiprocessing
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

from cmb_bidsapp.core import resources
from cmb_bidsapp.core.errors import ExitCode, TemporaryError, classify
from cmb_bidsapp.evaluation.predictions import PredictionFiles
from cmb_bidsapp.evaluation.presets import Rules
from cmb_bidsapp.evaluation.results import SessionResult
from cmb_bidsapp.evaluation.session import evaluate
from cmb_bidsapp.evaluation.truth import read_truth

#: Memory to set aside for the evaluation of a session, in MB: more than one of 560 x 560 x 30
#: voxels takes.
EVALUATION_MB = 1000


@dataclass(frozen=True)
class Task:
    """One session to evaluate: the reference, read once, and what each method found."""

    reference: PredictionFiles
    predicted: Mapping[str, PredictionFiles]
    rules: Rules


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A session of a method that could not be evaluated, and why."""

    method: str
    files: PredictionFiles
    code: int
    reason: str


def evaluate_all(
    tasks: Sequence[Task], nprocs: int | None
) -> tuple[list[SessionResult], list[Failure]]:
    """Evaluate all sessions; those that fail are reported and left out.

    Parameters
    ----------
    tasks
        What is compared with what.
    nprocs
        Sessions at a time; ``None``: as many as cores and memory allow.
    """
    cpus, memory = resources.available_cpus(), resources.available_memory_mb()
    processes = nprocs or max(1, min(cpus.value, memory.value // EVALUATION_MB))
    processes = min(processes, len(tasks))
    print(f"{len(tasks)} sessions, {processes} at a time", flush=True)
    results, failures = [], []
    for done, outcomes in enumerate(_outcomes(tasks, processes), 1):
        for outcome in outcomes:
            if isinstance(outcome, Failure):
                failures.append(outcome)
                print(f"cmb_bidsapp: {outcome.files.label}: {outcome.reason}", file=sys.stderr)
            else:
                results.append(outcome)
        print(f"{tasks[done - 1].reference.label} ({done} of {len(tasks)})", flush=True)
    return results, failures


def _outcomes(tasks: Sequence[Task], processes: int) -> Iterator[list[SessionResult | Failure]]:
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
                "a process of the evaluation was killed, possibly for lack of memory; use a "
                "lower --nprocs"
            ) from error


def evaluate_task(task: Task) -> list[SessionResult | Failure]:
    """Evaluate one session; whatever goes wrong with it concerns it alone."""
    outcomes: list[SessionResult | Failure] = []
    try:
        truth = read_truth(task.reference, task.rules)
    except Exception as error:  # noqa: BLE001 (the caller is told of every end)
        return [_failure(name, given, error) for name, given in task.predicted.items()]
    for name, given in task.predicted.items():
        try:
            outcomes.append(evaluate(name, given, truth, task.rules))
        except Exception as error:  # noqa: BLE001 (as above)
            outcomes.append(_failure(name, given, error))
    return outcomes


def _failure(method: str, files: PredictionFiles, error: Exception) -> Failure:
    code, reason = classify(error)
    if code == ExitCode.INTERNAL:
        traceback.print_exception(error)
    return Failure(method=method, files=files, code=int(code), reason=reason)
