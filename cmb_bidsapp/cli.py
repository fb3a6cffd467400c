"""The command line: arguments in, one frozen Settings out; nothing heavy is imported here."""

from __future__ import annotations

import math
import os
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cmb_bidsapp.parser import LEVELS, Parser, build_parser
from cmb_bidsapp.runtime.errors import (
    AppError,
    ExitCode,
    UnavailableError,
    UsageError,
    classify,
)

if TYPE_CHECKING:
    from cmb_bidsapp.levels import Summary
    from cmb_bidsapp.settings import Settings

T = TypeVar("T")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    verbs: dict[str, Callable[[list[str]], int]] = {
        "demo": _demo,
        "simulate": _simulate,
        "train": _train,
    }
    try:
        if arguments and arguments[0] in verbs:
            return verbs[arguments[0]](arguments[1:])
        return _bids_app(arguments)
    except SystemExit as leave:
        return int(leave.code or 0)
    except BaseException as error:
        code, message = classify(error)
        if "--debug" in arguments and not isinstance(error, AppError | KeyboardInterrupt):
            raise
        for line in message.splitlines():
            print(f"cmb_bidsapp: {line}", file=sys.stderr)
        if not isinstance(error, UsageError):
            print(result_line(0, 0, 0, code), flush=True)
        return int(code)


def result_line(ok: int, failed: int, skipped: int, code: int) -> str:
    """The last line on standard output, for scripts."""
    return f"CMB-BIDSAPP RESULT ok={ok} failed={failed} skipped={skipped} exit={int(code)}"


def read_settings(arguments: Sequence[str]) -> Settings:
    """Parse and check a command line; all problems are reported at once.

    Raises
    ------
    UsageError
        One line per problem, each with what was expected.
    """
    from cmb_bidsapp.bids.filters import plain_labels, read_filters
    from cmb_bidsapp.runtime import resources
    from cmb_bidsapp.settings import Anatomy, Decisions, Lesions, Resources, Selection, Settings

    given = build_parser().parse_args(arguments)
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
    expect(0 < given.threshold < 1, f"--threshold {given.threshold}: between 0 and 1 is expected")
    expect(0 <= given.cfpr_ratio <= 1, f"--cfpr-ratio {given.cfpr_ratio}: 0 to 1 is expected")
    expect(0 < given.cfpr_radius <= 20, f"--cfpr-radius {given.cfpr_radius}: up to 20 mm")
    expect(0 <= given.min_size < math.inf, f"--min-size {given.min_size}: 0 mm or more is expected")
    for option, value in (("--nprocs", given.nprocs), ("--omp-nthreads", given.omp_nthreads)):
        expect(value is None or value > 0, f"{option} {value}: at least 1 is expected")

    nobody: tuple[str, ...] = ()
    unfiltered: dict[str, dict[str, Any]] = {}
    participants = checked(lambda: plain_labels(_expand(given.participant_label), "sub-"), nobody)
    excluded = checked(
        lambda: plain_labels(_expand(given.exclude_participant_label), "sub-"), nobody
    )
    filters = checked(
        lambda: read_filters(given.bids_filter_file) if given.bids_filter_file else unfiltered,
        unfiltered,
    )
    cpus, memory = resources.available_cpus(), resources.available_memory_mb()
    megabytes = checked(
        lambda: resources.parse_memory(given.mem) if given.mem else memory.value, memory.value
    )
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
            participants, excluded, plain_labels(given.session_label, "ses-"), filters
        ),
        anatomy=Anatomy(given.brain_extraction, given.parcellation),
        lesions=Lesions(given.model, given.tta),
        decisions=Decisions(
            given.threshold, given.cfpr, given.cfpr_radius, given.cfpr_ratio, given.min_size
        ),
        resources=Resources(processes, threads, device),
        bids_database_dir=given.bids_database_dir,
        dry_run=given.dry_run,
        force=given.force,
        stop_on_first_crash=given.stop_on_first_crash,
        seed=given.random_seed,
    )


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
    # A machine without the driver's device node has no CUDA; torch need not be asked.
    present = any(Path(node).exists() for node in ("/dev/nvidia0", "/dev/nvidiactl", "/dev/dxg"))
    if wanted == "cpu" or (wanted == "auto" and not present):
        return "cpu"
    found = 0
    if present:
        import torch

        found = torch.cuda.device_count()
    if wanted == "auto":
        return "cuda" if found else "cpu"
    number = int(wanted.partition(":")[2] or 0)
    if number >= found:
        raise UnavailableError(
            f"--device {wanted}: {found} CUDA device(s) here; containers need --gpus all (docker) "
            "or --nv (apptainer)"
        )
    return wanted


def _expand(values: Sequence[str]) -> list[str]:
    """Replace ``@FILE`` by the words of the file."""
    words: list[str] = []
    for value in values:
        if value.startswith("@"):
            words += Path(value[1:]).read_text(encoding="utf-8").split()
        else:
            words.append(value)
    return words


