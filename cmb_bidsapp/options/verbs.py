"""The options of the other verbs: demo, simulate, convert, train, evaluate and so on."""

from __future__ import annotations

import argparse
from pathlib import Path

from cmb_bidsapp.core import defaults
from cmb_bidsapp.options.parser import Parser


def demo_parser() -> argparse.ArgumentParser:
    """Parser of the ``demo`` verb."""
    parser = Parser(
        prog="cmb_bidsapp demo",
        description="Make a small dataset with known microbleeds, run the app on it, show results.",
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path("cmb_demo"))
    return parser


def simulate_parser() -> argparse.ArgumentParser:
    """Parser of the ``simulate`` verb."""
    parser = Parser(
        prog="cmb_bidsapp simulate",
        description="Simulate T1w and T2*w images with microbleeds, veins and calcifications "
        "as a BIDS dataset, with the truth as derivatives.",
    )
    parser.add_argument("output_dir", type=Path, metavar="OUTPUT_DIR")
    parser.add_argument(
        "--label-maps",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="FreeSurfer-numbered heads, 1 mm (a head made from the packaged atlas)",
    )
    parser.add_argument("--participants", type=int, default=2, metavar="N")
    parser.add_argument(
        "--protocol",
        nargs="+",
        default=["paper"],
        metavar="NAME|SPEC",
        help="acquisitions, taken in turn: paper, gre3t4mm, gre15t5mm, gre3t3mm, swi3t, gre15t3d, "
        "or any other: b0=3,te=20,voxel=0.5x0.5x4,gap=0.4,snr=25",
    )
    parser.add_argument(
        "--microbleeds",
        type=int,
        nargs=2,
        default=(0, 10),
        metavar=("MIN", "MAX"),
        help="sources in the first session, visible or not",
    )
    parser.add_argument(
        "--free",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of participants without any at first (%(default)s)",
    )
    parser.add_argument(
        "--sessions",
        type=int,
        default=1,
        metavar="N",
        help="sessions of every participant, ses-1 and follow-ups of the same head (%(default)s)",
    )
    parser.add_argument(
        "--new",
        type=int,
        nargs=2,
        default=(0, 3),
        metavar=("MIN", "MAX"),
        help="sources that every follow-up adds (0 3)",
    )
    parser.add_argument(
        "--unchanged",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of participants whose follow-ups add none (%(default)s)",
    )
    parser.add_argument(
        "--follow-up-protocol",
        nargs="+",
        default=[],
        metavar="NAME|SPEC",
        help="acquisitions of the follow-ups, taken in turn (that of the first session)",
    )
    parser.add_argument(
        "--texture",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="magnitude images of gradient echo whose texture the brains get (default: none)",
    )
    parser.add_argument("--phase", action="store_true", help="write the phase of the T2*w as well")
    parser.add_argument(
        "--nprocs", type=int, default=1, metavar="N", help="participants at a time (%(default)s)"
    )
    parser.add_argument("--random-seed", type=int, default=0, metavar="N")
    return parser


def convert_parser() -> argparse.ArgumentParser:
    """Parser of the ``convert`` verb."""
    parser = Parser(
        prog="cmb_bidsapp convert",
        description="Convert a dataset with microbleed masks to BIDS, as training takes it.",
    )
    sources = parser.add_subparsers(dest="what", required=True, metavar="{valdo}")
    valdo = sources.add_parser("valdo", help="VALDO 2021, Task 2 (microbleeds)")
    valdo.add_argument(
        "valdo_dir",
        type=Path,
        metavar="VALDO_DIR",
        help="folder of the challenge's data, which stays as it is",
    )
    valdo.add_argument(
        "bids_dir",
        type=Path,
        metavar="BIDS_DIR",
        help="images go here, the raters' masks into BIDS_DIR/derivatives/valdo; resumable",
    )
    return parser


def add_participants(parser: argparse.ArgumentParser) -> None:
    """Options that choose participants by label."""
    for option, what in (
        ("--participant-label", "participants to use (default: all)"),
        ("--exclude-participant-label", "participants to leave out (default: none)"),
    ):
        parser.add_argument(
            option,
            nargs="+",
            default=[],
            metavar="LABEL",
            help=f"{what}, with or without sub-",
        )


