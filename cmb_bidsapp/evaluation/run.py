"""An evaluation from folders to files: sessions, numbers, tables, figures, page."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cmb_bidsapp import __version__
from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import write_json, write_text
from cmb_bidsapp.evaluation.defaults import GROUP_FOLDER
from cmb_bidsapp.evaluation.methods import Method, parse_methods
from cmb_bidsapp.evaluation.pool import Failure, Task, evaluate_all
from cmb_bidsapp.evaluation.predictions import Given
from cmb_bidsapp.evaluation.presets import DEFAULT_RULES, PRESETS, Rules
from cmb_bidsapp.evaluation.results import SessionResult
from cmb_bidsapp.evaluation.session import find_sessions
from cmb_bidsapp.runtime.errors import ExitCode, NoInputError, UsageError


@dataclass(frozen=True)
class Ended:
    """How an evaluation ended: sessions of all methods together, and the exit code."""

    ok: int
    failed: int
    skipped: int
    code: int


@dataclass(frozen=True)
class Aside:
    """A session of a method that is in no figure, and why."""

    method: str
    files: SessionFiles
    status: str
    reason: str | None = None

    def __str__(self) -> str:
        why = self.reason or self.status.replace("-", " ")
        return f"{self.method}: {self.files.label}: {why}; not in the figures"


def run_evaluation(given: argparse.Namespace) -> int:
    """Evaluate what the command line of the verb names.

    Raises
    ------
    UsageError
        An option is out of range, or a folder is not there.
    NoInputError
        No session has both a reference and a prediction.
    """
    from cmb_bidsapp.cli import result_line

    methods = parse_methods(given.predicted)
    _check(given, methods)
    rules = Rules(
        PRESETS[given.preset],
        given.connectivity,
        given.min_score,
        tuple(sorted(set(given.thresholds))),
    )
    ended = evaluate_folders(
        methods, given.reference, given.output_dir, rules, given.nprocs, given.random_seed
    )
    print(result_line(ended.ok, ended.failed, ended.skipped, ended.code), flush=True)
    return ended.code


def evaluate_folders(
    methods: Sequence[Method],
    reference: Path,
    out_dir: Path,
    rules: Rules,
    nprocs: int | None = None,
    seed: int = 0,
) -> Ended:
    """Evaluate methods on the sessions of a reference; print and write everything.

    Parameters
    ----------
    nprocs
        Sessions at a time; ``None`` is as many as the machine has room for.
    seed
        Of the bootstrap.

    Raises
    ------
    NoInputError
        No session has both a reference and a prediction.
    """
    truths, left_out = find_sessions(reference)
    found: dict[str, dict[str, Given]] = {}
    for method in methods:
        found[method.name], more = method.find()
        left_out += more
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
            "*_space-T2starw_label-CMB_mask.nii.gz"
        )
    results, failures = evaluate_all(tasks, nprocs)
    results.sort(key=lambda result: list(found).index(result.method))
    asides = _asides(found, truths, failures)
    written = _write(out_dir, results, asides, rules, seed)
    for aside in asides:
        print(aside)
    for path in written:
        print(f"written: {path}")
    skipped = sum(aside.status == "no-reference" for aside in asides)
    bad = len(asides) - skipped
    return Ended(len(results), bad, skipped, _exit_code(failures, len(results), bad))


def evaluate_output(out_dir: Path, reference: Path, nprocs: int, seed: int) -> Ended:
    """Evaluate an output folder of this app, as a part of its group level.

    Everything goes into ``group_evaluation``; ``group_metrics.tsv`` is its summary.
    """
    folder = out_dir / GROUP_FOLDER
    ended = evaluate_folders(
        [Method(out_dir.name, out_dir)], reference, folder, DEFAULT_RULES, nprocs, seed
    )
    for ending in (".tsv", ".json"):
        summary = (folder / f"evaluation_summary{ending}").read_text(encoding="utf-8")
        write_text(out_dir / f"group_metrics{ending}", summary)
    return ended


def _asides(
    found: Mapping[str, Mapping[str, Given]],
    truths: Mapping[str, Given],
    failures: Sequence[Failure],
) -> list[Aside]:
    asides = []
    for name, own in found.items():
        lacking = [files for label, files in truths.items() if label not in own]
        foreign = [files for label, files in own.items() if label not in truths]
        asides += [Aside(name, files, "no-prediction") for files in lacking]
        asides += [Aside(name, files, "no-reference") for files in foreign]
    return asides + [Aside(f.method, f.files, "failed", f.reason) for f in failures]


def _write(
    out_dir: Path,
    results: Sequence[SessionResult],
    asides: Sequence[Aside],
    rules: Rules,
    seed: int,
) -> list[Path]:
    """Write tables, figures, page and settings; print the blocks of the page."""
    from cmb_bidsapp.evaluation.blocks import as_text
    from cmb_bidsapp.evaluation.figures import write_figures
    from cmb_bidsapp.evaluation.page import blocks_of
    from cmb_bidsapp.evaluation.tables import tables_of, write_tables
    from cmb_bidsapp.group.tables import identity
    from cmb_bidsapp.report.pages import picture, write_page

    others = [
        {
            "method": aside.method,
            **identity(aside.files.participant, aside.files.session),
            "status": aside.status,
            "reason": aside.reason,
        }
        for aside in asides
    ]
    tables = tables_of(results, others, seed)
    written = write_tables(out_dir, tables, results)
    command = shlex.join(["cmb_bidsapp", *sys.argv[1:]])
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
    if not results:
        return [*written, settings]
    blocks = blocks_of(tables)
    print(f"\nPreset {rules.preset.name}: {rules.preset.text}.\n\n{as_text(blocks)}\n")
    figures = write_figures(out_dir, tables)
    page = out_dir / "evaluation.html"
    methods = list(dict.fromkeys(result.method for result in results))
    write_page(
        page,
        "evaluation.html",
        blocks=blocks,
        figures={name: picture(figure) for name, figure in figures.items()},
        methods=methods,
        sessions=len({(result.participant, result.session) for result in results}),
        preset=rules.preset,
        problems=[str(aside) for aside in asides],
        paths=[path.name for path in (*written, settings, *figures.values())],
        command=command,
    )
    return [*written, settings, *figures.values(), page]


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


def _exit_code(failures: Sequence[Failure], evaluated: int, bad: int) -> int:
    """0; the common code when everything failed for one reason; else 1."""
    codes = {failure.code for failure in failures}
    if len(codes) == 1 and not evaluated and bad == len(failures):
        return codes.pop()
    return ExitCode.SOME_FAILED if bad else ExitCode.OK
