"""An evaluation, as a verb of its own and as a part of the group level."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from cmb_bidsapp.bids.outputs import write_text
from cmb_bidsapp.core.defaults import GROUP_FOLDER
from cmb_bidsapp.core.errors import UsageError
from cmb_bidsapp.core.outcome import Summary
from cmb_bidsapp.evaluation.methods import Method, parse_methods
from cmb_bidsapp.evaluation.presets import DEFAULT_RULES, PRESETS, Rules
from cmb_bidsapp.evaluation.run import evaluate_methods, write_results
from cmb_bidsapp.report.evaluation import write_evaluation_report


def run_evaluation(given: argparse.Namespace) -> int:
    """Evaluate what the command line of the verb names.

    Raises
    ------
    UsageError
        An option is out of range, or a folder is not there.
    NoInputError
        No session has both a reference and a prediction.
    """
    methods = parse_methods(given.predicted)
    _check(given, methods)
    rules = Rules(
        PRESETS[given.preset],
        given.connectivity,
        given.min_score,
        tuple(sorted(set(given.thresholds))),
    )
    summary = evaluate_folders(
        methods,
        given.reference,
        given.output_dir,
        rules,
        given.nprocs,
        given.random_seed,
        participants=given.participant_label,
        excluded=given.exclude_participant_label,
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
    """
    folder = out_dir / GROUP_FOLDER
    summary = evaluate_folders(
        [Method(out_dir.name, out_dir)], reference, folder, DEFAULT_RULES, nprocs, seed
    )
    for ending in (".tsv", ".json"):
        table = (folder / f"evaluation_summary{ending}").read_text(encoding="utf-8")
        write_text(out_dir / f"group_metrics{ending}", table)
    return summary


def _check(given: argparse.Namespace, methods: Sequence[Method]) -> None:
    folders = [("REF_DERIVATIVES", given.reference)]
    folders += [("PREDICTIONS", method.folder) for method in methods]
    problems = [f"{name} {path}: not a folder" for name, path in folders if not path.is_dir()]
    out = given.output_dir.resolve()
    problems += [
        f"OUTPUT_DIR {out} lies in {path}; nothing is written into the inputs"
        for path in dict.fromkeys(path.resolve() for _, path in folders)
        if path in (out, *out.parents)
    ]
    problems += [
        f"--{name} {value:g}: between 0 and 1 is expected"
        for name, values in (
            ("thresholds", given.thresholds),
            ("min-score", [given.min_score]),
        )
        for value in values
        if not 0 < value < 1
    ]
    if given.nprocs is not None and given.nprocs < 1:
        problems.append(f"--nprocs {given.nprocs}: at least 1 is expected")
    if given.random_seed < 0:
        problems.append(f"--random-seed {given.random_seed}: 0 or more is expected")
    if problems:
        raise UsageError("\n".join(problems))