def train_parser() -> argparse.ArgumentParser:
    """Parser of the ``train`` verb."""
    parser = Parser(
        prog="cmb_bidsapp train",
        description="Train the anatomy or the lesion network, or calibrate the latter.",
    )
    verbs = parser.add_subparsers(
        dest="what", required=True, metavar="{anatomy,lesions,implants,calibrate}"
    )
    anatomy = verbs.add_parser("anatomy", help="brain and structures, from label maps alone")
    anatomy.add_argument("label_maps", nargs="+", type=Path, metavar="LABEL_MAP")
    anatomy.add_argument("--steps", type=int, default=5400)
    anatomy.add_argument("--random-seed", type=int, default=0, metavar="N")
    lesions = verbs.add_parser("lesions", help="microbleeds and proxy regions, with nnU-Net")
    lesions.add_argument("derivatives", type=Path, help="images, proxy dseg and CMB masks")
    lesions.add_argument(
        "--masks",
        type=Path,
        metavar="DIR",
        help="derivatives that hold the CMB masks, where they are not those of DERIVATIVES",
    )
    lesions.add_argument("--epochs", type=int, default=60, help="of 50 steps each")
    lesions.add_argument(
        "--loss",
        choices=("topk", "ce"),
        default="topk",
        help="Dice + TopK10, as in the paper, or Dice + cross-entropy (%(default)s)",
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
        type=int,
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
        one.add_argument("--device", default="auto")
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
        "--draws", type=int, default=4, metavar="N", help="draws per session (default: %(default)s)"
    )
    implants.add_argument(
        "--microbleeds",
        type=int,
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
    second.add_argument("derivatives", type=Path, help="as for train lesions")
    second.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder of the lesion model")
    second.add_argument("--masks", type=Path, metavar="DIR", help="as for train lesions")
    second.add_argument(
        "--steps", type=int, default=1200, metavar="N", help="of 128 places (default: %(default)s)"
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
            type=int,
            default=5,
            metavar="N",
            help="number of parts (default: %(default)s)",
        )
    for one in (lesions, implants, second):
        add_participants(one)
        one.add_argument("--random-seed", type=int, default=0, metavar="N")
    calibrate.add_argument(
        "bundle", type=Path, metavar="BUNDLE", help="folder of the lesion model; its card changes"
    )
    calibrate.add_argument(
        "evaluation",
        type=Path,
        metavar="EVALUATION",
        help="OUTPUT_DIR of evaluate for a run of that model on scans it was not trained on",
    )
    return parser


def evaluate_parser() -> argparse.ArgumentParser:
    """Parser of the ``evaluate`` verb."""
    parser = Parser(
        prog="cmb_bidsapp evaluate",
        usage="%(prog)s [options] [NAME=]PREDICTIONS [[NAME=]PREDICTIONS ...] REF_DERIVATIVES "
        "OUTPUT_DIR",
        description="Hold predictions of this app, or of any other tool, against a reference: "
        "lesions, voxels, counts, regions, anatomy; per session, per protocol and in all.",
        epilog="docs/evaluation.md has what is read, and the definition of every number. A "
        "reference session without a prediction is listed, counts as failed and enters no figure.",
    )
    parser.add_argument(
        "predicted",
        nargs="+",
        metavar="[NAME=]PREDICTIONS",
        help="folder, or pattern of files (NAME='out/**/*_pred.nii.gz'): output of this app, "
        "masks, instances, probabilities, or boxes and points as TSV or JSON; several are "
        "compared side by side",
    )
    parser.add_argument(
        "reference",
        type=Path,
        metavar="REF_DERIVATIVES",
        help="truth of a simulation, or masks of a rater",
    )
    parser.add_argument("output_dir", type=Path, metavar="OUTPUT_DIR", help="everything goes here")
    parser.add_argument(
        "--preset",
        choices=defaults.PRESET_NAMES,
        default=defaults.PRESET_NAMES[0],
        help="paper: one to one within 5 mm; valdo: as in the VALDO challenge; overlap: one to "
        "one, a voxel in common (%(default)s)",
    )
    parser.add_argument(
        "--connectivity",
        type=int,
        choices=(6, 26),
        default=defaults.CONNECTIVITY,
        help="neighbours of a voxel, where masks are taken apart into lesions (%(default)s)",
    )
    parser.add_argument(
        "--min-score",
        type=float,
        default=defaults.MIN_SCORE,
        metavar="P",
        help="marks and instances with a lower score count in the FROC only (%(default)s)",
    )
    parser.add_argument(
        "--thresholds",
        type=float,
        nargs="+",
        default=defaults.FROC_THRESHOLDS,
        metavar="P",
        help="probabilities or scores of the FROC "
        f"({' '.join(map(str, defaults.FROC_THRESHOLDS))})",
    )
    parser.add_argument(
        "--nprocs", type=int, metavar="N", help="sessions at a time (what is available)"
    )
    parser.add_argument(
        "--random-seed", type=int, default=0, metavar="N", help="of the bootstrap (%(default)s)"
    )
    add_participants(parser)
    return parser


def slurm_parser() -> argparse.ArgumentParser:
    """Parser of the ``slurm`` verb; what it does not know is the app's own command line."""
    parser = Parser(
        prog="cmb_bidsapp slurm",
        usage="%(prog)s [options] BIDS_DIR OUTPUT_DIR participant [group] [options of the app]",
        description="Write a Slurm script for a command line of the app: the participants as an "
        "array of tasks, the group level after them.",
        epilog="--nprocs (4), --mem (8G) and --device are each task's, -w is scratch of the node "
        "(SLURM_TMPDIR, TMPDIR or /tmp); the other options of the app are as without Slurm. "
        "docs/hpc.md has more.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--script",
        type=Path,
        default=Path("cmb_bidsapp.sbatch"),
        metavar="FILE",
        help="where it is written (%(default)s)",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--image", type=Path, metavar="SIF", help="container image to run")
    what.add_argument(
        "--program", type=Path, metavar="FILE", help="program to run instead (the one that runs)"
    )
    parser.add_argument(
        "--participants-per-task", type=int, default=1, metavar="N", help="(%(default)s)"
    )
    parser.add_argument("--at-most", type=int, metavar="N", help="tasks at a time (no limit)")
    parser.add_argument(
        "--time", default="4:00:00", metavar="LIMIT", help="of each task (%(default)s)"
    )
    parser.add_argument(
        "--sbatch",
        action="append",
        default=[],
        metavar="OPTION",
        help="another option of sbatch, such as --sbatch=--partition=long; may be repeated",
    )
    return parser
