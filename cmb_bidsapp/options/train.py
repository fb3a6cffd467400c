"""The options of the ``train`` verb, and the requests they make."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cmb_bidsapp.options.base import COUNT, NOT_NEGATIVE, Number, Parser, Range
from cmb_bidsapp.options.common import add_device, add_participants, add_seed
from cmb_bidsapp.train.request import (
    AnatomyRequest,
    CalibrationRequest,
    ImplantsRequest,
    LesionsRequest,
    SecondLookRequest,
)

TrainRequest = (
    AnatomyRequest | LesionsRequest | ImplantsRequest | SecondLookRequest | CalibrationRequest
)


def train_parser() -> Parser:
    """Parser of the ``train`` verb."""
    parser = Parser(
        prog="cmb_bidsapp train",
        description="Train the anatomy or the lesion network, or calibrate the latter.",
    )
    verbs = parser.add_subparsers(
        dest="what", required=True, metavar="{anatomy,lesions,implants,second-look,calibrate}"
    )
    anatomy = verbs.add_parser("anatomy", help="brain and structures, from label maps alone")
    anatomy.add_argument("label_maps", nargs="+", type=Path, metavar="LABEL_MAP")
    anatomy.add_argument("--steps", action=Number, type=int, within=COUNT, default=5400)
    add_seed(anatomy)
    lesions = verbs.add_parser("lesions", help="microbleeds and proxy regions, with nnU-Net")
    lesions.add_argument("derivatives", type=Path, help="images, proxy dseg and CMB masks")
    lesions.add_argument(
        "--masks",
        type=Path,
        metavar="DIR",
        help="derivatives that hold the CMB masks, where they are not those of DERIVATIVES",
    )
    lesions.add_argument(
        "--epochs", action=Number, type=int, within=COUNT, default=60, help="of 50 steps each"
    )
    lesions.add_argument(
        "--loss",
        choices=("topk", "ce"),
        default="topk",
        help="Dice + TopK10, as in the paper, or Dice + cross-entropy (default: %(default)s)",
    )
    lesions.add_argument(
        "--no-proxy",
        dest="proxy",
        action="store_false",
        help="microbleeds alone, without the regions (plain nnU-Net)",
    )
    lesions.add_argument(
        "--mimics",
        action="store_true",
        help="learn veins and calcifications as a class, where *_desc-mimics_dseg names them",
    )
    lesions.add_argument(
        "--patch-size",
        action=Number,
        type=int,
        within=COUNT,
        nargs=3,
        metavar=("SLICES", "ROWS", "COLUMNS"),
        help="voxels of a training patch (default: planned, or those of --start-from); smaller "
        "ones take less time a step",
    )
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
        add_device(one)
    implants = verbs.add_parser(
        "implants",
        help="training set: simulated microbleeds in scans that the app has processed",
        description="Draw simulated microbleeds into preprocessed scans. Every draw is a session "
        "of its participant, ready for train lesions.",
    )
    implants.add_argument(
        "derivatives", type=Path, metavar="DERIVATIVES", help="outputs of the app"
    )
    implants.add_argument("output_dir", type=Path, metavar="OUTPUT_DIR")
    implants.add_argument(
        "--masks",
        type=Path,
        metavar="DIR",
        help="derivatives with CMB masks of sessions in which every microbleed is labelled "
        "(default: none is; what the model suspects is ignored in training)",
    )
    implants.add_argument(
        "--draws",
        action=Number,
        type=int,
        within=COUNT,
        default=4,
        metavar="N",
        help="draws per session (default: %(default)s)",
    )
    implants.add_argument(
        "--microbleeds",
        action=Number,
        type=int,
        within=NOT_NEGATIVE,
        ordered=True,
        nargs=2,
        default=(25, 60),
        metavar=("MIN", "MAX"),
        help="sources in a whole brain, visible or not (default: 25 60)",
    )
    second = verbs.add_parser(
        "second-look",
        help="a small network that judges the candidates of a lesion model",
        description="Train a network that tells microbleeds from other dark places, and put it "
        "into the bundle of a lesion model. Thresholds and calibration have to be chosen anew.",
    )
    second.add_argument("derivatives", type=Path, help="output folder of the app, or truth")
    second.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder of the lesion model")
    second.add_argument(
        "--masks",
        type=Path,
        metavar="DIR",
        help="masks of all microbleeds, as for train lesions (default: nobody has labelled any)",
    )
    second.add_argument(
        "--also",
        nargs="+",
        type=Path,
        default=[],
        metavar="DIR",
        help="folders of further labelled scans, simulated ones for instance, masks beside the "
        "images; no fold leaves them out",
    )
    second.add_argument(
        "--add",
        action="store_true",
        help="add the judges to those that the bundle has; without it they take their place",
    )
    second.add_argument(
        "--mimics-only",
        action="store_true",
        help="learn what places are that are no microbleeds (vessels, iron, ...), and leave "
        "judges, thresholds and calibration of the bundle as they are",
    )
    second.add_argument(
        "--steps",
        action=Number,
        type=int,
        within=COUNT,
        default=2800,
        metavar="N",
        help="of 128 places, for each of its judges (default: %(default)s)",
    )
    calibrate = verbs.add_parser(
        "calibrate",
        help="how likely the candidates of a lesion model are microbleeds",
        description="Fit what share of candidates of a probability are microbleeds, and write it "
        "into the card of the model.",
    )
    for one in (lesions, second):
        one.add_argument(
            "--fold",
            type=int,
            metavar="N",
            help="leave out part N (from 0) of the participants, for cross-validation "
            "(default: none)",
        )
        one.add_argument(
            "--folds",
            action=Number,
            type=int,
            within=Range(low=2),
            default=5,
            metavar="N",
            help="number of parts (default: %(default)s)",
        )
    for one in (lesions, implants, second):
        add_participants(one)
        add_seed(one)
    calibrate.add_argument(
        "bundle", type=Path, metavar="BUNDLE", help="folder of the lesion model; its card changes"
    )
    calibrate.add_argument(
        "evaluation",
        type=Path,
        metavar="EVALUATION",
        help="OUTPUT_DIR of evaluate for a run of that model on scans it was not trained on",
    )
    for one, kind in (
        (anatomy, AnatomyRequest),
        (lesions, LesionsRequest),
        (implants, ImplantsRequest),
        (second, SecondLookRequest),
        (calibrate, CalibrationRequest),
    ):
        one.set_defaults(kind=kind)
    return parser


def read_training(arguments: Sequence[str]) -> TrainRequest:
    """Parse and check a command line of the ``train`` verb."""
    parser = train_parser()
    given = parser.parse_args(arguments)
    request: TrainRequest = parser.checked(given.kind, given)
    return request
