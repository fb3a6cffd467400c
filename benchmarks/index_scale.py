"""Time and memory of choosing the scans of a dataset, beside those of pybids reading it.

Makes participants with two sessions of a T1w and a T2*w each, with sidecars, in a folder that goes
afterwards; images have a header and zeros. Then ``cmb_bidsapp --dry-run`` chooses the scans of one
participant and of more and more of them, and ``bids.BIDSLayout`` reads the smallest part.

Usage: python benchmarks/index_scale.py [--participants 10000] [--pybids 1000]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from cmb_bidsapp.bids.outputs import bids_name, write_image, write_json

SESSIONS = ("A", "B")
#: Voxels and their size (mm).
SHAPE, SPACING = (256, 256, 40), (0.9, 0.9, 3.5)
#: Sidecars as converters write them. Without ``ImageType`` the app reads a few slices besides.
ACQUIRED = {"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"], "MagneticFieldStrength": 3}
SIDECARS = {
    "T1w": {**ACQUIRED, "EchoTime": 0.003, "RepetitionTime": 2.3, "FlipAngle": 9},
    "T2starw": {**ACQUIRED, "EchoTime": 0.02, "RepetitionTime": 0.7, "FlipAngle": 20},
}


def make(root: Path, participants: range) -> None:
    """Add participants; all images and sidecars of a kind are one file with many names."""
    originals = root.parent / "originals"
    write_json(root / "dataset_description.json", {"Name": "scale", "BIDSVersion": "1.10.0"})
    for suffix, sidecar in SIDECARS.items():
        if not (originals / f"{suffix}.json").exists():
            image = np.zeros(SHAPE, np.int16)
            write_image(originals / f"{suffix}.nii.gz", image, np.diag([*SPACING, 1]), sidecar)
    for number in participants:
        for session in SESSIONS:
            own = {"sub": f"{number:05d}", "ses": session}
            folder = root / f"sub-{own['sub']}" / f"ses-{session}" / "anat"
            folder.mkdir(parents=True)
            for suffix in SIDECARS:
                for ending in (".nii.gz", ".json"):
                    path = folder / bids_name(own, suffix, ending)
                    os.link(originals / f"{suffix}{ending}", path)


def measure(command: list[str]) -> tuple[float, float, float]:
    """Run a command; seconds of the clock and of the processor, peak resident memory (MB)."""
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    seconds = time.perf_counter() - began
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def show(what: str, participants: int, command: list[str]) -> None:
    """Print a row of the table."""
    seconds, busy, peak = measure(command)
    each = 1000 * busy / participants
    row = f"{what:34s} {participants:12d} {seconds:8.1f} {busy:12.1f} {each:16.1f} {peak:8.0f}"
    print(row, flush=True)


def main() -> None:
    """Grow one dataset, and measure both with more and more participants."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--participants", type=int, default=10_000)
    parser.add_argument("--pybids", type=int, default=1000, help="as many for pybids")
    given = parser.parse_args()
    print(
        f"{'':34s} {'participants':>12s} {'seconds':>8s} {'CPU seconds':>12s} "
        f"{'ms a participant':>16s} {'peak MB':>8s}"
    )
    with tempfile.TemporaryDirectory() as folder:
        root, made = Path(folder) / "bids", 0
        app = [sys.executable, "-m", "cmb_bidsapp", str(root), f"{folder}/out", "participant"]
        whole = "import sys, bids; bids.BIDSLayout(sys.argv[1])"
        sizes = {given.participants // 4, given.participants // 2, given.participants}
        for size in sorted({given.pybids, *sizes}):
            make(root, range(made, size))
            made = size
            one = [*app, "--dry-run", "--participant-label", f"{size - 1:05d}"]
            show(f"cmb_bidsapp, one of {size}", 1, one)
            show("cmb_bidsapp, all", size, [*app, "--dry-run"])
            if size == given.pybids:
                show("bids.BIDSLayout", size, [sys.executable, "-c", whole, str(root)])


if __name__ == "__main__":
    main()
