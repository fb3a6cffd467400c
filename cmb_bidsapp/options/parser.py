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
        description="Cerebral microbleeds in T1w and T2*w brain MRI: masks, regions, MARS tables.",
        epilog="Other verbs: cmb_bidsapp demo | simulate | convert | train | evaluate | "
        "sensitivity | adapt | slurm | doctor "
        "(each has its own --help). The results are an imaging summary, not a diagnosis.",
        allow_abbrev=False,
    )
    parser.add_argument("bids_dir", type=Path, metavar="BIDS_DIR", help="root of the BIDS dataset")
    parser.add_argument("output_dir", type=Path, metavar="OUTPUT_DIR", help="derivatives go here")
    parser.add_argument(
        "level", nargs="+", choices=LEVELS, metavar="{participant,group}", help="what to run"
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"cmb_bidsapp {__version__}",
        help="show the version; --version --long: of models and tools, too",
    )

    _add_who(parser.add_argument_group("who and which scans"))
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
        help="participants, with or without sub-; several, comma lists, or @FILE",
    )
    who.add_argument(
        "--exclude-participant-label",
        nargs="+",
        default=(),
        metavar="LABEL",
        help="participants to leave out",
    )
    who.add_argument(
        "--session-label",
        "--session-id",
        nargs="+",
        default=(),
        metavar="LABEL",
        help="sessions, with or without ses-",
    )
    who.add_argument(
        "--bids-filter-file",
        type=Path,
        metavar="FILE",
        help='JSON with entity filters for t1w, t2starw and swi; null is absent, "*" is any',
    )
    who.add_argument(
        "--run-id",
        nargs="+",
        default=(),
        metavar="LABEL",
        help="T2*w images of these runs alone, with or without run- (T1w: --bids-filter-file)",
    )
    who.add_argument(
        "--acq-id",
        nargs="+",
        default=(),
        metavar="LABEL",
        help="T2*w images of these acquisitions alone, with or without acq-",
    )
    add_without_effect(who, "bids_database_dir", "bids_database_wipe", "skip_bids_validation")


def _add_anatomy(anatomy: argparse._ArgumentGroup) -> None:
    anatomy.add_argument(
        "--brain-extraction",
        choices=BRAIN_EXTRACTIONS,
        default="auto",
        help="auto: SynthStrip where it is installed, else our own network (default: %(default)s)",
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
        help="outputs to reuse: FreeSurfer, FastSurfer, sMRIPrep, fMRIPrep, SynthSeg",
    )
    anatomy.add_argument(
        "--fs-subjects-dir",
        type=Path,
        metavar="DIR",
        help="FreeSurfer subjects, to reuse and to write "
        "(default: OUTPUT_DIR/sourcedata/freesurfer)",
    )
    anatomy.add_argument(
        "--fs-license-file",
        type=Path,
        metavar="FILE",
        help="FreeSurfer licence; asked for only when recon-all is about to run",
    )
    anatomy.add_argument(
        "--fs-no-reconall", action="store_true", help="reuse FreeSurfer outputs, never run it"
    )
    anatomy.add_argument(
        "--fs-no-resume", action="store_true", help="never resume an unfinished recon-all"
    )
    anatomy.add_argument(
        "--proxy-rules",
        choices=("paper", "reference"),
        default="paper",
        help="which white matter is deep: around ventricles and nuclei, or, as in the authors' "
        "published code, all that is far from the cortex (default: %(default)s)",
    )
    anatomy.add_argument(
        "--jhu-atlas",
        type=Path,
        metavar="FILE",
        help="JHU-ICBM labels, 1 mm, for the capsules (default: found between the nuclei)",
    )


