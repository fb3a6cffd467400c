"""The options of the verb that measures what is found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cmb_bidsapp.options.base import COUNT, Number, Parser
from cmb_bidsapp.options.common import add_cores, add_device, add_participants, add_seed
from cmb_bidsapp.sensitivity.request import SensitivityRequest


def sensitivity_parser() -> Parser:
    """Parser of the ``sensitivity`` verb."""
    parser = Parser(
        prog="cmb_bidsapp sensitivity",
        description="Measure detection sensitivity in scans that the app has processed. Simulated "
        "microbleeds of known size are drawn into each scan, and the app makes all "
        "decisions with the settings of that session. Counts and masks do not change.",
    )
    parser.add_argument(
        "output_dir", type=Path, metavar="OUTPUT_DIR", help="output folder of the participant level"
    )
    parser.add_argument(
        "--draws",
        action=Number,
        type=int,
        within=COUNT,
        default=2,
        metavar="N",
        help="number of draws per scan, with about 40 simulated microbleeds each (default: "
        "%(default)s)",
    )
    parser.add_argument(
        "--model",
        metavar="NAME|DIR",
        help="lesion model that made the results (default: the packaged model named in the "
        "results)",
    )
    parser.add_argument(
        "--folds",
        nargs="+",
        default=(),
        metavar="FOLD",
        help="folds of an nnU-Net model folder, as at the participant level",
    )
    add_cores(parser, what="total number of CPU cores (default: all available)")
    add_device(parser)
    parser.add_argument(
        "--force", action="store_true", help="repeat measurements that are up to date"
    )
    add_seed(parser, "random seed of the simulated microbleeds (default: %(default)s)")
    add_participants(parser)
    return parser


def read_sensitivity(arguments: Sequence[str]) -> SensitivityRequest:
    """Parse and check a command line of the ``sensitivity`` verb."""
    return sensitivity_parser().request(SensitivityRequest, arguments)
