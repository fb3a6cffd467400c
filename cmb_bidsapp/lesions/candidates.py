"""Candidates, measured one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial.distance import pdist

from cmb_bidsapp.anatomy.proxy import to_proxy
from cmb_bidsapp.core.arrays import Affine
from cmb_bidsapp.core.labels import MARS_NAMES, PROXY, PROXY_NAMES, SIDES
from cmb_bidsapp.lesions.lesion import UNASSIGNED, Region, Side
from cmb_bidsapp.lesions.windows import windows
from cmb_bidsapp.preprocess.resampling import Grid

#: A lesion this close (mm) to another region is flagged: the region call may turn.
BORDER_MM = 2.0
#: How far (mm) a lesion outside every region looks for one.
REGION_REACH_MM = 12.0
#: Ring (mm) around the lesion that its contrast is measured against.
RING_MM = (1.0, 4.0)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """Measurements of one candidate; lengths in mm, world coordinates RAS mm.

    Attributes
    ----------
    diameter
        Largest distance between two points of the lesion within one slice, voxel included.
    equivalent_diameter
        Diameter of the sphere of the same volume.
    roundness
        Short by long axis of the largest cross-section, 0..1.
    sphericity
        Short by long axis of the whole lesion, 0..1; slices that are thicker than the lesion make
        it lower.
    contrast
        Share of the surrounding signal that the lesion lacks, 0..1.
    region
        Lobar, deep, infratentorial, or unassigned.
    mars_region, side
        Region of the MARS form within that class, and ``left`` or ``right``.
    region_share
        Share of the lesion's voxels that voted for the class.
    votes_lobar, votes_deep, votes_infratentorial
        Voxels of the lesion whose nearest region is of that class.
    border
        Another region is within 2 mm of the center.
    """

    lesion: int
    x: float
    y: float
    z: float
    voxels: int
    volume: float
    diameter: float
    equivalent_diameter: float
    roundness: float
    sphericity: float
    probability_mean: float
    probability_max: float
    contrast: float
    region: Region
    mars_region: str
    side: Side
    region_share: float
    votes_lobar: int
    votes_deep: int
    votes_infratentorial: int
    border: bool


def measure(
    instances: npt.NDArray[np.integer],
    probability: npt.NDArray[np.float32],
    t2star: npt.NDArray[np.float32],
    mars: npt.NDArray[np.integer],
    affine: Affine,
) -> list[Candidate]:
    """Measure every candidate; each looks at its surroundings only.

    Parameters
    ----------
    instances
        0, or the number of the candidate.
    probability, t2star, mars
        CMB probability, preprocessed image and MARS regions with their side, same grid.
    affine
        Voxel to world (RAS mm).
    """
    grid = Grid.of(instances, affine)
    spacing = np.array(grid.spacing)
    margin = np.ceil(REGION_REACH_MM / spacing).astype(int)
    found = []
    for number, window, mask in windows(instances, margin.tolist()):
        start = np.array([s.start for s in window])
        voxels = np.argwhere(mask)
        x, y, z = (affine[:3, :3] @ (voxels.mean(axis=0) + start) + affine[:3, 3]).tolist()
        values = probability[window][mask]
        volume = float(len(voxels) * np.prod(spacing))
        diameter, roundness = _cross_section(voxels, spacing, grid.slice_axis)
        found.append(
            Candidate(
                lesion=number,
                x=x,
                y=y,
                z=z,
                voxels=len(voxels),
                volume=volume,
                diameter=diameter,
                equivalent_diameter=float((6 * volume / np.pi) ** (1 / 3)),
                roundness=roundness,
                sphericity=_short_by_long(voxels * spacing, spacing),
                probability_mean=float(values.mean()),
                probability_max=float(values.max()),
                contrast=_contrast(mask, instances[window] > 0, t2star[window], spacing),
                **_place(mask, mars[window], spacing),
            )
        )
    return found


def diameters(instances: npt.NDArray[np.integer], affine: Affine) -> dict[int, float]:
    """Largest in-plane diameter of every candidate (mm), as :func:`measure` has it.

    Parameters
    ----------
    instances
        0, or the number of the candidate.
    affine
        Voxel to world (RAS mm).
    """
    grid = Grid.of(instances, affine)
    spacing = np.array(grid.spacing)
    return {
        number: _cross_section(np.argwhere(mask), spacing, grid.slice_axis)[0]
        for number, _, mask in windows(instances, (0, 0, 0))
    }


def _place(
    mask: npt.NDArray[np.bool_],
    mars: npt.NDArray[np.integer],
    spacing: npt.NDArray[np.float64],
) -> dict[str, Any]:
    """Class, MARS region within it and side, votes for the classes, and border flag."""
    proxy = to_proxy(mars)
    found = _vote(mask, proxy, spacing)
    votes = {} if found is None else found.votes
    counts = {f"votes_{name}": votes.get(number, 0) for name, number in PROXY.items() if number}
    if found is None:
        return {
            "region": Region.UNASSIGNED,
            "mars_region": UNASSIGNED,
            "side": Side.UNASSIGNED,
            "region_share": float("nan"),
            **counts,
            "border": False,
        }
    # The class decides first: a lesion between three deep regions and a lobe may well be deep.
    within = _vote(found.voters, np.where(proxy == found.winner, mars, 0), spacing)
    side, number = divmod(0 if within is None else within.winner, 100)
    return {
        "region": Region(PROXY_NAMES[found.winner]),
        "mars_region": MARS_NAMES.get(number, UNASSIGNED),
        "side": Side(SIDES.get(100 * side, UNASSIGNED)),
        "region_share": votes[found.winner] / sum(votes.values()),
        **counts,
        "border": found.border,
    }


@dataclass(frozen=True, kw_only=True)
class _Vote:
    """The label of most voxels, all votes, whether another is near, and who voted for it."""

    winner: int
    votes: Mapping[int, int]
    border: bool
    voters: npt.NDArray[np.bool_]


def _vote(
    mask: npt.NDArray[np.bool_],
    labels: npt.NDArray[np.integer],
    spacing: npt.NDArray[np.float64],
) -> _Vote | None:
    """Majority over the nearest labels of the voxels; ties go to the center, then to the order."""
    present = [int(value) for value in np.unique(labels) if value != 0]
    if not present:
        return None
    distances = np.stack([ndimage.distance_transform_edt(labels != v, spacing) for v in present])
    if distances.min(axis=0)[mask].min() > REGION_REACH_MM:
        return None
    nearest = distances.argmin(axis=0)
    votes = np.bincount(nearest[mask], minlength=len(present))
    voxels = np.argwhere(mask)
    central = voxels[np.linalg.norm((voxels - voxels.mean(axis=0)) * spacing, axis=1).argmin()]
    at_center = int(nearest[tuple(central)])
    winner = at_center if votes[at_center] == votes.max() else int(votes.argmax())
    others = [k for k in range(len(present)) if k != winner]
    border = any(distances[(k, *central)] < BORDER_MM for k in others)
    counts = dict(zip(present, votes.tolist(), strict=True))
    return _Vote(
        winner=present[winner], votes=counts, border=border, voters=mask & (nearest == winner)
    )


def _cross_section(
    voxels: npt.NDArray[np.intp], spacing: npt.NDArray[np.float64], through: int
) -> tuple[float, float]:
    """Largest in-plane diameter over the slices, and roundness of the largest cross-section."""
    plane = [a for a in range(3) if a != through]
    step = spacing[plane]
    slices, counts = np.unique(voxels[:, through], return_counts=True)
    longest = 0.0
    for index in slices:
        points = voxels[voxels[:, through] == index][:, plane] * step
        spread = float(pdist(_hull(points)).max()) if len(points) > 1 else 0.0
        longest = max(longest, spread)
    largest = voxels[voxels[:, through] == slices[counts.argmax()]][:, plane] * step
    return longest + float(step.mean()), _short_by_long(largest, step)


def _short_by_long(points: npt.NDArray[np.float64], step: npt.NDArray[np.float64]) -> float:
    """Shortest by longest principal axis of a set of voxels, given by their centers in mm."""
    # Each voxel has an extent: its own second moment is step^2 / 12.
    spread = points - points.mean(axis=0)
    moments = spread.T @ spread / len(points) + np.diag(step**2 / 12)
    axes = np.sqrt(np.linalg.eigvalsh(moments))
    return float(axes[0] / axes[-1])


def _hull(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Outline of a large set of points; small sets are returned as they are."""
    if len(points) < 200:
        return points
    from scipy.spatial import ConvexHull, QhullError

    try:
        outline: npt.NDArray[np.float64] = points[ConvexHull(points).vertices]
    except QhullError:  # all points on a line: its ends
        outline = points[np.lexsort(points.T)[[0, -1]]]
    return outline


def _contrast(
    mask: npt.NDArray[np.bool_],
    any_lesion: npt.NDArray[np.bool_],
    image: npt.NDArray[np.float32],
    spacing: npt.NDArray[np.float64],
) -> float:
    distance = ndimage.distance_transform_edt(~mask, spacing)
    ring = (distance > RING_MM[0]) & (distance <= RING_MM[1]) & ~any_lesion & (image > 0)
    if not ring.any():
        return float("nan")
    around = float(np.median(image[ring]))
    return float(np.clip(1 - image[mask].mean() / around, -1, 1)) if around > 0 else float("nan")