def _bids_app(arguments: list[str]) -> int:
    settings = read_settings(arguments)
    if settings.work_dir is not None:
        settings.work_dir.mkdir(parents=True, exist_ok=True)
        os.environ["TMPDIR"] = tempfile.tempdir = str(settings.work_dir.absolute())
    summary = run_levels(settings)
    print(result_line(summary.ok, summary.failed, summary.skipped, summary.code), flush=True)
    return int(summary.code)


def run_levels(settings: Settings) -> Summary:
    """Run the levels in order; the group level follows a participant level that failed in part."""
    from rich.console import Console

    from cmb_bidsapp import levels

    console = Console()
    first = levels.Summary()
    if "participant" in settings.levels:
        first = levels.participant(settings, console)
        if "group" not in settings.levels or settings.dry_run:
            return first
    collected = levels.group(settings, console)
    if "participant" not in settings.levels:
        return collected
    code = first.code or collected.code
    return levels.Summary(first.ok, first.failed, first.skipped, code)


def _demo(arguments: list[str]) -> int:
    parser = Parser(
        prog="cmb_bidsapp demo",
        description="Make a small dataset with known microbleeds, run the app on it, show results.",
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path("cmb_demo"))
    given = parser.parse_args(arguments)
    from cmb_bidsapp.demo import run_demo

    return run_demo(given.folder)


def _simulate(arguments: list[str]) -> int:
    parser = Parser(
        prog="cmb_bidsapp simulate",
        description="Simulate T1w and T2*w images with microbleeds, veins and calcifications "
        "as a BIDS dataset, with the truth as derivatives.",
    )
    parser.add_argument("output_dir", type=Path, metavar="OUTPUT_DIR")
    parser.add_argument(
        "--label-maps",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="FreeSurfer-numbered heads, 1 mm (a head made from the packaged atlas)",
    )
    parser.add_argument("--participants", type=int, default=2, metavar="N")
    parser.add_argument(
        "--protocol",
        nargs="+",
        default=["paper"],
        metavar="NAME",
        help="acquisitions, taken in turn: paper, gre3t4mm, gre15t5mm, gre3t3mm, swi3t, gre15t3d",
    )
    parser.add_argument(
        "--microbleeds",
        type=int,
        nargs=2,
        default=(0, 10),
        metavar=("MIN", "MAX"),
        help="sources per session, visible or not",
    )
    parser.add_argument(
        "--free",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of sessions without any (%(default)s)",
    )
    parser.add_argument("--random-seed", type=int, default=0, metavar="N")
    given = parser.parse_args(arguments)
    from cmb_bidsapp.simulate.anatomy import atlas_head, read_head
    from cmb_bidsapp.simulate.dataset import simulate_dataset
    from cmb_bidsapp.simulate.physics import PROTOCOLS

    unknown = sorted(set(given.protocol) - set(PROTOCOLS))
    if unknown:
        raise UsageError(f"--protocol {', '.join(unknown)}: one of {', '.join(PROTOCOLS)}")
    low, high = given.microbleeds
    if not 0 <= low <= high:
        raise UsageError(f"--microbleeds {low} {high}: 0 <= MIN <= MAX is expected")
    if not 0 <= given.free <= 1:
        raise UsageError(f"--free {given.free}: 0 to 1 is expected")
    heads = [read_head(p) for p in given.label_maps] if given.label_maps else [atlas_head()]
    truth = simulate_dataset(
        heads,
        given.output_dir,
        participants=given.participants,
        protocols=given.protocol,
        counts=lambda rng: 0 if rng.random() < given.free else int(rng.integers(low, high + 1)),
        seed=given.random_seed,
        progress=lambda text: print(f"simulating {text}", flush=True),
    )
    print(f"images: {given.output_dir}\ntruth: {truth}")
    return ExitCode.OK


def _train(arguments: list[str]) -> int:
    parser = Parser(
        prog="cmb_bidsapp train", description="Train the anatomy or the lesion network."
    )
    verbs = parser.add_subparsers(dest="what", required=True, metavar="{anatomy,lesions}")
    anatomy = verbs.add_parser("anatomy", help="brain and structures, from label maps alone")
    anatomy.add_argument("label_maps", nargs="+", type=Path, metavar="LABEL_MAP")
    anatomy.add_argument("--steps", type=int, default=1290)
    lesions = verbs.add_parser("lesions", help="microbleeds and proxy regions, with nnU-Net")
    lesions.add_argument("derivatives", type=Path, help="images, proxy dseg and CMB masks")
    lesions.add_argument("--epochs", type=int, default=60, help="of 50 steps each")
    for one in (anatomy, lesions):
        one.add_argument("--output-dir", type=Path, required=True, help="the bundle is made here")
        one.add_argument("--work-dir", type=Path, required=True, help="checkpoints; resumable")
        one.add_argument("--name", required=True, help="name of the model in its card")
        one.add_argument("--version", default="1", help="version in its card")
        one.add_argument("--licence", default="not stated")
        one.add_argument("--training-data", default="not stated", help="statement for the card")
        one.add_argument(
            "--start-from", metavar="NAME|DIR", help="model whose weights training starts from"
        )
        one.add_argument("--device", default="auto")
    given = parser.parse_args(arguments)
    from cmb_bidsapp.train.run import run_training

    return run_training(given, choose_device(given.device))
