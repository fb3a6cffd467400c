"""The options of the verb that adapts a lesion model to a site's scans."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cmb_bidsapp.core.defaults import LESION_MODEL
from cmb_bidsapp.options.base import COUNT, Number, Parser
from cmb_bidsapp.options.common import add_device, add_participants, add_seed
from cmb_bidsapp.train.request import AdaptRequest


def adapt_parser() -> Parser:
    """Parser of the ``adapt`` verb."""
    parser = Parser(
        prog="cmb_bidsapp adapt",
        description="Adapt the judges of a lesion model's candidates to scans that the app has "
        "processed, without any label: simulated microbleeds are mixed into them. A third of the "
        "participants is held back to measure what is gained; where nothing is, no bundle is "
        "written (exit code 3).",
    )
    parser.add_argument(
        "derivatives", type=Path, metavar="OUTPUT_DIR", help="of the participant level"
    )
    parser.add_argument(
        "--output-dir", type=Path, required=True, metavar="BUNDLE", help="the bundle is made here"
    )
    parser.add_argument(
        "--work-dir",
        type=Path,
        metavar="DIR",
        help="what is made on the way; an interrupted adaptation goes on (default: BUNDLE-work)",
    )
    parser.add_argument(
        "--model",
        default=LESION_MODEL,
        metavar="NAME|DIR",
        help="the lesion model that is adapted, which made the results (default: %(default)s)",
    )
    parser.add_argument(
        "--ratings",
        type=Path,
        metavar="DIR",
        help="*_ratings.tsv that readers exported from the participant reports: what they call a "
        "microbleed, and what none, is learned as such (default: no label is used)",
    )
    parser.add_argument(
        "--name", help="name of the adapted model in its card (default: with -adapted)"
    )
    parser.add_argument(
        "--steps",
        action=Number,
        type=int,
        within=COUNT,
        default=300,
        metavar="N",
        help="of 128 places, for each of its judges; every 50 it is measured, and the best is "
        "taken (default: %(default)s)",
    )
    add_device(parser)
    add_seed(parser)
    add_participants(parser)
    return parser


def read_adaptation(arguments: Sequence[str]) -> AdaptRequest:
    """Parse and check a command line of the ``adapt`` verb."""
    return adapt_parser().request(AdaptRequest, arguments)
