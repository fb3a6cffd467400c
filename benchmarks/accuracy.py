"""Hold the app's derivatives against the truth of a simulated dataset.

Usage: python benchmarks/accuracy.py TRUTH OUTPUT_DIR
"""

import sys
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.optimize import linear_sum_assignment

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import read_table

HIT_MM = 5.0
SWEEP = (0.5, 0.9, 0.98, 0.99, 0.999)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Overlap of two masks; nan where both are empty."""
    total = a.sum() + b.sum()
    return float(2 * (a & b).sum() / total) if total else float("nan")


def volume(path: Path) -> np.ndarray:
    """Voxels of an image."""
    return np.asarray(nib.load(path).dataobj)


def points(rows: list[dict[str, str]]) -> np.ndarray:
    """Centres, mm."""
    return np.array([[float(row[axis]) for axis in "xyz"] for row in rows]).reshape(-1, 3)


def hits(reference: np.ndarray, found: np.ndarray) -> list[tuple[int, int]]:
    """One-to-one matches within 5 mm."""
    distance = np.linalg.norm(reference[:, None] - found[None], axis=-1)
    pairs = zip(*linear_sum_assignment(np.where(distance <= HIT_MM, distance, 1e6)), strict=True)
    return [(int(i), int(j)) for i, j in pairs if distance[i, j] <= HIT_MM]


def session(table: Path, out_dir: Path) -> dict[str, float]:
    """Figures of one session."""
    entities = dict(part.split("-", 1) for part in table.name.split("_")[:-1])
    root = table.parents[2 + ("ses" in entities)]
    truth = SessionFiles(root, entities["sub"], entities.get("ses"))
    ours = SessionFiles(out_dir, truth.participant, truth.session)
    proxy, network = volume(ours.proxy), volume(ours.network_labels)
    true_proxy, true_brain = volume(truth.proxy), volume(truth.t2star_brain) > 0
    visible = [row for row in read_table(table) if row["visible"] == "true"]
    rows = read_table(ours.lesions)
    kept = [row for row in rows if row["status"] == "kept"]
    matched = hits(points(visible), points(kept))
    before = hits(points(visible), points(rows))
    mask, true_mask = volume(ours.mask) > 0, volume(truth.mask) > 0
    return {
        "brain": dice(volume(ours.t2star_brain) > 0, true_brain),
        "brain_t1w": dice(volume(ours.t1w_brain) > 0, volume(truth.t1w_brain) > 0),
        **{
            f"{kind}_{name}": dice(labels == value, true_proxy == value)
            for kind, labels in (("atlas", proxy), ("nnunet", network))
            for value, name in ((1, "lobar"), (2, "deep"), (3, "infratentorial"))
        },
        "voxel_dice": dice(mask, true_mask),
        "tp": len(matched),
        "fn": len(visible) - len(matched),
        "fp": len(kept) - len(matched),
        "tp_before_cfpr": len(before),
        "fp_before_cfpr": len(rows) - len(before),
        "region_right": sum(visible[i]["region"] == kept[j]["region"] for i, j in matched),
        "free": float(not visible),
        **{f"tp_{t}": len(hits(points(visible), points(reaching(kept, t)))) for t in SWEEP},
        **{f"kept_{t}": len(reaching(kept, t)) for t in SWEEP},
    }


def reaching(rows: list[dict[str, str]], threshold: float) -> list[dict[str, str]]:
    """Lesions that a threshold no lower than the run's own would have kept."""
    return [row for row in rows if float(row["probability_max"]) >= threshold]


def main() -> None:
    """Print a line per session and the summary."""
    truth, out_dir = Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute()
    results = {}
    for table in sorted(truth.glob("sub-*/**/*_label-CMB_lesions.tsv")):
        try:
            results[table.name] = session(table, out_dir)
        except FileNotFoundError as error:
            print(f"{table.name}: no result ({error.filename})")
    for name, result in results.items():
        print(name, {k: round(v, 3) for k, v in result.items() if "_0." not in k})
    keys = next(iter(results.values()))
    column = {key: np.array([result[key] for result in results.values()]) for key in keys}
    print(f"\n{len(results)} sessions")
    for key in column:
        if not key.startswith(("brain", "atlas", "nnunet", "voxel")):
            continue
        values = column[key]
        print(f"{key:24s} Dice mean {np.nanmean(values):.3f}  lowest {np.nanmin(values):.3f}")
    tp, fn, fp = (int(column[key].sum()) for key in ("tp", "fn", "fp"))
    before = int(column["tp_before_cfpr"].sum()), int(column["fp_before_cfpr"].sum())
    free = column["free"] > 0
    print(f"lesions: TP {tp}, FN {fn}, FP {fp}; before CFPR: TP {before[0]}, FP {before[1]}")
    print(f"F1 (5 mm, pooled) {2 * tp / max(1, 2 * tp + fn + fp):.3f}")
    print(f"FP per scan {fp / len(results):.2f}", end="")
    print(f", per scan without microbleeds {column['fp'][free].mean():.2f}" if free.any() else "")
    for t in SWEEP:
        found, all_kept = int(column[f"tp_{t}"].sum()), int(column[f"kept_{t}"].sum())
        score = 2 * found / max(1, all_kept + tp + fn)
        print(f"threshold {t} (or the run's): TP {found}, FP {all_kept - found}, F1 {score:.3f}")
    print(f"region right in {int(column['region_right'].sum())} of {tp} matched lesions")


if __name__ == "__main__":
    main()
