"""From a parsed command line, and what this machine has, to frozen settings."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from cmb_bidsapp.anatomy.templates import Space
from cmb_bidsapp.bids.filters import plain_labels, read_filters
from cmb_bidsapp.core import resources
from cmb_bidsapp.core.defaults import THRESHOLD
from cmb_bidsapp.core.errors import UnavailableError, UsageError
from cmb_bidsapp.models.registry import threshold_of
from cmb_bidsapp.options.parser import LEVELS, build_parser
from cmb_bidsapp.settings import (
    Anatomy,
    Clinical,
    Decisions,
    Lesions,
    Resources,
    Selection,
    Settings,
)

T = TypeVar("T")


def read_settings(arguments: Sequence[str]) -> Settings:
    """Parse and check a command line, see :func:`resolve`."""
    return resolve(build_parser().parse_args(arguments))


def resolve(given: argparse.Namespace) -> Settings:
    """Check what a command line asks for against this machine; all problems are reported at once.

    Raises
    ------
    UsageError
        One line per problem, each with what was expected.
    """
    problems: list[str] = []

    def checked(build: Callable[[], T], otherwise: T) -> T:
        try:
            return build()
        except (UsageError, ValueError, OSError) as error:
            problems.append(str(error))
            return otherwise

    def expect(holds: bool, text: str) -> None:
        if not holds:
            problems.append(text)

    bids_dir, out_dir = given.bids_dir.resolve(), given.output_dir.resolve()
    expect(
        "participant" not in given.level or bids_dir.is_dir(), f"BIDS_DIR {bids_dir}: not a folder"
    )
    expect(out_dir != bids_dir, "OUTPUT_DIR is BIDS_DIR; nothing is written into the dataset")
    inside = (
        bids_dir in out_dir.parents and "derivatives" not in out_dir.relative_to(bids_dir).parts
    )
    expect(not inside, f"OUTPUT_DIR {out_dir} lies inside BIDS_DIR; use BIDS_DIR/derivatives/NAME")
    for option, path in (("-w", given.work_dir), ("--bids-database-dir", given.bids_database_dir)):
        if path is not None:
            expect(
                bids_dir not in [path.resolve(), *path.resolve().parents],
                f"{option} {path} lies inside BIDS_DIR",
            )
    threshold = THRESHOLD if given.threshold is None else given.threshold
    expect(0 < threshold < 1, f"--threshold {given.threshold}: between 0 and 1 is expected")
    expect(
        given.threshold is None or given.operating_point is None,
        "--threshold and --operating-point exclude each other; give one of them",
    )
    expect(0 <= given.cfpr_ratio <= 1, f"--cfpr-ratio {given.cfpr_ratio}: 0 to 1 is expected")
    expect(0 < given.cfpr_radius <= 20, f"--cfpr-radius {given.cfpr_radius}: up to 20 mm")
    expect(0 <= given.min_size < math.inf, f"--min-size {given.min_size}: 0 mm or more is expected")
    expect(
        given.baseline_limit >= 0, f"--baseline-limit {given.baseline_limit}: 0 or more is expected"
    )
    for fold in given.folds:
        expect(
            fold == "all" or (fold.isascii() and fold.isdigit()),
            f"--folds {fold}: a number or all is expected",
        )
    for option, value in (("--nprocs", given.nprocs), ("--omp-nthreads", given.omp_nthreads)):
        expect(value is None or value > 0, f"{option} {value}: at least 1 is expected")

    nobody: tuple[str, ...] = ()
    unfiltered: dict[str, dict[str, Any]] = {}
    participants = checked(
        lambda: _labels("--participant-label", given.participant_label, "sub-"), nobody
    )
    excluded = checked(
        lambda: _labels("--exclude-participant-label", given.exclude_participant_label, "sub-"),
        nobody,
    )
    sessions = checked(lambda: _labels("--session-label", given.session_label, "ses-"), nobody)
    filters = checked(
        lambda: read_filters(given.bids_filter_file) if given.bids_filter_file else unfiltered,
        unfiltered,
    )
    nothing: tuple[Path, ...] = ()
    derivatives = checked(lambda: _folders(given.derivatives), nothing)
    spaces = checked(lambda: _spaces(given.output_spaces), nobody)
    for option, folder in (
        ("--reference-derivatives", given.reference_derivatives),
        ("--ratings", given.ratings),
    ):
        expect(folder is None or folder.is_dir(), f"{option} {folder}: not a folder")
        expect(
            folder is None or "group" in given.level,
            f"{option}: has no meaning without the group level",
        )
    for option, path in (
        ("--jhu-atlas", given.jhu_atlas),
        ("--fs-license-file", given.fs_license_file),
    ):
        expect(path is None or path.is_file(), f"{option} {path}: not a file")
    expect(
        not (given.fs_no_reconall and given.parcellation == "synthseg"),
        "--fs-no-reconall: has no meaning with --parcellation synthseg",
    )
    cpus, memory = resources.available_cpus(), resources.available_memory_mb()
    megabytes = checked(
        lambda: resources.parse_memory(given.mem) if given.mem else memory.value, memory.value
    )
    expect(megabytes > 0, f"--mem {given.mem}: more than 0 is expected")
    timeout = given.step_timeout
    expect(timeout is None or 0 < timeout < math.inf, f"--step-timeout {timeout}: minutes, above 0")
    expect(given.random_seed >= 0, f"--random-seed {given.random_seed}: 0 or more is expected")
    device, absent = "cpu", None
    try:
        device = choose_device(given.device)
    except UsageError as error:
        problems.append(str(error))
    except UnavailableError as error:
        absent = error
    if problems:
        raise UsageError("\n".join([*problems, *([str(absent)] if absent else [])]))
    if absent is not None:
        raise absent
    if given.threshold is None and "participant" in given.level:
        threshold = threshold_of(given.model, given.operating_point)
    processes, threads = resources.share(given.nprocs or cpus.value, megabytes, given.omp_nthreads)
    print(
        f"{processes} session(s) at a time, {threads} thread(s) each, on {device} "
        f"({'--nprocs' if given.nprocs else cpus.reason}; "
        f"{megabytes} MB: {'--mem' if given.mem else memory.reason})"
    )
    return Settings(
        bids_dir=bids_dir,
        out_dir=out_dir,
        levels=tuple(level for level in LEVELS if level in given.level),
        work_dir=given.work_dir,
        selection=Selection(
            participants=participants,
            excluded=excluded,
            sessions=sessions,
            filters=filters,
        ),
        anatomy=Anatomy(
            brain_extraction=given.brain_extraction,
            parcellation=given.parcellation,
            proxy_rules=given.proxy_rules,
            jhu_atlas=given.jhu_atlas,
            derivatives=derivatives,
            subjects_dir=given.fs_subjects_dir,
            licence_file=given.fs_license_file,
            run_reconall=not given.fs_no_reconall,
            resume_reconall=not given.fs_no_resume,
        ),
        lesions=Lesions(given.model, given.tta, tuple(given.folds)),
        decisions=Decisions(
            threshold=threshold,
            cfpr=given.cfpr,
            cfpr_mode=given.cfpr_mode,
            cfpr_radius=given.cfpr_radius,
            cfpr_ratio=given.cfpr_ratio,
            min_size=given.min_size,
        ),
        clinical=Clinical(given.baseline_limit),
        reference=given.reference_derivatives,
        ratings=given.ratings,
        output_spaces=spaces,
        resources=Resources(
            processes=processes, threads=threads, device=device, step_timeout=given.step_timeout
        ),
        bids_database_dir=given.bids_database_dir,
        dry_run=given.dry_run,
        force=given.force,
        stop_on_first_crash=given.stop_on_first_crash,
        seed=given.random_seed,
    )


def _spaces(given: Sequence[str]) -> tuple[str, ...]:
    """Standard spaces, each once, with their resolution."""
    if not given:
        return ()
    return tuple(dict.fromkeys(str(Space.parse(text)) for text in given))


def choose_device(wanted: str) -> str:
    """Turn ``--device`` into one torch understands; ``auto`` falls back to the CPU.

    Raises
    ------
    UnavailableError
        CUDA was asked for and there is none.
    UsageError
        It is no device at all.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", wanted):
        raise UsageError(f"--device {wanted}: auto, cpu, cuda or cuda:N is expected")
    found = 0 if wanted == "cpu" else resources.cuda_devices()
    if wanted == "cpu" or (wanted == "auto" and not found):
        return "cpu"
    if wanted == "auto":
        return "cuda"
    number = int(wanted.partition(":")[2] or 0)
    if number >= found:
        raise UnavailableError(
            f"--device {wanted}: {found} CUDA device(s) here; containers need --gpus all (docker) "
            "or --nv (apptainer)"
        )
    return wanted


def _labels(option: str, values: Sequence[str], prefix: str) -> tuple[str, ...]:
    """Labels of an option; a file or variable that is empty must not mean everybody."""
    found = plain_labels(_expand(values), prefix)
    if values and not found:
        raise UsageError(f"{option}: a label is expected, and none was given")
    return found


def _expand(values: Sequence[str]) -> list[str]:
    """Replace ``@FILE`` by the words of the file."""
    words: list[str] = []
    for value in values:
        if value.startswith("@"):
            try:
                words += Path(value[1:]).read_text(encoding="utf-8-sig").split()
            except (OSError, ValueError) as error:
                raise UsageError(f"{value}: a text file of labels is expected ({error})") from error
        else:
            words.append(value)
    return words


def _folders(values: Sequence[str]) -> tuple[Path, ...]:
    """Folders of ``NAME=PATH`` or plain ``PATH``; the name is for people."""
    folders = []
    for value in values:
        path = Path(value)
        if not path.exists() and "=" in value:
            path = Path(value.partition("=")[2])
        if not path.is_dir():
            raise UsageError(f"-d {value}: NAME=PATH of a folder is expected")
        folders.append(path.resolve())
    return tuple(folders)
