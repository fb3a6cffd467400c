"""An evaluation, as a verb of its own and as a part of the group level."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from cmb_bidsapp.bids.outputs import write_text
from cmb_bidsapp.core.defaults import GROUP_FOLDER
from cmb_bidsapp.core.outcome import Summary
from cmb_bidsapp.evaluation.methods import Method, parse_methods
from cmb_bidsapp.evaluation.presets import DEFAULT_RULES, PRESETS, Rules
from cmb_bidsapp.evaluation.request import EvaluationRequest
from cmb_bidsapp.evaluation.run import evaluate_methods, write_results
from cmb_bidsapp.report.evaluation import write_evaluation_report


def run_evaluation(request: EvaluationRequest) -> int:
    """Evaluate predictions against a reference; returns the exit code.

    Raises
    ------
    NoInputError
        No session has both a reference and a prediction.
    """
    methods = parse_methods(request.predicted)
    rules = Rules(
        preset=PRESETS[request.preset],
        connectivity=request.connectivity,
        min_score=request.min_score,
        thresholds=tuple(sorted(set(request.thresholds))),
    )
    summary = evaluate_folders(
        methods,
        request.reference,
        request.output_dir,
        rules,
        request.nprocs,
        request.random_seed,
        participants=request.participant_label,
        excluded=request.exclude_participant_label,
    )
    print(summary, flush=True)
    return summary.code


def evaluate_folders(
    methods: Sequence[Method],
    reference: Path,
    out_dir: Path,
    rules: Rules,
    nprocs: int | None = None,
    seed: int = 0,
    *,
    participants: Sequence[str] = (),
    excluded: Sequence[str] = (),
) -> Summary:
    """Evaluate methods on the sessions of a reference; print and write everything.

    Parameters
    ----------
    methods
        Methods with the folders of their predictions.
    reference
        Folder of the reference.
    out_dir
        Folder that gets tables, figures and page.
    rules
        How sessions are evaluated.
    nprocs
        Sessions at a time; ``None`` is as many as the machine has room for.
    seed
        Of the bootstrap.
    participants, excluded
        Labels of those to evaluate (all where none is given), and of those not to.

    Raises
    ------
    NoInputError
        No session has both a reference and a prediction.
    """
    evaluation = evaluate_methods(
        methods, reference, rules, nprocs, participants=participants, excluded=excluded
    )
    command = shlex.join(["cmb_bidsapp", *sys.argv[1:]])
    tables, written = write_results(out_dir, evaluation, command, seed)
    if evaluation.results:
        written += write_evaluation_report(out_dir, evaluation, tables, written, command)
    for session in evaluation.excluded:
        print(session)
    for path in written:
        print(f"written: {path}")
    return evaluation.summary()


def evaluate_output(out_dir: Path, reference: Path, nprocs: int, seed: int) -> Summary:
    """Evaluate an output folder of this app, as a part of its group level.

    Everything goes into ``group_evaluation``; ``group_metrics.tsv`` is its summary.

    Parameters
    ----------
    out_dir
        Output folder of the app.
    reference
        Folder of the reference.
    nprocs
        Sessions at a time.
    seed
        Of the bootstrap.
    """
    folder = out_dir / GROUP_FOLDER
    summary = evaluate_folders(
        [Method(out_dir.name, out_dir)], reference, folder, DEFAULT_RULES, nprocs, seed
    )
    for ending in (".tsv", ".json"):
        table = (folder / f"evaluation_summary{ending}").read_text(encoding="utf-8")
        write_text(out_dir / f"group_metrics{ending}", table)
    return summary