def _add_lesions(lesions: argparse._ArgumentGroup) -> None:
    lesions.add_argument(
        "--model",
        default=defaults.LESION_MODEL,
        metavar="NAME|DIR",
        help="lesion model: packaged, bundle folder, or nnU-Net v2 model folder "
        "(default: %(default)s)",
    )
    lesions.add_argument(
        "--folds",
        nargs="+",
        default=(),
        metavar="FOLD",
        help="folds of an nnU-Net folder to average: numbers or all (default: every fold found)",
    )
    lesions.add_argument(
        "--tta",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="average over the mirrored image (default: on)",
    )
    lesions.add_argument(
        "--operating-point",
        choices=tuple(defaults.OPERATING_POINTS),
        help="how many false marks per scan the lesion model may make: "
        + ", ".join(f"{name} {rate:g}" for name, rate in defaults.OPERATING_POINTS.items())
        + " (default: balanced)",
    )
    lesions.add_argument(
        "--threshold",
        action=Number,
        type=float,
        within=PROBABILITY,
        metavar="P",
        help="minimum peak probability of a candidate; its extent is thresholded at 0.5 "
        "(default: that of the operating point)",
    )
    lesions.add_argument(
        "--cfpr",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="reject candidates whose periphery is not brain (default: on)",
    )
    lesions.add_argument(
        "--cfpr-mode",
        choices=get_args(defaults.CfprMode),
        default=defaults.CFPR_MODE,
        help="which voxels are the periphery: as the paper says, or, as in the authors' published "
        "code, with other microbleeds and the candidate's own interior as non-brain "
        "(default: %(default)s)",
    )
    lesions.add_argument(
        "--cfpr-radius",
        action=Number,
        type=float,
        within=Range(low=0, high=20, low_included=False, unit="mm"),
        default=defaults.CFPR_RADIUS_MM,
        metavar="MM",
        help="periphery in mm (default: %(default)s)",
    )
    lesions.add_argument(
        "--cfpr-ratio",
        action=Number,
        type=float,
        within=SHARE,
        default=defaults.CFPR_RATIO,
        metavar="SHARE",
        help="smallest share of brain in the periphery (default: %(default)s)",
    )
    lesions.add_argument(
        "--phase-rule",
        choices=get_args(defaults.PhaseRule),
        default=defaults.PHASE_RULE,
        help="what becomes of candidates that the phase image, where a session has one, shows to "
        "be diamagnetic as calcium is: told, or told and rejected (default: %(default)s)",
    )
    lesions.add_argument(
        "--min-size",
        action=Number,
        type=float,
        within=Range(low=0, unit="mm"),
        default=defaults.MIN_DIAMETER_MM,
        metavar="MM",
        help="smallest in-plane diameter that is counted (default: %(default)s)",
    )
    lesions.add_argument(
        "--baseline-limit",
        action=Number,
        type=int,
        within=NOT_NEGATIVE,
        default=defaults.BASELINE_LIMIT,
        metavar="N",
        help="summaries say whether there are more microbleeds than this, which at baseline "
        "usually exclude from anti-amyloid therapy (default: %(default)s)",
    )
    lesions.add_argument(
        "--sensitivity",
        action=Number,
        type=int,
        within=NOT_NEGATIVE,
        default=0,
        metavar="N",
        help="measure in N draws what share of simulated microbleeds is found in each session, by "
        "size (default: %(default)s, not at all)",
    )


def _add_outputs(outputs: argparse._ArgumentGroup) -> None:
    outputs.add_argument(
        "--output-spaces",
        nargs="+",
        default=(),
        metavar="NAME[:res-N]",
        help="standard spaces to write images and masks in besides the T2*w's own: "
        "MNI152NLin6Asym, or one that TemplateFlow holds, such as MNI152NLin2009cAsym "
        "(default: none)",
    )


def _add_cohort(cohort: argparse._ArgumentGroup) -> None:
    cohort.add_argument(
        "--reference-derivatives",
        type=Path,
        metavar="DIR",
        help="masks of a rater, or the truth of a simulation: the group level compares the results "
        "with them, as the verb evaluate does, and writes OUTPUT_DIR/group_evaluation",
    )
    cohort.add_argument(
        "--ratings",
        type=Path,
        metavar="DIR",
        help="*_ratings.tsv that readers exported from the participant reports: their decisions go "
        "into the group tables, and how far they agree into OUTPUT_DIR/group_agreement.tsv",
    )
