"""The options of the other verbs (of train: in a module of its own), and the requests they make."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cmb_bidsapp.convert.request import ConversionRequest
from cmb_bidsapp.core import defaults
from cmb_bidsapp.core.request import Request
from cmb_bidsapp.evaluation.request import EvaluationRequest
from cmb_bidsapp.options.base import COUNT, NOT_NEGATIVE, PROBABILITY, SHARE, Number, Parser
from cmb_bidsapp.options.common import add_cores, add_participants, add_seed
from cmb_bidsapp.simulate.request import Kept, SimulationRequest


@dataclass(frozen=True, kw_only=True)
class SlurmRequest(Request):
    """A Slurm script to write for a command line of the app."""

    script: Path
    image: Path | None
    program: Path | None
    participants_per_task: int
    max_concurrent: int | None
    time: str
    sbatch: tuple[str, ...]

    def problems(self) -> list[str]:
        """Name what only the script would run into."""
        problems = []
        if self.image and not self.image.is_file():
            problems.append(f"--image {self.image}: not a file")
        program = self.program
        if program and not (program.is_file() and os.access(program, os.X_OK)):
            problems.append(f"--program {program}: not a file that can be executed")
        lines = (self.time, *self.sbatch)
        return [*problems, *(f"{one!r}: expected a single line" for one in lines if "\n" in one)]


def demo_parser() -> Parser:
    """Parser of the ``demo`` verb."""
    parser = Parser(
        prog="cmb_bidsapp demo",
        description="Simulate a small dataset with known microbleeds, run the app on it and show "
        "the results.",
    )
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=Path("cmb_demo"),
        help="folder for the demo (default: %(default)s)",
    )
    return parser


def simulate_parser() -> Parser:
    """Parser of the ``simulate`` verb."""
    parser = Parser(
        prog="cmb_bidsapp simulate",
        description="Simulate T1w and T2*w images with microbleeds, veins and calcifications. "
        "Writes a BIDS dataset, and the ground truth as derivatives.",
    )
    parser.add_argument(
        "output_dir", type=Path, metavar="OUTPUT_DIR", help="folder for the dataset"
    )
    parser.add_argument(
        "--label-maps",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="label maps of heads with FreeSurfer label numbers, 1 mm (default: one head "
        "made from the packaged atlas)",
    )
    parser.add_argument(
        "--participants",
        action=Number,
        type=int,
        within=COUNT,
        default=2,
        metavar="N",
        help="number of participants (default: %(default)s)",
    )
    parser.add_argument(
        "--protocol",
        nargs="+",
        default=["paper"],
        metavar="NAME|SPEC",
        help="acquisition protocols; participants take turns: paper, gre3t4mm, gre15t5mm, "
        "gre3t3mm, swi3t, gre15t3d, or your own as "
        "b0=3,te=20,voxel=0.5x0.5x4,gap=0.4,snr=25,sequence=swi",
    )
    parser.add_argument(
        "--microbleeds",
        action=Number,
        type=int,
        within=NOT_NEGATIVE,
        ordered=True,
        nargs=2,
        default=(0, 10),
        metavar=("MIN", "MAX"),
        help="number of microbleeds in the first session, visible or not (default: 0 10)",
    )
    parser.add_argument(
        "--share-without-microbleeds",
        action=Number,
        type=float,
        within=SHARE,
        default=0.0,
        metavar="SHARE",
        help="fraction of participants without microbleeds in the first session (default: "
        "%(default)s)",
    )
    _add_follow_ups(parser)
    _add_looks(parser)
    add_cores(
        parser,
        what="number of participants to simulate in parallel (default: %(default)s)",
        default=1,
    )
    add_seed(parser)
    return parser


def _add_follow_ups(parser: Parser) -> None:
    parser.add_argument(
        "--sessions",
        action=Number,
        type=int,
        within=COUNT,
        default=1,
        metavar="N",
        help="number of sessions per participant: ses-1, then follow-ups of the same head "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--new",
        action=Number,
        type=int,
        within=NOT_NEGATIVE,
        ordered=True,
        nargs=2,
        default=(0, 3),
        metavar=("MIN", "MAX"),
        help="number of new microbleeds in every follow-up (default: 0 3)",
    )
    parser.add_argument(
        "--unchanged",
        action=Number,
        type=float,
        within=SHARE,
        default=0.0,
        metavar="SHARE",
        help="fraction of participants without new microbleeds at follow-up (default: %(default)s)",
    )
    parser.add_argument(
        "--follow-up-protocol",
        nargs="+",
        default=(),
        metavar="NAME|SPEC",
        help="protocols of the follow-ups; participants take turns (default: that of the "
        "first session)",
    )


def _add_looks(parser: Parser) -> None:
    parser.add_argument(
        "--texture",
        nargs="+",
        type=Path,
        default=(),
        metavar="FILE",
        help="gradient-echo magnitude images whose texture is copied to the simulated brains "
        "(default: none)",
    )
    parser.add_argument(
        "--phase", action="store_true", help="also write the phase of the T2*w images (not of SWI)"
    )
    parser.add_argument(
        "--head",
        choices=tuple(one.value for one in Kept),
        default=Kept.WHOLE.value,
        help="how much of the head to keep; imitates archives that removed the face or parts "
        "of the skull (default: %(default)s)",
    )
    parser.add_argument(
        "--t1w-on-t2star",
        action="store_true",
        help="resample the T1w to the T2*w grid, as some archives do",
    )


def convert_parser() -> Parser:
    """Parser of the ``convert`` verb."""
    parser = Parser(
        prog="cmb_bidsapp convert",
        description="Convert a dataset with microbleed masks to BIDS, in the form that training "
        "needs.",
    )
    sources = parser.add_subparsers(dest="what", required=True, metavar="{valdo}")
    valdo = sources.add_parser("valdo", help="VALDO 2021, Task 2 (microbleeds)")
    valdo.add_argument(
        "valdo_dir",
        type=Path,
        metavar="VALDO_DIR",
        help="folder with the data of the challenge; not modified",
    )
    valdo.add_argument(
        "bids_dir",
        type=Path,
        metavar="BIDS_DIR",
        help="folder for the images; the masks of the raters go to "
        "BIDS_DIR/derivatives/valdo. Rerun to resume",
    )
    return parser


def evaluate_parser() -> Parser:
    """Parser of the ``evaluate`` verb."""
    parser = Parser(
        prog="cmb_bidsapp evaluate",
        usage="%(prog)s [options] [NAME=]PREDICTIONS [[NAME=]PREDICTIONS ...] REF_DERIVATIVES "
        "OUTPUT_DIR",
        description="Compare predictions of this app or another tool with a reference. Reports "
        "scores for lesions, voxels, counts, regions and anatomy, per session, per "
        "protocol and overall.",
        epilog="docs/evaluation.md lists the supported inputs and defines every number. A "
        "reference session without a prediction is listed as failed and excluded from "
        "all scores.",
    )
    parser.add_argument(
        "predicted",
        nargs="+",
        metavar="[NAME=]PREDICTIONS",
        help="folder or file pattern (NAME='out/**/*_pred.nii.gz') with outputs of this app, "
        "masks, instances, probabilities, or boxes and points as TSV or JSON. Several "
        "are compared side by side",
    )
    parser.add_argument(
        "reference",
        type=Path,
        metavar="REF_DERIVATIVES",
        help="reference: truth of a simulation, or masks of a rater",
    )
    parser.add_argument(
        "output_dir", type=Path, metavar="OUTPUT_DIR", help="folder for the results"
    )
    parser.add_argument(
        "--preset",
        choices=defaults.PRESET_NAMES,
        default=defaults.PRESET_NAMES[0],
        help="how predicted and reference lesions are matched. paper: one to one within 5 "
        "mm; valdo: as in the VALDO challenge; overlap: one to one with at least one "
        "shared voxel (default: %(default)s)",
    )
    parser.add_argument(
        "--connectivity",
        type=int,
        choices=(6, 26),
        default=defaults.CONNECTIVITY,
        help="voxel connectivity when masks are split into lesions (default: %(default)s)",
    )
    parser.add_argument(
        "--min-score",
        action=Number,
        type=float,
        within=PROBABILITY,
        default=defaults.MIN_SCORE,
        metavar="P",
        help="minimum score of marks and instances; lower ones count only in the FROC "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--thresholds",
        action=Number,
        type=float,
        within=PROBABILITY,
        nargs="+",
        default=defaults.FROC_THRESHOLDS,
        metavar="P",
        help="thresholds of the FROC, as probabilities or scores (default: "
        f"{' '.join(map(str, defaults.FROC_THRESHOLDS))})",
    )
    add_cores(
        parser, what="number of sessions to process in parallel (default: all available cores)"
    )
    add_seed(parser, "random seed of the bootstrap (default: %(default)s)")
    add_participants(parser)
    return parser


def slurm_parser() -> Parser:
    """Parser of the ``slurm`` verb; what it does not know is the app's own command line."""
    parser = Parser(
        prog="cmb_bidsapp slurm",
        usage="%(prog)s [options] BIDS_DIR OUTPUT_DIR participant [group] [options of the app]",
        description="Write a Slurm script for a command line of the app. The participants run as "
        "an array job; the group level runs after them.",
        epilog="--nprocs (default 4), --mem (default 8G) and --device apply to each task. -w "
        "defaults to node-local scratch (SLURM_TMPDIR, TMPDIR or /tmp). All other "
        "options of the app work as without Slurm. See docs/hpc.md.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--script",
        type=Path,
        default=Path("cmb_bidsapp.sbatch"),
        metavar="FILE",
        help="file name of the script (default: %(default)s)",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--image", type=Path, metavar="SIF", help="container image to run")
    what.add_argument(
        "--program",
        type=Path,
        metavar="FILE",
        help="program to run instead of an image (default: this one)",
    )
    parser.add_argument(
        "--participants-per-task",
        action=Number,
        type=int,
        within=COUNT,
        default=1,
        metavar="N",
        help="participants per array task (default: %(default)s)",
    )
    parser.add_argument(
        "--max-concurrent",
        action=Number,
        type=int,
        within=COUNT,
        metavar="N",
        help="maximum number of tasks that run at once (default: no limit)",
    )
    parser.add_argument(
        "--time",
        default="4:00:00",
        metavar="LIMIT",
        help="time limit of each task (default: %(default)s)",
    )
    parser.add_argument(
        "--sbatch",
        action="append",
        default=[],
        metavar="OPTION",
        help="extra sbatch option, such as --sbatch=--partition=long; can be given several times",
    )
    return parser


def read_demo(arguments: Sequence[str]) -> Path:
    """Folder that the ``demo`` verb is asked to fill."""
    folder: Path = demo_parser().parse_args(arguments).folder
    return folder


def read_simulation(arguments: Sequence[str]) -> SimulationRequest:
    """Parse and check a command line of the ``simulate`` verb."""
    return simulate_parser().request(SimulationRequest, arguments)


def read_conversion(arguments: Sequence[str]) -> ConversionRequest:
    """Parse and check a command line of the ``convert`` verb."""
    return convert_parser().request(ConversionRequest, arguments)


def read_evaluation(arguments: Sequence[str]) -> EvaluationRequest:
    """Parse and check a command line of the ``evaluate`` verb."""
    parser = evaluate_parser()
    return parser.checked(EvaluationRequest, parser.parse_intermixed_args(arguments))


def read_slurm(arguments: Sequence[str]) -> tuple[SlurmRequest, list[str]]:
    """Parse a command line of the ``slurm`` verb; what is left is one of the app."""
    parser = slurm_parser()
    given, left = parser.parse_known_args(arguments)
    return parser.checked(SlurmRequest, given), left
