"""Real scans whose microbleeds are marked by points: what is found, what is marked falsely, why.

FOLDER holds whole scans and, if there are any, stacks of a few slices:

``whole/``            BIDS dataset, one T2starw (and T1w) per participant
``whole_points.tsv``  sub, id, x, y, z (RAS mm), volume_mm3
``slabs/``            sub-*_T2starw.nii.gz
``slab_points.tsv``   file, i, j, k_in_slab (voxels, from 0)

The first digit of a participant's label is its cohort. Labels and marks are paired one to one
within 5 mm. Slabs are seen by the lesion network alone: without a whole head there is neither
brain extraction nor N4, and what is not 0 counts as tissue.

Usage: python benchmarks/real.py FOLDER --out DIR [--fast] [--model NAME|DIR ...]
       python benchmarks/real.py FOLDER --out DIR --fast --models-by-participant FILE.tsv
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from real_marks import (
    AROUND_MM,
    Spot,
    ball,
    distance_to_fluid,
    guess_kind,
    measure_spot,
    nearest_value,
)
from real_scans import (
    Label,
    Request,
    Scan,
    app_scans,
    fast_scans,
    participants_of,
    slab_scans,
    sphere_diameter,
)
from real_scores import IN_USE, Marks, Score, pair, scores_of, sweep

from cmb_bidsapp.bids.tables import read_table, write_table
from cmb_bidsapp.core.labels import PROXY_NAMES, STRUCTURES
from cmb_bidsapp.evaluation.matching import HIT_MM, Mark
from cmb_bidsapp.evaluation.results import AFTER
from cmb_bidsapp.lesions.instances import EXTENT
from cmb_bidsapp.preprocess.resampling import Grid
from cmb_bidsapp.train.calibrate import COLUMNS, SESSION_COLUMNS, SESSIONS, TABLE

#: A label without a volume, or a smaller one, is looked for this close (mm) to its point.
LEAST_RADIUS_MM = 2.0
#: Candidates for the calibration reach this probability. Below it they extend farther and are split
#: otherwise than at the threshold that is to be chosen.
LEAST_PROBABILITY = EXTENT

Row = dict[str, Any]
LABEL_COLUMNS = (
    *("participant", "scan", "id", "x", "y", "z", "volume_mm3", "diameter_mm", "dark_mm"),
    *("contrast", "elongation", "region", "structure", "kind", "probability", "found", "why"),
    "mark_mm",
)
MARK_COLUMNS = (
    *("participant", "scan", "x", "y", "z", "diameter_mm", "dark_mm", "contrast", "probability"),
    *("region", "structure", "status", "kind", "elongation", "slices", "edge_mm", "fluid_mm"),
)
SWEEP_COLUMNS = (
    *("cohort", "threshold", "cfpr", "scans", "labels", "found", "false", "false_per_scan"),
    *("f1", "f1_low", "f1_high"),
)
SCAN_COLUMNS = ("scan", "threshold", "cfpr", "labels", "found", "false")
#: Digits after the point; a probability of 0.9996 must not read 1.
DIGITS = {"probability": 4, "threshold": 4}


def label_rows(scan: Scan) -> Iterator[Row]:
    """Every label of a scan: what it looks like, what the network says, whether it is found."""
    marks = Marks.of(scan, scan.threshold)
    kept = marks.kept(cfpr=True)
    pairs = {found.reference: found for found in pair(scan.labels, kept)}
    grid = Grid.of(scan.t2star, scan.affine)
    for position, label in enumerate(scan.labels):
        radius = float(np.nanmax([LEAST_RADIUS_MM, label.diameter / 2]))
        spot = measure_spot(scan.t2star, scan.brain, scan.affine, ball(grid, label.center, radius))
        near = ball(grid, label.center, HIT_MM)
        most = float(scan.probability[tuple(near.T)].max()) if len(near) else float("nan")
        found = pairs.get(position)
        yield {
            "id": label.number,
            "elongation": spot.elongation,
            "volume_mm3": label.volume,
            "mark_mm": _mark_diameter(scan, kept[found.predicted]) if found else float("nan"),
            "found": found is not None,
            "why": f"{found.distance:.1f} mm away" if found else _missed(scan, label, most, marks),
            **_looks(scan, label.center, spot, label.diameter, most),
        }


def _mark_diameter(scan: Scan, mark: Mark) -> float:
    """Of the sphere of a mark's volume, mm."""
    return sphere_diameter(len(mark.voxels) * abs(float(np.linalg.det(scan.affine[:3, :3]))))


