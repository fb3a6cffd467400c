"""An evaluation from folders to numbers: which sessions, what each gives, which are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmb_bidsapp import __version__
from cmb_bidsapp.bids.derivatives import SessionFiles, ending
from cmb_bidsapp.bids.filters import select_participants
from cmb_bidsapp.bids.outputs import write_json
from cmb_bidsapp.bids.tables import identity
from cmb_bidsapp.core.errors import ExitCode, NoInputError
from cmb_bidsapp.core.outcome import Summary, common_code
from cmb_bidsapp.evaluation.methods import Method
from cmb_bidsapp.evaluation.pool import Failure, Task, evaluate_all
from cmb_bidsapp.evaluation.predictions import PredictionFiles
from cmb_bidsapp.evaluation.presets import Rules
from cmb_bidsapp.evaluation.results import SessionResult
from cmb_bidsapp.evaluation.session import find_sessions
from cmb_bidsapp.evaluation.tables import Tables, tables_of, write_tables


@dataclass(frozen=True, kw_only=True)
class ExcludedSession:
    """A session of a method that is in no figure, and why."""

    method: str
    files: SessionFiles
    status: str
    reason: str | None = None

    def __str__(self) -> str:
        why = self.reason or self.status.replace("-", " ")
        return f"{self.method}: {self.files.label}: {why}; not in the figures"

    def row(self) -> dict[str, Any]:
        """What the table of sessions says of it."""
        return {
            "method": self.method,
            **identity(self.files.participant, self.files.session),
            "status": self.status,
            "reason": self.reason,
        }


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What came of all sessions of all methods."""

    results: Sequence[SessionResult]
    excluded: Sequence[ExcludedSession]
    failures: Sequence[Failure]
    rules: Rules

    def summary(self) -> Summary:
        """Counts and exit code; a reference session without a prediction counts as failed."""
        skipped = sum(one.status == "no-reference" for one in self.excluded)
        failed = len(self.excluded) - skipped
        without_code = [ExitCode.SOME_FAILED] * (failed - len(self.failures))
        codes = [*(failure.code for failure in self.failures), *without_code]
        codes += [ExitCode.OK] * len(self.results)
        return Summary(
            ok=len(self.results), failed=failed, skipped=skipped, code=common_code(codes)
        )


def evaluate_methods(
    methods: Sequence[Method],
    reference: Path,
    rules: Rules,
    nprocs: int | None = None,
    *,
    participants: Sequence[str] = (),
    excluded: Sequence[str] = (),
) -> Evaluation:
    """Evaluate methods on the sessions of a reference; print what is found and left out.

    Parameters
    ----------
    methods
        Each with its folder.
    reference
        Folder of the truth, or of labeled masks.
    rules
        What a lesion, a hit, F1 and Dice are.
    nprocs
        Sessions at a time; ``None`` is as many as the machine has room for.
    participants, excluded
        Labels of those to evaluate (all where none is given), and of those not to.

    Raises
    ------
    NoInputError
        No session has both a reference and a prediction.
    UsageError
        The reference has nobody of such a label.
    """
    truths, left_out = find_sessions(reference)
    found: dict[str, dict[str, PredictionFiles]] = {}
    for method in methods:
        found[method.name], more = method.find()
        left_out += more
    if participants or excluded:
        there = [given.participant for given in truths.values()]
        chosen = select_participants(there, participants, excluded)
        truths = {label: one for label, one in truths.items() if one.participant in chosen}
        found = {
            name: {label: one for label, one in own.items() if one.participant in chosen}
            for name, own in found.items()
        }
    for line in left_out:
        print(f"left out: {line}")
    tasks = [
        Task(files, {name: own[label] for name, own in found.items() if label in own}, rules)
        for label, files in truths.items()
        if any(label in own for own in found.values())
    ]
    if not tasks:
        counts = ", ".join(f"{m.folder} ({len(found[m.name])} sessions)" for m in methods)
        raise NoInputError(
            f"{counts} and {reference} ({len(truths)}) have no session in common; each needs "
            "files with sub-LABEL[_ses-LABEL] in their names, such as "
            f"*{ending(lambda files: files.mask)}"
        )
    results, failures = evaluate_all(tasks, nprocs)
    results.sort(key=lambda result: list(found).index(result.method))
    return Evaluation(
        results=results, excluded=_excluded(found, truths, failures), failures=failures, rules=rules
    )


def write_results(
    out_dir: Path, evaluation: Evaluation, command: str, seed: int
) -> tuple[Tables, list[Path]]:
    """Write tables and settings; returns the rows of the tables, and the files.

    Parameters
    ----------
    out_dir
        Where they go.
    evaluation
        What was evaluated, failed or left out.
    command
        The command line, for the record.
    seed
        Of the bootstrap.
    """
    rules = evaluation.rules
    tables = tables_of(evaluation.results, [one.row() for one in evaluation.excluded], seed)
    written = write_tables(out_dir, tables, evaluation.results)
    settings = out_dir / "evaluation.json"
    write_json(
        settings,
        {
            "Version": __version__,
            "Command": command,
            "Preset": rules.preset.name,
            "Rule": rules.preset.text,
            "Connectivity": rules.connectivity,
            "MinScore": rules.min_score,
            "Thresholds": rules.thresholds,
            "RandomSeed": seed,
        },
    )
    return tables, [*written, settings]


def _excluded(
    found: Mapping[str, Mapping[str, PredictionFiles]],
    truths: Mapping[str, PredictionFiles],
    failures: Sequence[Failure],
) -> list[ExcludedSession]:
    excluded = []
    for name, own in found.items():
        lacking = [files for label, files in truths.items() if label not in own]
        foreign = [files for label, files in own.items() if label not in truths]
        excluded += [
            ExcludedSession(method=name, files=files, status="no-prediction") for files in lacking
        ]
        excluded += [
            ExcludedSession(method=name, files=files, status="no-reference") for files in foreign
        ]
    return excluded + [
        ExcludedSession(method=f.method, files=f.files, status="failed", reason=f.reason)
        for f in failures
    ]
