"""Time and memory of ``cmb_bidsapp evaluate`` on more and more scans of 560 x 560 x 30 voxels.

A few scans are made (a brain with regions, microbleeds found, missed and false, a probability
map: all that the app writes and ``evaluate`` reads); the others are hard links to them.

Usage: python benchmarks/evaluate_scale.py FOLDER [--scans 25 50 100] [--nprocs 2] [--distinct 4]
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
from scipy import ndimage

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import write_image
from cmb_bidsapp.bids.tables import write_table
from cmb_bidsapp.lesions.table import COLUMNS

SHAPE, AFFINE = (560, 560, 30), np.diag([0.4286, 0.4286, 4.0, 1.0])
#: Microbleeds of a scan: in both, in the reference alone, in the prediction alone.
SHARED, MISSED, FALSE = 6, 2, 3


def make(root: Path, label: str, seed: int) -> None:
    """Write one scan: the app's output and its truth."""
    rng = np.random.default_rng(seed)
    axes = np.ogrid[tuple(slice(-1, 1, n * 1j) for n in SHAPE)]
    radius = sum((axis / 0.8) ** 2 for axis in axes)
    brain = (radius < 1).astype(np.uint8)
    regions = np.select([radius < 0.2, (radius < 1) & (axes[2] < -0.4), radius < 1], [2, 3, 1])
    sides = np.where(axes[0] < 0, 100, 200)
    mars = np.where(regions > 0, sides + np.choose(regions, [0, 9, 4, 2]), 0)
    inside = np.argwhere(radius < 0.9)
    centers = inside[rng.choice(len(inside), SHARED + MISSED + FALSE, replace=False)]
    ball = np.argwhere(np.linalg.norm(np.indices((7, 7, 1)) - 3, axis=0)[..., :1] <= 3) - (3, 3, 0)
    images = {side: np.zeros(SHAPE, np.uint8) for side in ("reference", "predicted")}
    for number, center in enumerate(centers, 1):
        for side, there in (
            ("reference", number <= SHARED + MISSED),
            ("predicted", number <= SHARED or number > SHARED + MISSED),
        ):
            if there:
                images[side][tuple((center + ball).T)] = number
    noise = ndimage.zoom(rng.random((70, 70, 30), dtype=np.float32), (8, 8, 1), order=1)
    probability = np.where(images["predicted"] > 0, 0.9992, 0.02 * noise).astype(np.float32)
    for side in images:
        files = SessionFiles(root / side, label, None)
        write_image(files.mask, (images[side] > 0).astype(np.uint8), AFFINE, {})
        write_image(files.instances, images[side].astype(np.int16), AFFINE, {})
        write_image(files.proxy, regions.astype(np.uint8), AFFINE, {})
        write_image(files.mars, mars.astype(np.uint8), AFFINE, {})
        write_image(files.t2star_brain, brain, AFFINE, {})
        rows = [
            dict.fromkeys(COLUMNS)
            | {"lesion_id": number, "status": "kept", "region": "lobar", "probability_max": 0.9992}
            for number in np.unique(images[side][images[side] > 0]).tolist()
        ]
        write_table(files.lesions, list(COLUMNS), rows, COLUMNS)
    write_image(files.probability, probability, AFFINE, {})
    # Microbleeds are dark, so that the sweep has pieces to join.
    t2star = brain * np.where(images["predicted"] > 0, 0.5, 1 + 0.1 * noise).astype(np.float32)
    write_image(files.t2star, t2star, AFFINE, {})
    classes = np.where(images["predicted"] > 0, 4, regions).astype(np.uint8)
    write_image(files.network_labels, classes, AFFINE, {})


def link(made: Path, source: str, root: Path, label: str) -> None:
    """Give the files of a scan that was made another name and place as well."""
    for path in made.rglob(f"sub-{source}_*"):
        other = root / str(path.relative_to(made)).replace(f"sub-{source}", f"sub-{label}")
        other.parent.mkdir(parents=True, exist_ok=True)
        if not other.exists():
            os.link(path, other)


def measure(root: Path, scans: int, nprocs: int) -> tuple[float, float, float]:
    """Evaluate; seconds, and peaks of resident memory (MB): main process, largest other one."""
    began = time.perf_counter()
    folders = [str(root / name) for name in ("predicted", "reference", f"tables-{scans}")]
    command = [sys.executable, "-m", "cmb_bidsapp", "evaluate", *folders, "--nprocs", str(nprocs)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    main, others = psutil.Process(process.pid), 0
    own = 0
    while process.poll() is None:
        try:
            own = max(own, main.memory_info().rss)
            for child in main.children(recursive=True):
                others = max(others, child.memory_info().rss)
        except psutil.NoSuchProcess:
            pass
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"evaluate ended with {process.returncode}")
    return time.perf_counter() - began, own / 2**20, others / 2**20


def main() -> None:
    """Make the scans that are not there yet, and measure with more and more of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scans", type=int, nargs="+", default=[25, 50, 100])
    parser.add_argument("--nprocs", type=int, default=2)
    parser.add_argument("--distinct", type=int, default=4)
    given = parser.parse_args()
    made = given.folder / "made"
    names = [f"{number:02d}" for number in range(given.distinct)]
    for number, name in enumerate(names):
        if not (made / "predicted" / f"sub-{name}").exists():
            make(made, name, number)
    print("scans  seconds  seconds/scan  main process MB  largest worker MB")
    for scans in sorted(given.scans):
        root = given.folder / f"scans-{scans}"
        for number in range(scans):
            link(made, names[number % given.distinct], root, f"{number:04d}")
        seconds, own, others = measure(root, scans, given.nprocs)
        row = f"{scans:5d} {seconds:8.0f} {seconds / scans:13.2f} {own:16.0f} {others:18.0f}"
        print(row, flush=True)


if __name__ == "__main__":
    main()
