"""The options of the verb doctor: those of a run that ask something of the machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cmb_bidsapp.anatomy.backends import BACKENDS
from cmb_bidsapp.core.defaults import LESION_MODEL
from cmb_bidsapp.levels.request import DoctorRequest
from cmb_bidsapp.options.base import Parser
from cmb_bidsapp.options.common import add_cores, add_device
from cmb_bidsapp.options.parser import BRAIN_EXTRACTIONS


def doctor_parser() -> Parser:
    """Parser of the ``doctor`` verb."""
    parser = Parser(
        prog="cmb_bidsapp doctor",
        description="Check whether this machine or image can run the app. The exit code is 0 if "
        "nothing is missing, otherwise that of the missing part (1 if several parts "
        "differ). docs/troubleshooting.md explains each line.",
    )
    parser.add_argument(
        "output_dir",
        nargs="?",
        type=Path,
        metavar="OUTPUT_DIR",
        help="output folder; also check its free space",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    wanted = parser.add_argument_group("options of the planned run")
    wanted.add_argument("-w", "--work-dir", type=Path, metavar="DIR", help="working directory")
    wanted.add_argument(
        "--model",
        default=LESION_MODEL,
        metavar="NAME|DIR",
        help="lesion model (default: %(default)s)",
    )
    for option, choices, what in (
        ("--brain-extraction", BRAIN_EXTRACTIONS, "method of the brain extraction"),
        ("--parcellation", tuple(BACKENDS), "source of the parcellation"),
    ):
        wanted.add_argument(
            option, choices=choices, default="auto", help=f"{what} (default: %(default)s)"
        )
    wanted.add_argument(
        "--fs-license-file", type=Path, metavar="FILE", help="FreeSurfer license file"
    )
    add_device(wanted)
    add_cores(wanted, what="total number of CPU cores")
    wanted.add_argument("--mem", metavar="MB", help="memory limit: 8000 (MB), 8G or 1.5GB")
    return parser


def read_doctor(arguments: Sequence[str]) -> DoctorRequest:
    """Parse and check a command line of the ``doctor`` verb."""
    return doctor_parser().request(DoctorRequest, arguments)