def _missed(scan: Scan, label: Label, most: float, marks: Marks) -> str:
    """Why a label has no mark."""
    at = ball(Grid.of(scan.t2star, scan.affine), label.center, LEAST_RADIUS_MM)
    if not scan.brain[tuple(at.T)].any():
        return "outside the brain mask"
    if most < scan.threshold:
        return "below the threshold"
    gaps = [float(np.linalg.norm(np.subtract(m.center, label.center))) for m in marks.lesions]
    near = [v.kept for v, gap in zip(marks.verdicts, gaps, strict=True) if gap <= HIT_MM]
    if not near:
        return f"the center of the nearest mark is {min(gaps):.1f} mm away"
    return "its mark is that of another label" if any(near) else "rejected by CFPR"


def mark_rows(scan: Scan) -> Iterator[Row]:
    """Every false mark of a scan at the threshold in use, with a guess at what lies there."""
    marks = Marks.of(scan, scan.threshold)
    hits = {found.predicted for found in pair(scan.labels, marks.kept(cfpr=True))}
    numbers = {marks.kept(cfpr=True)[position].number for position in hits}
    for lesion, verdict in zip(marks.lesions, marks.verdicts, strict=True):
        if lesion.number in numbers:
            continue
        spot = measure_spot(scan.t2star, scan.brain, scan.affine, lesion.voxels)
        diameter = _mark_diameter(scan, lesion)
        most = float(scan.probability[tuple(lesion.voxels.T)].max())
        yield {
            "status": "kept" if verdict.kept else "rejected",
            "elongation": spot.elongation,
            "slices": spot.slices,
            "edge_mm": spot.edge,
            "fluid_mm": distance_to_fluid(scan.structures, scan.affine, lesion.center),
            **_looks(scan, lesion.center, spot, diameter, most),
        }


def _looks(
    scan: Scan, center: tuple[float, float, float], spot: Spot, diameter: float, most: float
) -> Row:
    """What labels and marks have in common."""
    region = nearest_value(scan.regions, scan.affine, center, AROUND_MM)
    number = nearest_value(scan.structures, scan.affine, center, LEAST_RADIUS_MM)
    structure = STRUCTURES[number] if number else None
    fluid = distance_to_fluid(scan.structures, scan.affine, center)
    return {
        "participant": scan.participant,
        "scan": scan.name,
        **dict(zip("xyz", center, strict=True)),
        "diameter_mm": diameter,
        "dark_mm": spot.diameter,
        "contrast": spot.contrast,
        "probability": most,
        "region": PROXY_NAMES[region] if region else None,
        "structure": structure,
        "kind": guess_kind(spot, structure, fluid),
    }


def candidate_rows(scan: Scan) -> Iterator[Row]:
    """Labels and all marks that CFPR keeps, as an evaluation has them: for calibration."""
    about = {"participant_id": scan.participant, "stage": AFTER, "fate": None}
    for label in scan.labels:
        place = dict(zip("xyz", label.center, strict=True))
        yield {**about, **place, "side": "reference", "probability_max": None}
    for mark in Marks.of(scan, LEAST_PROBABILITY).kept(cfpr=True):
        place = dict(zip("xyz", mark.center, strict=True))
        most = float(scan.probability[tuple(mark.voxels.T)].max())
        yield {**about, **place, "side": "predicted", "probability_max": most}


def write_evaluation(folder: Path, scans: Sequence[Scan]) -> None:
    """What ``cmb_bidsapp train calibrate`` reads, of whole scans."""
    candidates = [row for scan in scans for row in candidate_rows(scan)]
    write_table(folder / TABLE, COLUMNS, candidates)
    sessions = [
        {
            "participant_id": scan.participant,
            "stage": AFTER,
            "status": "evaluated",
            "reference": len(scan.labels),
        }
        for scan in scans
    ]
    write_table(folder / SESSIONS, SESSION_COLUMNS, sessions)
    print(f"\nfor cmb_bidsapp train calibrate: {folder}")


def side_by_side(rows: Iterable[Row]) -> list[Row]:
    """Rows of a sweep for the eye: with and without CFPR beside each other."""
    found: dict[tuple[str, float], Row] = {}
    for row in rows:
        line = found.setdefault((row["cohort"], row["threshold"]), {})
        line |= {key: row[key] for key in ("cohort", "threshold", "scans", "labels")}
        f1 = f"{row['f1']:.2f}"
        if math.isfinite(row["f1_low"]):
            f1 += f" ({row['f1_low']:.2f}-{row['f1_high']:.2f})"
        own = {"found": row["found"], "false/scan": row["false_per_scan"], "F1": f1}
        line |= {key if row["cfpr"] else f"{key}, no CFPR": value for key, value in own.items()}
    order = ("cohort", "threshold", "scans", "labels", "found", "false/scan", "F1")
    without = tuple(f"{key}, no CFPR" for key in order[4:])
    return [{key: row[key] for key in (*order, *without)} for row in found.values()]


