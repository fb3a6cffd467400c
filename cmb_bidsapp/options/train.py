"""The options of the ``train`` verb, and the requests they make."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, _SubParsersAction
from collections.abc import Sequence
from pathlib import Path

from cmb_bidsapp.options.base import COUNT, NOT_NEGATIVE, Number, Parser, Range
from cmb_bidsapp.options.common import add_device, add_participants, add_seed
from cmb_bidsapp.train.request import (
    LOSSES,
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
        description="Train the anatomy or lesion network, or calibrate the lesion model.",
    )
    verbs = parser.add_subparsers(
        dest="what", required=True, metavar="{anatomy,lesions,implants,second-look,calibrate}"
    )
    for add in (_add_anatomy, _add_lesions, _add_implants, _add_second_look, _add_calibrate):
        add(verbs)
    return parser


def _add_anatomy(verbs: _SubParsersAction[Parser]) -> None:
    """The anatomy network."""
    parser = verbs.add_parser(
        "anatomy", help="train the anatomy network (brain and structures) from label maps alone"
    )
    parser.add_argument(
        "label_maps",
        nargs="+",
        type=Path,
        metavar="LABEL_MAP",
        help="heads labeled with FreeSurfer ids, to simulate images from",
    )
    parser.add_argument(
        "--steps",
        action=Number,
        type=int,
        within=COUNT,
        default=5400,
        metavar="N",
        help="number of training steps (default: %(default)s)",
    )
    add_seed(parser)
    _add_bundle(parser)
    parser.set_defaults(kind=AnatomyRequest)


def _add_lesions(verbs: _SubParsersAction[Parser]) -> None:
    """The lesion network."""
    parser = verbs.add_parser(
        "lesions", help="train the lesion network (microbleeds and proxy regions) with nnU-Net"
    )
    parser.add_argument(
        "derivatives", type=Path, help="derivatives with the images, proxy dseg and CMB masks"
    )
    parser.add_argument(
        "--masks",
        type=Path,
        metavar="DIR",
        help="derivatives with the CMB masks (default: DERIVATIVES)",
    )
    parser.add_argument(
        "--epochs",
        action=Number,
        type=int,
        within=COUNT,
        default=60,
        help="number of epochs of 50 steps (default: %(default)s)",
    )
    parser.add_argument(
        "--loss",
        choices=tuple(LOSSES),
        default=next(iter(LOSSES)),
        help="loss function. "
        + "; ".join(f"{name}: {what}" for name, what in LOSSES.items())
        + " (default: %(default)s)",
    )
    parser.add_argument(
        "--no-proxy",
        dest="proxy",
        action="store_false",
        help="learn microbleeds only, without the proxy regions (plain nnU-Net)",
    )
    parser.add_argument(
        "--mimics",
        action="store_true",
        help="also learn veins and calcifications as a class, from *_desc-mimics_dseg",
    )
    parser.add_argument(
        "--patch-size",
        action=Number,
        type=int,
        within=COUNT,
        nargs=3,
        metavar=("SLICES", "ROWS", "COLUMNS"),
        help="size of a training patch in voxels; smaller patches make a step faster "
        "(default: from the nnU-Net plans, or from --start-from)",
    )
    _add_bundle(parser)
    _add_folds(parser)
    add_participants(parser)
    add_seed(parser)
    parser.set_defaults(kind=LesionsRequest)


def _add_implants(verbs: _SubParsersAction[Parser]) -> None:
    """Training sets of simulated microbleeds."""
    parser = verbs.add_parser(
        "implants",
        help="make a training set: simulated microbleeds in scans that the app has processed",
        description="Draw simulated microbleeds into preprocessed scans. Every draw becomes a "
        "session of the participant, ready for train lesions.",
    )
    parser.add_argument(
        "derivatives", type=Path, metavar="DERIVATIVES", help="output folder of the app"
    )
    parser.add_argument(
        "output_dir", type=Path, metavar="OUTPUT_DIR", help="folder for the training set"
    )
    parser.add_argument(
        "--masks",
        type=Path,
        metavar="DIR",
        help="derivatives with CMB masks of sessions in which every microbleed is labeled "
        "(default: no labels; training ignores the candidates of the model)",
    )
    parser.add_argument(
        "--draws",
        action=Number,
        type=int,
        within=COUNT,
        default=4,
        metavar="N",
        help="number of draws per session (default: %(default)s)",
    )
    parser.add_argument(
        "--microbleeds",
        action=Number,
        type=int,
        within=NOT_NEGATIVE,
        ordered=True,
        nargs=2,
        default=(25, 60),
        metavar=("MIN", "MAX"),
        help="number of microbleeds per whole brain, visible or not (default: 25 60)",
    )
    add_participants(parser)
    add_seed(parser)
    parser.set_defaults(kind=ImplantsRequest)


def _add_second_look(verbs: _SubParsersAction[Parser]) -> None:
    """The second look at candidates."""
    parser = verbs.add_parser(
        "second-look",
        help="train the second look: small networks that judge the candidates of a lesion model",
        description="Train networks that tell microbleeds from other dark spots, and add them to "
        "the bundle of a lesion model. Afterward, choose the thresholds again and "
        "recalibrate the model.",
    )
    parser.add_argument(
        "derivatives", type=Path, help="output folder of the app, or truth of a simulation"
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder of the lesion model")
    parser.add_argument(
        "--masks",
        type=Path,
        metavar="DIR",
        help="derivatives with masks of all microbleeds, as for train lesions (default: no labels)",
    )
    parser.add_argument(
        "--also",
        nargs="+",
        type=Path,
        default=[],
        metavar="DIR",
        help="folders of additional labeled scans, such as simulated ones, with the masks "
        "next to the images; used in every fold",
    )
    parser.add_argument(
        "--add",
        action="store_true",
        help="keep the existing judges of the bundle and add the new ones (default: replace them)",
    )
    parser.add_argument(
        "--mimics-only",
        action="store_true",
        help="only train the network that names mimics (vessels, iron, ...); leave judges, "
        "thresholds and calibration of the bundle unchanged",
    )
    parser.add_argument(
        "--steps",
        action=Number,
        type=int,
        within=COUNT,
        default=2800,
        metavar="N",
        help="number of steps of 128 places for each judge (default: %(default)s)",
    )
    _add_folds(parser)
    add_participants(parser)
    add_seed(parser)
    parser.set_defaults(kind=SecondLookRequest)


def _add_calibrate(verbs: _SubParsersAction[Parser]) -> None:
    """The calibration of a lesion model."""
    parser = verbs.add_parser(
        "calibrate",
        help="calibrate the probabilities of a lesion model",
        description="Fit how the probability of a candidate relates to the fraction of true "
        "microbleeds, and write the calibration into the card of the model.",
    )
    parser.add_argument(
        "bundle",
        type=Path,
        metavar="BUNDLE",
        help="bundle folder of the lesion model; its card is updated",
    )
    parser.add_argument(
        "evaluation",
        type=Path,
        metavar="EVALUATION",
        help="OUTPUT_DIR of the verb evaluate, for a run of this model on scans outside its "
        "training set",
    )
    parser.set_defaults(kind=CalibrationRequest)


def _add_bundle(parser: ArgumentParser) -> None:
    """Where the model goes, what its card says, and what it starts from."""
    parser.add_argument(
        "--output-dir", type=Path, required=True, help="folder for the model bundle"
    )
    parser.add_argument(
        "--work-dir",
        type=Path,
        required=True,
        help="folder for checkpoints; an interrupted training resumes from it",
    )
    parser.add_argument("--name", required=True, help="name of the model in its card")
    parser.add_argument(
        "--version", default="1", help="version of the model in its card (default: %(default)s)"
    )
    parser.add_argument(
        "--license",
        metavar="LICENSE",
        default="not stated",
        help="license of the model in its card (default: %(default)s)",
    )
    # As earlier versions spelled it.
    parser.add_argument("--licence", dest="license", default=SUPPRESS, help=SUPPRESS)
    parser.add_argument(
        "--training-data",
        default="not stated",
        help="description of the training data in the card",
    )
    parser.add_argument(
        "--start-from", metavar="NAME|DIR", help="model to start from (default: random weights)"
    )
    add_device(parser)


def _add_folds(parser: ArgumentParser) -> None:
    """Which part of the participants is left out."""
    parser.add_argument(
        "--fold",
        type=int,
        metavar="N",
        help="leave out part N of the participants (counted from 0), for "
        "cross-validation (default: none)",
    )
    parser.add_argument(
        "--folds",
        action=Number,
        type=int,
        within=Range(low=2),
        default=5,
        metavar="N",
        help="number of parts for cross-validation (default: %(default)s)",
    )


def read_training(arguments: Sequence[str]) -> TrainRequest:
    """Parse and check a command line of the ``train`` verb."""
    parser = train_parser()
    given = parser.parse_args(arguments)
    request: TrainRequest = parser.checked(given.kind, given)
    return request
