"""Time and memory of the group level on more and more participants.

Writes what the group level reads of a participant (tables of one or two sessions, stamps, quality
of the anatomy, changes; no images) and runs ``cmb_bidsapp group`` on them in a child process.

Usage: python benchmarks/group_scale.py FOLDER [--participants 500 2000 10000]
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from cmb_bidsapp.anatomy.quality import COLUMNS as MEASURES
from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import sidecar_of, write_json
from cmb_bidsapp.clinical.follow_up import CHANGE_COLUMNS
from cmb_bidsapp.core.labels import MARS_FORM
from cmb_bidsapp.group.changes import COUNTS
from cmb_bidsapp.lesions.table import COLUMNS

#: Sequence, field strength (T), echo time (s) and voxel (mm) of the scanners.
SCANNERS = (
    ("T2starw", 3.0, 0.02, [0.5, 0.5, 2.0]),
    ("T2starw", 1.5, 0.04, [0.9, 0.9, 5.0]),
    ("swi", 3.0, 0.02, [0.8, 0.8, 3.0]),
)
#: Share of the participants who have microbleeds, of those with a second session, and of those
#: whose table was cut off.
POSITIVE, FOLLOWED, BROKEN = 0.3, 0.25, 0.002
#: Names of measures, their units, mean and limits.
QUALITY = [(f"structure {number} volume", "ml", 10.0 + number, 5.0, 40.0) for number in range(21)]


def write(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write a table plainly: the app's own way waits for the disk every time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [columns, *([row.get(column, "n/a") for column in columns] for row in rows)]
    path.write_text("".join("\t".join(map(str, line)) + "\n" for line in lines))


def lesion(rng: np.random.Generator, number: int) -> dict:
    """A candidate as the table has it."""
    region, (_, group, _) = list(MARS_FORM.items())[rng.integers(len(MARS_FORM))]
    x, y, z = rng.normal((0, -20, 20), (30, 40, 25)).round(2)
    kept = rng.random() < 0.8
    return dict.fromkeys(COLUMNS, 0.5) | {
        "lesion_id": number,
        "status": "kept" if kept else "rejected",
        "reason": "parenchyma" if kept else "periphery-not-brain",
        "grade": rng.choice(["definite", "possible", "below-size"], p=[0.5, 0.4, 0.1]),
        "grade_reason": "diameter 4.1 mm; probability 0.99999; roundness 0.8; contrast 0.4",
        "region": group,
        "mars_region": region,
        "side": rng.choice(["left", "right"]),
        "border": rng.choice(["true", "false"], p=[0.1, 0.9]),
        **{"x": x, "y": y, "z": z, "mni_x": x, "mni_y": y, "mni_z": z},
        "calibrated_probability": round(rng.uniform(0.3, 1), 4) if kept else "n/a",
        **{f"votes_{name}": 12 for name in ("lobar", "deep", "infratentorial")},
        "cfpr_mode": "paper",
    }


def write_participant(root: Path, label: str, rng: np.random.Generator) -> None:
    """Write the tables of one participant."""
    sessions = ("A", "B") if rng.random() < FOLLOWED else (None,)
    sequence, field, echo, voxel = SCANNERS[rng.choice(3, p=[0.6, 0.3, 0.1])]
    lesions = rng.geometric(0.25) if rng.random() < POSITIVE else 0
    for session in sessions:
        files = SessionFiles(root, label, session)
        write(files.lesions, list(COLUMNS), [lesion(rng, n + 1) for n in range(lesions)])
        if rng.random() < BROKEN:
            text = files.lesions.read_text()
            files.lesions.write_text(text[: len(text) // 2])
        quality = [
            {"measure": name, "value": round(rng.normal(mean, 2), 3), "units": units, "low": low}
            | {"high": high, "flag": "ok" if rng.random() < 0.98 else "low"}
            for name, units, mean, low, high in QUALITY
        ]
        write(files.quality, list(MEASURES), quality)
        acquired = {"SequenceKind": sequence, "MagneticFieldStrength": field, "EchoTime": echo}
        write_json(sidecar_of(files.t2star), {**acquired, "VoxelSize": voxel})
    if len(sessions) > 1:
        change = dict.fromkeys(CHANGE_COLUMNS, "n/a") | {
            **{"session_id": "ses-B", "baseline_session_id": "ses-A", "registration": "good"},
            **{"protocol_changed": "false", "processing_changed": "false"},
            **dict.fromkeys(COUNTS, 0),
            **{"persistent": lesions, "new": rng.poisson(0.4), "aria_h": "mild"},
        }
        write(SessionFiles(root, label, None).changes, list(CHANGE_COLUMNS), [change])


def measure(root: Path) -> tuple[float, float, float]:
    """Run the group level; seconds of the clock and of the processor, peak resident memory (MB)."""
    began = time.perf_counter()
    folders = [str(root / name) for name in ("no-raw-data", "out")]
    command = [sys.executable, "-m", "cmb_bidsapp", *folders, "group"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise SystemExit(f"the group level ended with {process.returncode}")
    seconds = time.perf_counter() - began
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    """Make the participants that are not there yet, and measure with more and more of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--participants", type=int, nargs="+", default=[500, 2000, 10000])
    given = parser.parse_args()
    print("participants  seconds  CPU seconds  peak MB  group.html MB")
    for number in sorted(given.participants):
        root = given.folder / f"participants-{number}"
        if not root.exists():
            for one in range(number):
                write_participant(root / "out", f"{one:05d}", np.random.default_rng(one))
        seconds, busy, peak = measure(root)
        page = (root / "out" / "group.html").stat().st_size / 2**20
        row = f"{number:12d} {seconds:8.1f} {busy:12.1f} {peak:8.0f} {page:14.2f}"
        print(row, flush=True)


if __name__ == "__main__":
    main()
