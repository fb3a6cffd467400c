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
        description="Adapt the second look of a lesion model (the networks that judge its "
        "candidates) to scans that the app has processed. No labels are needed: "
        "simulated microbleeds are mixed into the scans. A third of the participants is "
        "held out to measure the gain. Without a gain, no bundle is written (exit code "
        "3).",
    )
    parser.add_argument(
        "derivatives",
        type=Path,
        metavar="OUTPUT_DIR",
        help="output folder of the participant level",
    )
    parser.add_argument(
        "--output-dir",
        type=Path,
        required=True,
        metavar="BUNDLE",
        help="folder for the adapted bundle",
    )
    parser.add_argument(
        "--work-dir",
        type=Path,
        metavar="DIR",
        help="folder for intermediate files; an interrupted adaptation resumes from it "
        "(default: BUNDLE-work)",
    )
    parser.add_argument(
        "--model",
        default=LESION_MODEL,
        metavar="NAME|DIR",
        help="lesion model to adapt; it must have made the results (default: %(default)s)",
    )
    parser.add_argument(
        "--ratings",
        type=Path,
        metavar="DIR",
        help="folder of *_ratings.tsv files that readers exported from the participant "
        "reports; used as labels of microbleeds and non-microbleeds (default: no labels)",
    )
    parser.add_argument(
        "--name",
        help="name of the adapted model in its card (default: name of the model with -adapted)",
    )
    parser.add_argument(
        "--steps",
        action=Number,
        type=int,
        within=COUNT,
        default=300,
        metavar="N",
        help="most training steps of 128 places for each network of the second look. Every 25 "
        "steps the networks are tested together; training stops when they no longer improve, and "
        "the best state is used (default: %(default)s)",
    )
    add_device(
        parser,
        "where the nnU-Net runs; the second look is always trained on the CPU. auto: the GPU if "
        "there is one, otherwise the CPU",
    )
    add_seed(
        parser, "random seed for the held-out split, implants and training (default: %(default)s)"
    )
    add_participants(parser)
    return parser


def read_adaptation(arguments: Sequence[str]) -> AdaptRequest:
    """Parse and check a command line of the ``adapt`` verb."""
    return adapt_parser().request(AdaptRequest, arguments)
