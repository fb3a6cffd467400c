"""The options of the verb doctor: those of a run that ask something of the machine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from cmb_bidsapp.core.defaults import LESION_MODEL
from cmb_bidsapp.core.errors import UsageError
from cmb_bidsapp.core.resources import parse_memory
from cmb_bidsapp.options.parser import BRAIN_EXTRACTIONS, PARCELLATIONS, Parser

if TYPE_CHECKING:
    from cmb_bidsapp.levels.doctor import Needs


def doctor_parser() -> argparse.ArgumentParser:
    """Parser of the ``doctor`` verb."""
    parser = Parser(
        prog="cmb_bidsapp doctor",
        description="Tell what this machine or image has and lacks. Exit code 0, or that of what "
        "is lacking (1 where several have different ones); docs/troubleshooting.md has each line.",
    )
    parser.add_argument(
        "output_dir", nargs="?", type=Path, metavar="OUTPUT_DIR", help="look at its room, too"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    wanted = parser.add_argument_group("as the run will have them")
    wanted.add_argument("-w", "--work-dir", type=Path, metavar="DIR", help="scratch")
    wanted.add_argument("--model", default=LESION_MODEL, metavar="NAME|DIR", help="(%(default)s)")
    wanted.add_argument("--brain-extraction", choices=BRAIN_EXTRACTIONS, default="auto")
    wanted.add_argument("--parcellation", choices=PARCELLATIONS, default="auto")
    wanted.add_argument("--fs-license-file", type=Path, metavar="FILE")
    wanted.add_argument("--device", default="auto", metavar="{auto,cpu,cuda,cuda:N}")
    wanted.add_argument("--nprocs", type=int, metavar="N", help="cores")
    wanted.add_argument("--mem", metavar="MB", help="memory: 8000 (MB), 8G, 1.5GB")
    return parser


def needs_of(given: argparse.Namespace) -> Needs:
    """What a parsed command line asks for.

    Raises
    ------
    UsageError
        A number is none.
    """
    from cmb_bidsapp.levels.doctor import Needs

    try:
        memory = parse_memory(given.mem) if given.mem else None
    except ValueError as error:
        raise UsageError(f"--mem: {error}") from error
    if given.nprocs is not None and given.nprocs < 1:
        raise UsageError(f"--nprocs {given.nprocs}: at least 1 is expected")
    return Needs(
        out_dir=given.output_dir,
        work_dir=given.work_dir,
        model=given.model,
        parcellation=given.parcellation,
        brain_extraction=given.brain_extraction,
        device=given.device,
        memory_mb=memory,
        cores=given.nprocs,
        licence_file=given.fs_license_file,
    )
