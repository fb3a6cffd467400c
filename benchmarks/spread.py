"""How far two runs on the same dataset differ, such as one with other threads.

Usage: python benchmarks/spread.py OUTPUT_DIR OTHER_OUTPUT_DIR

Of images the share of voxels that differ and the largest difference, of masks and labels the
overlap (Dice of what is labeled alike); of tables the cells that differ.
"""

import sys
from pathlib import Path

import nibabel as nib
import numpy as np

from cmb_bidsapp.bids.tables import read_table


def image(one: Path, other: Path) -> str:
    """What differs in two images."""
    a, b = (np.asarray(nib.load(path).dataobj) for path in (one, other))
    if a.shape != b.shape:
        return f"shape {a.shape} and {b.shape}"
    differ = a != b
    if not differ.any():
        return "same"
    told = f"{differ.mean():.2e} of the voxels"
    if np.issubdtype(a.dtype, np.integer):
        alike = ((a == b) & (a > 0)).sum()
        return f"{told}, Dice {2 * alike / ((a > 0).sum() + (b > 0).sum()):.5f}"
    return f"{told}, at most {np.abs(a.astype(np.float64) - b).max():.3g} of {np.abs(a).max():.3g}"


def table(one: Path, other: Path) -> str:
    """What differs in two tables."""
    a, b = (read_table(path) for path in (one, other))
    if len(a) != len(b):
        return f"{len(a)} and {len(b)} rows"
    differ = {
        name: max(differ, key=lambda pair: abs(_number(pair[0]) - _number(pair[1])))
        for name in (a[0] if a else {})
        if (differ := [(x[name], y.get(name, "")) for x, y in zip(a, b, strict=True)])
        and any(p != q for p, q in differ)
    }
    return ", ".join(f"{name} {p} / {q}" for name, (p, q) in differ.items()) or "same"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def main() -> None:
    """Print what differs, a line per image and table."""
    root, other = map(Path, sys.argv[1:])
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        if "logs" in name.parts or not path.name.endswith((".nii.gz", ".tsv")):
            continue
        compare = image if path.name.endswith(".nii.gz") else table
        there = (other / name).is_file()
        print(f"{name}: {compare(path, other / name) if there else 'in one only'}")


if __name__ == "__main__":
    main()
