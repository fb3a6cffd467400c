"""The options of the BIDS-App signature; what is not here is no option."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, get_args

from cmb_bidsapp import __version__
from cmb_bidsapp.core import defaults
from cmb_bidsapp.core.errors import UsageError

LEVELS = ("participant", "group")
BRAIN_EXTRACTIONS = ("auto", "synthstrip", "embedded")
PARCELLATIONS = ("auto", "freesurfer", "synthseg", "atlas")


class Parser(argparse.ArgumentParser):
    """Leaves through UsageError, so that all problems are reported in one way."""

    def error(self, message: str) -> Any:
        """Turn a parsing problem into ours."""
        raise UsageError(f"{message}\nusage: see {self.prog} --help")


def build_parser() -> argparse.ArgumentParser:
    """Parser of the BIDS-App signature."""
    parser = Parser(
        prog="cmb_bidsapp",
        description="Cerebral microbleeds in T1w and T2*w brain MRI: masks, regions, MARS tables.",
        epilog="Other verbs: cmb_bidsapp demo | simulate | convert | train | evaluate | slurm | "
        "doctor (each has its own --help). The results are an imaging summary, not a diagnosis.",
        allow_abbrev=False,
    )
    parser.add_argument("bids_dir", type=Path, metavar="BIDS_DIR", help="root of the BIDS dataset")
    parser.add_argument("output_dir", type=Path, metavar="OUTPUT_DIR", help="derivatives go here")
    parser.add_argument(
        "level", nargs="+", choices=LEVELS, metavar="{participant,group}", help="what to run"
    )
    parser.add_argument("--version", action="version", version=f"cmb_bidsapp {__version__}")

    who = parser.add_argument_group("who and which scans")
    who.add_argument(
        "--participant-label",
        "--participant_label",
        nargs="+",
        default=[],
        metavar="LABEL",
        help="participants, with or without sub-; several, comma lists, or @FILE",
    )
    who.add_argument(
        "--exclude-participant-label",
        nargs="+",
        default=[],
        metavar="LABEL",
        help="participants to leave out",
    )
    who.add_argument(
        "--session-label",
        "--session-id",
        nargs="+",
        default=[],
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
        "--bids-database-dir",
        type=Path,
        metavar="DIR",
        help="accepted without effect: no index of the dataset is kept",
    )
    who.add_argument(
        "--skip-bids-validation",
        "--skip_bids_validation",
        "--skip_bids_validator",
        action="store_true",
        help="accepted; the dataset is not validated here",
    )

    anatomy = parser.add_argument_group("anatomy")
    anatomy.add_argument(
        "--brain-extraction",
        choices=BRAIN_EXTRACTIONS,
        default="auto",
        help="auto: SynthStrip where it is installed, else our own network (%(default)s)",
    )
    anatomy.add_argument(
        "--parcellation",
        choices=PARCELLATIONS,
        default="auto",
        help="auto: what -d or --fs-subjects-dir hold, else atlas; freesurfer, synthseg: the same, "
        "else run recon-all or mri_synthseg; atlas: our own network and a deformable atlas "
        "(%(default)s)",
    )
    anatomy.add_argument(
        "-d",
        "--derivatives",
        nargs="+",
        default=[],
        metavar="NAME=PATH",
        help="outputs to reuse: FreeSurfer, FastSurfer, sMRIPrep, fMRIPrep, SynthSeg",
    )
    anatomy.add_argument(
        "--fs-subjects-dir",
        type=Path,
        metavar="DIR",
        help="FreeSurfer subjects, to reuse and to write (OUTPUT_DIR/sourcedata/freesurfer)",
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
        "--fs-no-resume", action="store_true", help="never go on with an unfinished recon-all"
    )
    anatomy.add_argument(
        "--proxy-rules",
        choices=("paper", "reference"),
        default="paper",
        help="which white matter is deep: around ventricles and nuclei, or, as in the authors' "
        "published code, all that is far from the cortex (%(default)s)",
    )
    anatomy.add_argument(
        "--jhu-atlas",
        type=Path,
        metavar="FILE",
        help="JHU-ICBM labels, 1 mm, for the capsules (found between the nuclei)",
    )

    lesions = parser.add_argument_group("lesions")
    lesions.add_argument(
        "--model",
        default=defaults.LESION_MODEL,
        metavar="NAME|DIR",
        help="lesion model: packaged, bundle folder, or nnU-Net v2 model folder (%(default)s)",
    )
    lesions.add_argument(
        "--folds",
        nargs="+",
        default=[],
        metavar="FOLD",
        help="folds of an nnU-Net folder to average: numbers or all (every fold found)",
    )
    lesions.add_argument(
        "--tta",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="average over the mirrored image (on)",
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
        type=float,
        metavar="P",
        help="minimum peak probability of a candidate; its extent is thresholded at 0.5 "
        "(default: that of the operating point)",
    )
    lesions.add_argument(
        "--cfpr",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="reject candidates whose periphery is not brain (on)",
    )
    lesions.add_argument(
        "--cfpr-mode",
        choices=get_args(defaults.CfprMode),
        default=defaults.CFPR_MODE,
        help="which voxels are the periphery: as the paper says, or, as in the authors' published "
        "code, with other microbleeds and the candidate's own interior as non-brain (%(default)s)",
    )
    lesions.add_argument(
        "--cfpr-radius",
        type=float,
        default=defaults.CFPR_RADIUS_MM,
        metavar="MM",
        help="periphery in mm (%(default)s)",
    )
    lesions.add_argument(
        "--cfpr-ratio",
        type=float,
        default=defaults.CFPR_RATIO,
        metavar="SHARE",
        help="smallest share of brain in the periphery (%(default)s)",
    )
    lesions.add_argument(
        "--min-size",
        type=float,
        default=defaults.MIN_DIAMETER_MM,
        metavar="MM",
        help="smallest in-plane diameter that is counted (%(default)s)",
    )
    lesions.add_argument(
        "--baseline-limit",
        type=int,
        default=defaults.BASELINE_LIMIT,
        metavar="N",
        help="summaries say whether there are more microbleeds than this, which at baseline "
        "usually exclude from anti-amyloid therapy (%(default)s)",
    )

    outputs = parser.add_argument_group("outputs")
    outputs.add_argument(
        "--output-spaces",
        nargs="+",
        default=[],
        metavar="NAME[:res-N]",
        help="standard spaces to write images and masks in besides the T2*w's own: "
        "MNI152NLin6Asym, or one that TemplateFlow holds, such as MNI152NLin2009cAsym (none)",
    )

    cohort = parser.add_argument_group("group level")
    cohort.add_argument(
        "--reference-derivatives",
        type=Path,
        metavar="DIR",
        help="masks of a rater, or the truth of a simulation: the group level holds the results "
        "against them, as the verb evaluate does, and writes OUTPUT_DIR/group_evaluation",
    )
    cohort.add_argument(
        "--ratings",
        type=Path,
        metavar="DIR",
        help="*_ratings.tsv that readers exported from the participant reports: their decisions go "
        "into the group tables, and how far they agree into OUTPUT_DIR/group_agreement.tsv",
    )

    machine = parser.add_argument_group("resources")
    machine.add_argument(
        "--nprocs",
        "--n-procs",
        "--n_procs",
        "--nthreads",
        "--n_cpus",
        "--n-cpus",
        "-n-cpus",
        "--ncpus",
        type=int,
        metavar="N",
        dest="nprocs",
        help="cores in all (what is available)",
    )
    machine.add_argument(
        "--omp-nthreads", type=int, metavar="N", help="cores of one session (at most 4)"
    )
    machine.add_argument(
        "--mem",
        "--mem_mb",
        "--mem-mb",
        dest="mem",
        metavar="MB",
        help="memory: 8000 (MB), 8G, 1.5GB (what is available)",
    )
    machine.add_argument(
        "--device",
        default="auto",
        metavar="{auto,cpu,cuda,cuda:N}",
        help="auto: a GPU where there is one",
    )
    machine.add_argument(
        "-w", "--work-dir", type=Path, metavar="DIR", help="scratch; never inside BIDS_DIR"
    )

    control = parser.add_argument_group("control")
    control.add_argument(
        "--dry-run", action="store_true", help="show what would be processed, and why"
    )
    control.add_argument("--force", action="store_true", help="run what is up to date again")
    control.add_argument(
        "--stop-on-first-crash", action="store_true", help="stop everything at the first failure"
    )
    control.add_argument(
        "--step-timeout",
        type=float,
        metavar="MINUTES",
        help="stop a session one of whose steps takes longer (no limit)",
    )
    control.add_argument("--random-seed", type=int, default=0, metavar="N")
    control.add_argument(
        "-v", "--verbose", action="count", default=0, help="accepted; every step is shown anyway"
    )
    control.add_argument("--debug", action="store_true", help="show tracebacks")
    control.add_argument("--notrack", action="store_true", help="accepted; nothing is tracked")
    return parser
