"""The rows of the paper's table 2: loss, proxy classes and CFPR, trained alike, tested alike.

Four networks are trained from random weights on the same scans for as many steps each, and
evaluated before and after CFPR. What is there from an earlier run is used.

Usage: python benchmarks/ablation.py TRAINING_TRUTH WORK [NAME=TEST_TRUTH ...] [--real FOLDER]
TRAINING_TRUTH (one protocol, or several) and TEST_TRUTH (the same, others) are written by
``cmb_bidsapp simulate``; FOLDER holds real scans, as ``real.py`` wants them.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from cmb_bidsapp.bids.tables import read_table

ROWS = {
    "DiceCE": ["--loss", "ce", "--no-proxy"],
    "DiceTopK": ["--loss", "topk", "--no-proxy"],
    "DiceCE, proxy": ["--loss", "ce"],
    "DiceTopK, proxy": ["--loss", "topk"],
}
#: Probability that counts as a microbleed.
THRESHOLD = "0.5"
#: Columns of ``evaluation_summary.tsv``; those of the first two have an interval.
DICE, F1, OTHERS = "dice_mean", "f1", ("recall", "precision", "fp_per_scan")


def call(*arguments: str | Path) -> None:
    """Run a command line of this Python; its output is shown."""
    subprocess.run([sys.executable, *map(str, arguments)], check=True)


def train(name: str, given: argparse.Namespace) -> Path:
    """Train one row; returns the folder it lies in."""
    folder: Path = given.work / name.replace(", ", "-")
    if not (folder / "model").exists():
        where = ["--work-dir", folder / "training", "--output-dir", folder / "model"]
        budget = ["--epochs", str(given.epochs), "--name", "lesions"]
        if given.patch_size:
            budget += ["--patch-size", *map(str, given.patch_size)]
        call("-m", "cmb_bidsapp", "train", "lesions", given.training, *ROWS[name], *budget, *where)
    return folder


def evaluate(folder: Path, test: str, given: argparse.Namespace) -> Path:
    """Segment and evaluate a test set with a trained row; returns the folder of the tables."""
    name, _, truth = test.partition("=")
    out, tables = folder / f"out-{name}", folder / f"tables-{name}"
    processes = ["--nprocs", str(given.nprocs)]
    segment = Path(__file__).with_name("segment_truth.py")
    alike = ["--threshold", THRESHOLD, "--no-tta", *processes]
    call(segment, truth, out, "--model", folder / "model", *alike)
    call("-m", "cmb_bidsapp", "evaluate", out, truth, tables, *processes)
    return tables


def score_real(folders: Iterable[Path], given: argparse.Namespace) -> None:
    """Print what the rows find in real scans, before and after CFPR, at every threshold."""
    models = [folder / "model" for folder in folders]
    alike = ["--threshold", THRESHOLD, "--fast", "--out", given.work / "real"]
    call(Path(__file__).with_name("real.py"), given.real, *alike, "--model", *models)


def main() -> None:
    """Train and evaluate all rows, then print them below each other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("training", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("tests", nargs="*", metavar="NAME=TEST_TRUTH")
    parser.add_argument("--real", type=Path, metavar="FOLDER", help="test on real scans as well")
    parser.add_argument("--epochs", type=int, default=16)
    size = ("SLICES", "ROWS", "COLUMNS")
    parser.add_argument("--patch-size", nargs=3, type=int, metavar=size, help="as planned")
    parser.add_argument("--nprocs", type=int, default=1)
    given = parser.parse_args()
    folders = {name: train(name, given) for name in ROWS}
    for test in given.tests:
        tables = {name: evaluate(folder, test, given) for name, folder in folders.items()}
        print(f"\n{test:34s}{'Dice of voxels':26s}{'F1, pooled':26s}" + "  ".join(OTHERS))
        for name, folder in tables.items():
            for row in read_table(folder / "evaluation_summary.tsv"):
                if row["group"] == "all":
                    cells = [f"{name}, {row['stage']}", interval(row, DICE), interval(row, F1)]
                    values = "  ".join(row[key] for key in OTHERS)
                    print("{:34s}{:26s}{:26s}".format(*cells) + values)
    if given.real:
        score_real(folders.values(), given)


def interval(row: dict[str, str], name: str) -> str:
    """A figure with its bootstrap interval, where it has one."""
    value, *ends = (row[key] for key in (name, f"{name}_low", f"{name}_high"))
    if "n/a" in (value, *ends):
        return value
    return "{:.3f} [{:.3f}, {:.3f}]".format(*map(float, (value, *ends)))


if __name__ == "__main__":
    main()
