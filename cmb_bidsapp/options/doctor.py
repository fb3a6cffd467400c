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
        description="Tell what this machine or image has and lacks. Exit code 0, or that of what "
        "is lacking (1 where several have different ones); docs/troubleshooting.md has each line.",
    )
    parser.add_argument(
        "output_dir", nargs="?", type=Path, metavar="OUTPUT_DIR", help="look at its room, too"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    wanted = parser.add_argument_group("as the run will have them")
    wanted.add_argument("-w", "--work-dir", type=Path, metavar="DIR", help="scratch")
    wanted.add_argument(
        "--model", default=LESION_MODEL, metavar="NAME|DIR", help="(default: %(default)s)"
    )
    wanted.add_argument("--brain-extraction", choices=BRAIN_EXTRACTIONS, default="auto")
    wanted.add_argument("--parcellation", choices=tuple(BACKENDS), default="auto")
    wanted.add_argument("--fs-license-file", type=Path, metavar="FILE")
    add_device(wanted)
    add_cores(wanted, what="cores in all")
    wanted.add_argument("--mem", metavar="MB", help="memory: 8000 (MB), 8G, 1.5GB")
    return parser


def read_doctor(arguments: Sequence[str]) -> DoctorRequest:
    """Parse and check a command line of the ``doctor`` verb."""
    return doctor_parser().request(DoctorRequest, arguments)
