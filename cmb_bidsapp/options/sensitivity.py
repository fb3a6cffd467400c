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
        description="Measure what share of microbleeds is found in scans that the app has "
        "processed: simulated ones of known size are drawn into them, and all decisions are made "
        "as they were made for the session. Counts and masks stay as they are.",
    )
    parser.add_argument(
        "output_dir", type=Path, metavar="OUTPUT_DIR", help="of the participant level"
    )
    parser.add_argument(
        "--draws",
        action=Number,
        type=int,
        within=COUNT,
        default=2,
        metavar="N",
        help="how often microbleeds are drawn into each scan, about 40 at a time "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--model",
        metavar="NAME|DIR",
        help="the lesion model that made the results (default: the packaged one that did)",
    )
    parser.add_argument(
        "--folds", nargs="+", default=(), metavar="FOLD", help="as at the participant level"
    )
    add_cores(parser, what="cores in all (default: what is available)")
    add_device(parser)
    parser.add_argument("--force", action="store_true", help="measure again what is up to date")
    add_seed(parser)
    add_participants(parser)
    return parser


def read_sensitivity(arguments: Sequence[str]) -> SensitivityRequest:
    """Parse and check a command line of the ``sensitivity`` verb."""
    return sensitivity_parser().request(SensitivityRequest, arguments)
