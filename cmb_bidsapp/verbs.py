"""The options of the other verbs: demo, simulate, convert, train, evaluate."""

from __future__ import annotations

import argparse
from pathlib import Path

from cmb_bidsapp.parser import Parser


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
        help="sources per session, visible or not",
    )
    parser.add_argument(
        "--free",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of sessions without any (%(default)s)",
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


def train_parser() -> argparse.ArgumentParser:
    """Parser of the ``train`` verb."""
    parser = Parser(
        prog="cmb_bidsapp train", description="Train the anatomy or the lesion network."
    )
    verbs = parser.add_subparsers(dest="what", required=True, metavar="{anatomy,lesions}")
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
    return parser


def evaluate_parser() -> argparse.ArgumentParser:
    """Parser of the ``evaluate`` verb."""
    parser = Parser(
        prog="cmb_bidsapp evaluate",
        description="Hold the app's output against a reference: lesions, voxels, regions, anatomy, "
        "per session, per protocol and in all.",
        epilog="Lesions match one to one within 5 mm between centres. A reference session without "
        "a prediction is listed, counts as failed and enters no figure.",
    )
    parser.add_argument(
        "predicted", type=Path, metavar="PRED_DERIVATIVES", help="output folder of this app"
    )
    parser.add_argument(
        "reference",
        type=Path,
        metavar="REF_DERIVATIVES",
        help="truth of a simulation, or *_space-T2starw_label-CMB_mask.nii.gz of a rater",
    )
    parser.add_argument("output_dir", type=Path, metavar="OUTPUT_DIR", help="tables go here")
    parser.add_argument(
        "--thresholds",
        type=float,
        nargs="+",
        default=[0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995],
        metavar="P",
        help="probabilities of the sweep (%(default)s)",
    )
    parser.add_argument(
        "--nprocs", type=int, metavar="N", help="sessions at a time (what is available)"
    )
    parser.add_argument(
        "--random-seed", type=int, default=0, metavar="N", help="of the bootstrap (%(default)s)"
    )
    return parser
