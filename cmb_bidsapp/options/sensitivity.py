"""The options of the verb that measures what is found."""

from __future__ import annotations

import argparse
from pathlib import Path

from cmb_bidsapp.options.parser import Parser
from cmb_bidsapp.options.verbs import add_participants


def sensitivity_parser() -> argparse.ArgumentParser:
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
        type=int,
        default=2,
        metavar="N",
        help="how often microbleeds are drawn into each scan, about 40 at a time (%(default)s)",
    )
    parser.add_argument(
        "--model",
        metavar="NAME|DIR",
        help="the lesion model that made the results (default: the packaged one that did)",
    )
    parser.add_argument(
        "--folds", nargs="+", default=[], metavar="FOLD", help="as at the participant level"
    )
    parser.add_argument("--nprocs", type=int, metavar="N", help="cores in all (what is available)")
    parser.add_argument("--device", default="auto", metavar="{auto,cpu,cuda,cuda:N}")
    parser.add_argument("--force", action="store_true", help="measure again what is up to date")
    parser.add_argument("--random-seed", type=int, default=0, metavar="N")
    add_participants(parser)
    return parser
