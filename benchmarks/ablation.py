"""The rows of the paper's table 2: loss, proxy classes and CFPR, trained alike, tested alike.

Four networks are trained from random weights on the same scans for as many steps each, and
evaluated before and after CFPR. What is there from an earlier run is used.

Usage: python benchmarks/ablation.py TRAINING_TRUTH TEST_TRUTH WORK [--epochs N] [--nprocs N]
TRAINING_TRUTH (one protocol) and TEST_TRUTH (others) are written by ``cmb_bidsapp simulate``.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from cmb_bidsapp.bids.outputs import read_table

ROWS = {
    "DiceCE": ["--loss", "ce", "--no-proxy"],
    "DiceTopK": ["--loss", "topk", "--no-proxy"],
    "DiceCE, proxy": ["--loss", "ce"],
    "DiceTopK, proxy": ["--loss", "topk"],
}
#: Columns of ``evaluation_summary.tsv``; those of the first two have an interval.
DICE, F1, OTHERS = "dice_mean", "f1", ("recall", "precision", "fp_per_scan")


def call(*arguments: str | Path) -> None:
    """Run a command line of this Python; its output is shown."""
    subprocess.run([sys.executable, *map(str, arguments)], check=True)


def train_and_evaluate(name: str, given: argparse.Namespace) -> Path:
    """One row: train, segment, evaluate; returns the folder of the tables."""
    folder = given.work / name.replace(", ", "-")
    model, out, tables = (folder / part for part in ("model", "out", "tables"))
    processes = ["--nprocs", str(given.nprocs)]
    if not model.exists():
        where = ["--work-dir", folder / "training", "--output-dir", model, "--name", "lesions"]
        budget = ["--epochs", str(given.epochs)]
        call("-m", "cmb_bidsapp", "train", "lesions", given.training, *ROWS[name], *budget, *where)
    segment = Path(__file__).with_name("segment_truth.py")
    alike = ["--threshold", "0.5", "--no-tta", *processes]
    call(segment, given.test, out, "--model", model, *alike)
    call("-m", "cmb_bidsapp", "evaluate", out, given.test, tables, *processes)
    return tables


def main() -> None:
    """Train and evaluate all rows, then print them below each other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("training", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--nprocs", type=int, default=1)
    given = parser.parse_args()
    tables = {name: train_and_evaluate(name, given) for name in ROWS}
    print(f"\n{'':34s}{'Dice of voxels':26s}{'F1, pooled':26s}" + "  ".join(OTHERS))
    for name, folder in tables.items():
        for row in read_table(folder / "evaluation_summary.tsv"):
            if row["group"] == "all":
                cells = [f"{name}, {row['stage']}", interval(row, DICE), interval(row, F1)]
                print("{:34s}{:26s}{:26s}".format(*cells) + "  ".join(row[key] for key in OTHERS))


def interval(row: dict[str, str], name: str) -> str:
    """A figure with its bootstrap interval."""
    return "{:.3f} [{:.3f}, {:.3f}]".format(
        *(float(row[key]) for key in (name, f"{name}_low", f"{name}_high"))
    )


if __name__ == "__main__":
    main()
