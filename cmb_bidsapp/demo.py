"""The ``demo`` verb: a dataset of its own making, through the whole app, held against its truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import read_table

#: Lesions within this distance (mm) are the same (paper, section 3.4).
HIT_MM = 5.0


def make_demo_dataset(folder: Path) -> Path:
    """Simulate two participants, the first with two sessions; returns the truth derivatives."""
    from cmb_bidsapp.simulate.anatomy import atlas_head
    from cmb_bidsapp.simulate.dataset import Cohort, simulate_dataset
    from cmb_bidsapp.simulate.protocols import PROTOCOLS

    cohort = Cohort(
        heads=[atlas_head()],
        participants=2,
        protocols=[PROTOCOLS["paper"]],
        microbleeds=(6, 11),
        sessions={0: ("A", "B")},
        seed=20,
    )
    return simulate_dataset(
        cohort, folder, progress=lambda text: print(f"simulated {text}", flush=True)
    )


def run_demo(folder: Path) -> int:
    """Make the dataset, run both levels, compare with the truth, say where everything is."""
    from cmb_bidsapp.cli import read_settings, result_line, run_levels

    bids_dir, out_dir = folder / "bids", folder / "derivatives"
    truth = make_demo_dataset(bids_dir)
    settings = read_settings([str(bids_dir), str(out_dir), "participant", "group"])
    summary = run_levels(settings)
    print("\nmicrobleeds found, of those that are visible (within 5 mm):")
    for path in sorted(truth.glob("sub-*/**/*_lesions.tsv")):
        print("  " + _compare(path, out_dir.absolute()))
    print("\nreports:")
    for page in sorted(out_dir.absolute().glob("sub-*.html")):
        print(f"  {page}")
    print(f"group page:  {out_dir.absolute() / 'group.html'}")
    print(f"group table: {out_dir.absolute() / 'group_mars.tsv'}")
    print(result_line(summary.ok, summary.failed, summary.skipped, summary.code), flush=True)
    return int(summary.code)


def _compare(truth: Path, out_dir: Path) -> str:
    entities = dict(part.split("-", 1) for part in truth.name.split("_")[:-1])
    files = SessionFiles(out_dir, entities["sub"], entities.get("ses"))
    if not files.lesions.exists():
        return f"{files.label}: no result"
    visible = _points([row for row in read_table(truth) if row["visible"] == "true"])
    kept = _points([row for row in read_table(files.lesions) if row["status"] == "kept"])
    distance = np.linalg.norm(visible[:, None] - kept[None], axis=-1)
    found = int((distance.min(axis=1) <= HIT_MM).sum()) if kept.size and visible.size else 0
    extra = int((distance.min(axis=0) > HIT_MM).sum()) if kept.size and visible.size else len(kept)
    return f"{files.label}: {found} of {len(visible)}, and {extra} elsewhere"


def _points(rows: list[dict[str, str]]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.array([[float(row[axis]) for axis in "xyz"] for row in rows]).reshape(-1, 3)
