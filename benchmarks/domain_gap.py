"""Real scans beside simulated ones: what differs, and which difference the lesion model minds.

Four tables per group of scans (a cohort, or simulated ones of a voxel size): brightness, noise,
sharpness and texture; labeled lesions; false marks at --threshold; and the probability of lesions
that are moved, as what they multiply the signal with, into the white matter of other pictures of
like voxels. A lesion moved within its own kind of picture is the control.

Usage: python benchmarks/domain_gap.py REAL SIMULATED --out DIR [--model NAME|DIR]
REAL is laid out as ``real.py`` says, and DIR may be its --out. SIMULATED/whole is written by
``cmb_bidsapp simulate``.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from gap_measures import SCALES_MM, Lesion, Picture, places_for, unrest
from real import LEAST_RADIUS_MM, label_rows, mark_rows, show
from real_marks import ball
from real_scans import Request, Scan, fast_scans, participants_of, simulated_labels
from real_scores import cohort_of

from cmb_bidsapp.evaluation.matching import HIT_MM
from cmb_bidsapp.lesions.axes import ras_zooms
from cmb_bidsapp.lesions.segment import LesionNetwork
from cmb_bidsapp.models.registry import load_lesion_model
from cmb_bidsapp.preprocess.resampling import Grid

#: Voxels alike in plane differ by this factor at most.
ALIKE = 1.2
#: Wider dark spots (mm) are several lesions, or a nucleus, and are not moved.
WIDEST_MM = 8.0
#: What is marked with this probability is no place for a lesion that is moved.
MARKED = 0.05
#: Probabilities that moved lesions are counted at.
LEVELS = (0.5, 0.9, 0.99)
SEED = 0


@dataclass(frozen=True)
class Sample:
    """A scan, and whether it is real."""

    scan: Scan
    real: bool

    @property
    def kind(self) -> str:
        """Real or simulated."""
        return "real" if self.real else "simulated"

    @property
    def in_plane(self) -> float:
        """Voxel size in plane, mm."""
        return ras_zooms(self.scan.affine)[0]

    @property
    def group(self) -> str:
        """Cohort, or simulated with its voxel size."""
        if self.real:
            return cohort_of(self.scan.participant)
        x, _, z = ras_zooms(self.scan.affine)
        return f"simulated {x:.2g} x {z:.2g} mm"

    @cached_property
    def labels(self) -> list[dict[str, Any]]:
        """Row of each label, with its voxels and how restless its surroundings are."""
        scan = self.scan
        grid = Grid.of(scan.t2star, scan.affine)
        rows = []
        for label, row in zip(scan.labels, label_rows(scan), strict=True):
            radius = float(np.nanmax([LEAST_RADIUS_MM, label.diameter / 2]))
            voxels = ball(grid, label.center, radius)
            if scan.brain[tuple(voxels.T)].any():
                restless = unrest(scan.t2star, scan.brain, scan.affine, voxels)
                rows.append({**row, "unrest": restless, "voxels": voxels})
        return rows

    @cached_property
    def lesions(self) -> list[Lesion]:
        """Labeled lesions that can be moved."""
        scan = self.scan
        return [
            Lesion.of(scan.t2star, scan.brain, scan.affine, row["voxels"])
            for row in self.labels
            if row["dark_mm"] <= WIDEST_MM
        ]


def picture_rows(groups: Mapping[str, Sequence[Sample]]) -> Iterator[dict[str, Any]]:
    """Mean of every measure of the pictures of a group."""
    for group, samples in groups.items():
        scans = [sample.scan for sample in samples]
        pictures = [Picture.of(scan.t2star, scan.structures, scan.affine) for scan in scans]
        row: dict[str, Any] = {"group": group, "scans": len(scans)}
        for name in ("cortex", "nuclei", "fluid", "noise", "edge"):
            mean = float(np.nanmean([getattr(picture, name) for picture in pictures]))
            row["edge mm" if name == "edge" else name] = f"{mean:.3f}" if name == "noise" else mean
        for region in pictures[0].texture:
            means = np.nanmean([picture.texture[region] for picture in pictures], axis=0)
            row |= {
                f"{region} {scale:g} mm": f"{mean:.3f}"
                for scale, mean in zip(SCALES_MM, means, strict=True)
            }
        yield row


def spread(values: Sequence[float]) -> str:
    """Median, and 10th to 90th percentile.

    >>> spread([1, 2, 3])
    '2.00 (1.20-2.80)'
    """
    low, middle, high = np.nanquantile(values, [0.1, 0.5, 0.9])
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


def lesion_rows(groups: Mapping[str, Sequence[Sample]]) -> Iterator[dict[str, Any]]:
    """What labeled lesions of a group look like."""
    for group, samples in groups.items():
        rows = [row for sample in samples for row in sample.labels]
        if rows:
            measured = ("contrast", "diameter_mm", "dark_mm", "elongation", "unrest", "probability")
            yield {
                "group": group,
                "labels": len(rows),
                **{name: spread([row[name] for row in rows]) for name in measured},
            }


def false_rows(groups: Mapping[str, Sequence[Sample]]) -> Iterator[dict[str, Any]]:
    """What false marks of a group look like, those that CFPR keeps."""
    for group, samples in groups.items():
        rows = [
            row for sample in samples for row in mark_rows(sample.scan) if row["status"] == "kept"
        ]
        kinds = Counter(row["kind"] for row in rows).most_common()
        line: dict[str, Any] = {"group": group, "false/scan": len(rows) / len(samples)}
        if rows:
            line |= {name: spread([r[name] for r in rows]) for name in ("contrast", "dark_mm")}
        yield {**line, "kinds": ", ".join(f"{kind} {number}" for kind, number in kinds)}


def moved(
    lesions: Sequence[Lesion], sample: Sample, network: LesionNetwork, rng: np.random.Generator
) -> list[float]:
    """Largest probability near each of the lesions that found a place in a picture."""
    scan = sample.scan
    grid = Grid.of(scan.t2star, scan.affine)
    taken = scan.probability >= MARKED
    for row in sample.labels:
        taken[tuple(row["voxels"].T)] = True
    places = places_for(scan.structures, taken, scan.affine, len(lesions), rng)
    image = scan.t2star.copy()
    for lesion, place in zip(lesions, places, strict=False):
        lesion.put_into(image, place)
    found = network(image, None, scan.affine).cmb_probability
    near = [ball(grid, (scan.affine @ np.append(p, 1))[:3], HIT_MM / 2) for p in places]
    return [float(found[tuple(voxels.T)].max()) for voxels in near]


def moved_rows(samples: Sequence[Sample], network: LesionNetwork) -> Iterator[dict[str, Any]]:
    """Lesions of either kind in pictures of either kind, of voxels alike."""
    rng = np.random.default_rng(SEED)
    found: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for sample, kind in product(samples, ("real", "simulated")):
        alike = [
            lesion
            for other in samples
            if other.kind == kind and 1 / ALIKE <= other.in_plane / sample.in_plane <= ALIKE
            for lesion in other.lesions
        ]
        if alike:
            order = rng.permutation(len(alike))
            probabilities = moved([alike[i] for i in order], sample, network, rng)
            for voxel in (f"{sample.in_plane:.1g} mm", "all"):
                found[voxel, kind, sample.kind] += probabilities
    for (voxel, kind, background), values in sorted(found.items()):
        yield {
            "in plane": voxel,
            "lesions": kind,
            "background": background,
            "moved": len(values),
            "probability": spread(values),
            **{f">= {level}": f"{np.mean(np.array(values) >= level):.0%}" for level in LEVELS},
        }


def main() -> None:
    """Print the four tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real", type=Path)
    parser.add_argument("simulated", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="what takes long is kept there")
    parser.add_argument("--model", default="lesions")
    parser.add_argument("--threshold", type=float, default=0.5, help="of the false marks")
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    samples: list[Sample] = []
    for folder, real in ((given.real, True), (given.simulated, False)):
        models = dict.fromkeys(participants_of(folder), given.model)
        out = given.out if real else given.out / "simulated"
        request = Request(folder, out, models, given.threshold, given.device)
        scans = fast_scans(request) if real else fast_scans(request, simulated_labels)
        samples += [Sample(scan, real) for scan in scans]
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in sorted(samples, key=lambda sample: sample.group):
        groups[sample.group].append(sample)
    # Of two like it, a network without its mirror images says as much about a difference.
    network = LesionNetwork(load_lesion_model(given.model), given.device, mirror=False)
    for title, rows in (
        ("pictures, relative to the median of the white matter", picture_rows(groups)),
        ("labeled lesions", lesion_rows(groups)),
        (f"false marks at {given.threshold:g}", false_rows(groups)),
        ("lesions moved into white matter", moved_rows(samples, network)),
    ):
        table = list(rows)
        show(title, table, list(table[0]))


if __name__ == "__main__":
    main()
