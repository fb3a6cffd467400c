"""The options of the BIDS-App signature; what is not here is no option."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from cmb_bidsapp import __version__
from cmb_bidsapp.anatomy.backends import BACKENDS
from cmb_bidsapp.core import defaults
from cmb_bidsapp.options.base import (
    NOT_NEGATIVE,
    PROBABILITY,
    SHARE,
    Number,
    Parser,
    Range,
)
from cmb_bidsapp.options.running import add_control, add_resources, add_without_effect

LEVELS = ("participant", "group")
BRAIN_EXTRACTIONS = ("auto", "synthstrip", "embedded")

#: What a command line has besides options, by name.
POSITIONALS = ("bids_dir", "output_dir", "level")


def build_parser() -> Parser:
    """Parser of the BIDS-App signature."""
    parser = Parser(
        prog="cmb_bidsapp",
        description="Find cerebral microbleeds in T2*-weighted (and T1-weighted) brain MRI. Writes "
        "masks, regions and MARS tables.",
        epilog="Other verbs: cmb_bidsapp demo | simulate | convert | train | evaluate | "
        "sensitivity | adapt | slurm | doctor "
        "(each has its own --help). The results are an imaging summary, not a diagnosis.",
        allow_abbrev=False,
    )
    parser.add_argument("bids_dir", type=Path, metavar="BIDS_DIR", help="root of the BIDS dataset")
    parser.add_argument(
        "output_dir", type=Path, metavar="OUTPUT_DIR", help="output directory for the derivatives"
    )
    parser.add_argument(
        "level",
        nargs="+",
        choices=LEVELS,
        metavar="{participant,group}",
        help="level of the analysis to run",
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"cmb_bidsapp {__version__}",
        help="show the version and exit; with --long, also show the versions of models and tools",
    )

    _add_who(parser.add_argument_group("participants and images"))
    _add_anatomy(parser.add_argument_group("anatomy"))
    _add_lesions(parser.add_argument_group("lesions"))
    _add_outputs(parser.add_argument_group("outputs"))
    _add_cohort(parser.add_argument_group("group level"))
    add_resources(parser.add_argument_group("resources"))
    add_control(parser.add_argument_group("control"))
    return parser


def _add_who(who: argparse._ArgumentGroup) -> None:
    who.add_argument(
        "--participant-label",
        "--participant_label",
        nargs="+",
        default=(),
        metavar="LABEL",
        help="participants to process, with or without sub-: a list separated by spaces or "
        "commas, or @FILE",
    )
    who.add_argument(
        "--exclude-participant-label",
        nargs="+",
        default=(),
        metavar="LABEL",
        help="participants to exclude",
    )
    who.add_argument(
        "--session-label",
        "--session-id",
        nargs="+",
        default=(),
        metavar="LABEL",
        help="sessions to process, with or without ses-",
    )
    who.add_argument(
        "--bids-filter-file",
        type=Path,
        metavar="FILE",
        help="JSON file with entity filters for t1w, t2starw and swi. null: the entity must be "
        'absent; "*": any value',
    )
    who.add_argument(
        "--run-id",
        nargs="+",
        default=(),
        metavar="LABEL",
        help="use only T2*w images of these runs, with or without run- (for the T1w, use "
        "--bids-filter-file)",
    )
    who.add_argument(
        "--acq-id",
        nargs="+",
        default=(),
        metavar="LABEL",
        help="use only T2*w images of these acquisitions, with or without acq-",
    )
    add_without_effect(who, "bids_database_dir", "bids_database_wipe", "skip_bids_validation")


def _add_anatomy(anatomy: argparse._ArgumentGroup) -> None:
    anatomy.add_argument(
        "--brain-extraction",
        choices=BRAIN_EXTRACTIONS,
        default="auto",
        help="how to extract the brain. auto: SynthStrip if it is installed, otherwise the "
        "embedded network (default: %(default)s)",
    )
    anatomy.add_argument(
        "--parcellation",
        choices=tuple(BACKENDS),
        default="auto",
        help="; ".join(f"{name}: {backend.help}" for name, backend in BACKENDS.items())
        + " (default: %(default)s)",
    )
    anatomy.add_argument(
        "-d",
        "--derivatives",
        nargs="+",
        default=(),
        metavar="NAME=PATH",
        help=f"existing derivatives to reuse: {', '.join(BACKENDS['auto'].cite)}",
    )
    anatomy.add_argument(
        "--fs-subjects-dir",
        type=Path,
        metavar="DIR",
        help="FreeSurfer subjects directory, for reading and writing (default: "
        "OUTPUT_DIR/sourcedata/freesurfer)",
    )
    anatomy.add_argument(
        "--fs-license-file",
        type=Path,
        metavar="FILE",
        help="FreeSurfer license file; needed only if recon-all runs",
    )
    anatomy.add_argument(
        "--fs-no-reconall",
        action="store_true",
        help="reuse existing FreeSurfer outputs but never run recon-all",
    )
    anatomy.add_argument(
        "--fs-no-resume", action="store_true", help="never resume an unfinished recon-all"
    )
    anatomy.add_argument(
        "--proxy-rules",
        choices=("paper", "reference"),
        default="paper",
        help="which white matter counts as deep. paper: around the ventricles and nuclei; "
        "reference: everything far from the cortex, as in the authors' published code "
        "(default: %(default)s)",
    )
    anatomy.add_argument(
        "--jhu-atlas",
        type=Path,
        metavar="FILE",
        help="JHU-ICBM label file (1 mm) that defines the internal and external capsules "
        "(default: the white matter between the nuclei)",
    )


def _add_lesions(lesions: argparse._ArgumentGroup) -> None:
    lesions.add_argument(
        "--model",
        default=defaults.LESION_MODEL,
        metavar="NAME|DIR",
        help="lesion model: name of a packaged model, bundle folder, or nnU-Net v2 model "
        "folder (default: %(default)s)",
    )
    lesions.add_argument(
        "--folds",
        nargs="+",
        default=(),
        metavar="FOLD",
        help="folds of an nnU-Net model folder to average: numbers or all (default: every "
        "fold found)",
    )
    lesions.add_argument(
        "--tta",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="test-time augmentation: average over mirrored copies of the image, if the card of "
        "the model names axes for it (default: on)",
    )
    lesions.add_argument(
        "--operating-point",
        choices=tuple(defaults.OPERATING_POINTS),
        help="trade-off of the lesion model, as false positives per scan: "
        + ", ".join(f"{name} {rate:g}" for name, rate in defaults.OPERATING_POINTS.items())
        + " (default: balanced)",
    )
    lesions.add_argument(
        "--threshold",
        action=Number,
        type=float,
        within=PROBABILITY,
        metavar="P",
        help="minimum peak probability of a candidate. The extent is thresholded at 0.5 "
        "(default: set by the operating point)",
    )
    _add_decisions(lesions)


def _add_decisions(lesions: argparse._ArgumentGroup) -> None:
    lesions.add_argument(
        "--cfpr",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="clinically derived false-positive reduction: reject candidates with too little "
        "brain around them (default: on)",
    )
    lesions.add_argument(
        "--cfpr-mode",
        choices=get_args(defaults.CfprMode),
        default=defaults.CFPR_MODE,
        help="how CFPR defines the periphery. paper: as the paper describes; reference: as "
        "in the authors' published code, where other microbleeds and the interior of "
        "the candidate count as non-brain (default: %(default)s)",
    )
    lesions.add_argument(
        "--cfpr-radius",
        action=Number,
        type=float,
        within=Range(low=0, high=20, low_included=False, unit="mm"),
        default=defaults.CFPR_RADIUS_MM,
        metavar="MM",
        help="width of the periphery in mm (default: %(default)s)",
    )
    lesions.add_argument(
        "--cfpr-ratio",
        action=Number,
        type=float,
        within=SHARE,
        default=defaults.CFPR_RATIO,
        metavar="SHARE",
        help="minimum fraction of brain in the periphery (default: %(default)s)",
    )
    lesions.add_argument(
        "--phase-rule",
        choices=get_args(defaults.PhaseRule),
        default=defaults.PHASE_RULE,
        help="what to do with candidates that the phase image, if there is one, shows to be "
        "diamagnetic (calcium). report: flag them; reject: flag and reject them "
        "(default: %(default)s)",
    )
    lesions.add_argument(
        "--min-size",
        action=Number,
        type=float,
        within=Range(low=0, unit="mm"),
        default=defaults.MIN_DIAMETER_MM,
        metavar="MM",
        help="minimum in-plane diameter of a counted microbleed in mm (default: %(default)s)",
    )
    lesions.add_argument(
        "--baseline-limit",
        action=Number,
        type=int,
        within=NOT_NEGATIVE,
        default=defaults.BASELINE_LIMIT,
        metavar="N",
        help="flag sessions with more than N microbleeds in the summaries. Such a count at "
        "baseline usually excludes a patient from anti-amyloid therapy (default: "
        "%(default)s)",
    )
    lesions.add_argument(
        "--sensitivity",
        action=Number,
        type=int,
        within=NOT_NEGATIVE,
        default=0,
        metavar="N",
        help="measure detection sensitivity by size in each session, with N draws of "
        "simulated microbleeds (default: %(default)s, off)",
    )


def _add_outputs(outputs: argparse._ArgumentGroup) -> None:
    outputs.add_argument(
        "--output-spaces",
        nargs="+",
        default=(),
        metavar="NAME[:res-N]",
        help="also write images and masks in these standard spaces: MNI152NLin6Asym, or any "
        "TemplateFlow space such as MNI152NLin2009cAsym (default: none)",
    )


def _add_cohort(cohort: argparse._ArgumentGroup) -> None:
    cohort.add_argument(
        "--reference-derivatives",
        type=Path,
        metavar="DIR",
        help="reference masks: those of a rater, or the truth of a simulation. The group "
        "level compares the results with them, like the verb evaluate, and writes "
        "OUTPUT_DIR/group_evaluation",
    )
    cohort.add_argument(
        "--ratings",
        type=Path,
        metavar="DIR",
        help="folder of *_ratings.tsv files that readers exported from the participant "
        "reports. The group tables use their decisions; OUTPUT_DIR/group_agreement.tsv "
        "reports their agreement",
    )