def scan_rows(scores: Iterable[Score]) -> Iterator[Row]:
    """Counts of each scan, for the table."""
    for score in scores:
        yield {
            "scan": score.scan,
            "threshold": "in use" if score.threshold == IN_USE else score.threshold,
            "cfpr": score.cfpr,
            "labels": score.counts.reference,
            "found": score.counts.tp,
            "false": score.counts.fp,
        }


def show(title: str, rows: Sequence[Row], columns: Sequence[str]) -> None:
    """Print rows below each other."""
    print(f"\n{title}" if rows else f"\n{title}: none")
    if rows:
        cells = [list(columns)] + [[_text(c, row.get(c)) for c in columns] for row in rows]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for line in cells:
            print("  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)), flush=True)


def _text(column: str, value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.{DIGITS.get(column, 2)}f}" if np.isfinite(value) else "-"
    return "-" if value is None else str(value)


def report(name: str, kind: str, scans: Iterable[Scan], out: Path) -> None:
    """Score some scans, print the tables and write them."""
    scores: list[Score] = []
    labels: list[Row] = []
    marks: list[Row] = []
    for scan in scans:
        scores += scores_of(scan)
        labels += label_rows(scan)
        marks += mark_rows(scan)
    if not scores:
        return
    table = list(sweep(scores))
    for rows, columns, what in (
        (table, SWEEP_COLUMNS, "sweep"),
        (scan_rows(scores), SCAN_COLUMNS, "scans"),
        (labels, LABEL_COLUMNS, "labels"),
        (marks, MARK_COLUMNS, "marks"),
    ):
        write_table(out / f"{name}_{kind}_{what}.tsv", columns, rows)
    compact = side_by_side(table)
    show(f"{name}, {kind}, by threshold", compact, list(compact[0]))
    if kind != "slabs":
        show(f"{name}, {kind}: labels", labels, LABEL_COLUMNS[1:])
        show(f"{name}, {kind}: false marks at the threshold in use", marks, MARK_COLUMNS[1:])
    heaps = Counter(row["kind"] for row in marks if row["status"] == "kept").most_common()
    if heaps:
        print("\nfalse marks look like:", ", ".join(f"{kind} {n}" for kind, n in heaps))


def models_by_participant(path: Path) -> dict[str, str]:
    """Model of each participant, from a table with the columns participant_id and model."""
    rows = read_table(path, ["participant_id", "model"])
    return {f"sub-{row['participant_id'].removeprefix('sub-')}": row["model"] for row in rows}


def label_of(model: str) -> str:
    """Name of a model in titles and files: bundles of several trainings may have the same one.

    >>> label_of("lesions"), label_of("/work/fold-1/bundle")
    ('lesions', 'fold-1-bundle')
    """
    return "-".join(part for part in Path(model).parts[-2:] if part != "/")


def main() -> None:
    """Score every model asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="outputs, tables and what is kept")
    parser.add_argument("--model", nargs="+", action="extend", help="default: lesions")
    parser.add_argument(
        "--models-by-participant",
        type=Path,
        metavar="TSV",
        help="participant_id and model: the model that scores each participant; others are left "
        "out, so that a cross-validated bundle is scored by its held-out models",
    )
    parser.add_argument("--threshold", type=float, help="the model's own")
    parser.add_argument("--fast", action="store_true", help="mask, N4 and lesion network alone")
    parser.add_argument("--participant-label", nargs="+", help="these participants alone")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--nprocs", type=int, default=1, help="sessions at a time, whole app")
    given = parser.parse_args()
    people = participants_of(given.folder)
    if given.participant_label:
        asked = {f"sub-{label.removeprefix('sub-')}" for label in given.participant_label}
        people = [person for person in people if person in asked]
    runs = {label_of(model): dict.fromkeys(people, model) for model in given.model or ()}
    if len(runs) < len(given.model or ()):
        parser.error("--model: two folders have the same name, and so have their parents")
    if given.models_by_participant:
        held_out = models_by_participant(given.models_by_participant)
        left_out = [person for person in people if person not in held_out]
        if left_out:
            print("no model, left out:", *left_out)
        own = {person: held_out[person] for person in people if person in held_out}
        runs[given.models_by_participant.stem] = own
    for name, models in (runs or {"lesions": dict.fromkeys(people, "lesions")}).items():
        how = given.threshold, given.device, given.nprocs
        request = Request(given.folder, given.out, models, *how)
        kind = "fast" if given.fast else "app"
        whole = list(fast_scans(request) if given.fast else app_scans(request))
        report(name, kind, whole, given.out)
        write_evaluation(given.out / f"{name}_{kind}_evaluation", whole)
        report(name, "slabs", slab_scans(request), given.out)


if __name__ == "__main__":
    main()
