"""Candidates: connected pieces of the CMB class, measured one by one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial.distance import pdist

from cmb_bidsapp.anatomy.proxy import to_proxy
from cmb_bidsapp.labels import MARS_NAMES, PROXY_NAMES, SIDES
from cmb_bidsapp.preprocess.resampling import Affine, Grid

#: A lesion extends to this probability.
EXTENT = 0.5
#: A lesion this close (mm) to another region is flagged: the region call may turn.
BORDER_MM = 2.0
#: How far (mm) a lesion outside every region looks for one.
REGION_REACH_MM = 12.0
#: Class, region and side of a lesion that is near none.
UNASSIGNED = "unassigned"
#: Ring (mm) around the lesion that its contrast is measured against.
RING_MM = (1.0, 4.0)

CONNECTIVITY_26 = np.ones((3, 3, 3), np.bool_)


@dataclass(frozen=True)
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
    contrast
        Share of the surrounding signal that the lesion lacks, 0..1.
    region
        Lobar, deep, infratentorial, or unassigned.
    mars_region, side
        Region of the MARS form within that class, and ``left`` or ``right``.
    region_share
        Share of the lesion's voxels that voted for the class.
    border
        Another region is within 2 mm of the centre.
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
    probability_mean: float
    probability_max: float
    contrast: float
    region: str
    mars_region: str
    side: str
    region_share: float
    border: bool


def find_instances(probability: npt.NDArray[np.float32], threshold: float) -> npt.NDArray[np.int32]:
    """Number the 26-connected pieces that reach the threshold somewhere, from 1.

    A piece extends to a probability of 0.5, or to the threshold where that is lower: the threshold
    decides which lesions there are, not how large they are.
    """
    pieces, count = ndimage.label(probability >= min(threshold, EXTENT), CONNECTIVITY_26)
    reach = np.zeros(count + 1, np.bool_)
    reach[pieces[probability >= threshold]] = True
    number = np.cumsum(reach) * reach
    instances: npt.NDArray[np.int32] = number[pieces].astype(np.int32)
    return instances


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
    spacing = np.array(Grid.of(instances, affine).spacing)
    margin = np.ceil(REGION_REACH_MM / spacing).astype(int)
    found = []
    for number, box in enumerate(ndimage.find_objects(instances.astype(np.int32)), 1):
        if box is None:
            continue
        window = tuple(
            slice(max(0, s.start - m), min(n, s.stop + m))
            for s, m, n in zip(box, margin, instances.shape, strict=True)
        )
        start = np.array([s.start for s in window])
        mask = instances[window] == number
        voxels = np.argwhere(mask)
        x, y, z = (affine[:3, :3] @ (voxels.mean(axis=0) + start) + affine[:3, 3]).tolist()
        place = _place(mask, mars[window], spacing)
        values = probability[window][mask]
        volume = float(len(voxels) * np.prod(spacing))
        diameter, roundness = _cross_section(voxels, spacing)
        found.append(
            Candidate(
                number,
                x,
                y,
                z,
                len(voxels),
                volume,
                diameter,
                float((6 * volume / np.pi) ** (1 / 3)),
                roundness,
                float(values.mean()),
                float(values.max()),
                _contrast(mask, instances[window] > 0, t2star[window], spacing),
                *place,
            )
        )
    return found


def _place(
    mask: npt.NDArray[np.bool_],
    mars: npt.NDArray[np.integer],
    spacing: npt.NDArray[np.float64],
) -> tuple[str, str, str, float, bool]:
    """Class, MARS region within it, side, share of the votes for the class, and border flag."""
    proxy = to_proxy(mars)
    found = _vote(mask, proxy, spacing)
    if found is None:
        return UNASSIGNED, UNASSIGNED, UNASSIGNED, float("nan"), False
    winner, share, border, voters = found
    # The class decides first: a lesion between three deep regions and a lobe may well be deep.
    within = _vote(voters, np.where(proxy == winner, mars, 0), spacing)
    side, number = divmod(0 if within is None else within[0], 100)
    return (
        PROXY_NAMES[winner],
        MARS_NAMES.get(number, UNASSIGNED),
        SIDES.get(100 * side, UNASSIGNED),
        share,
        border,
    )


def _vote(
    mask: npt.NDArray[np.bool_],
    labels: npt.NDArray[np.integer],
    spacing: npt.NDArray[np.float64],
) -> tuple[int, float, bool, npt.NDArray[np.bool_]] | None:
    """Majority over the nearest labels of the voxels; ties go to the centre, then to the order.

    Returns the label, its share of the votes, whether another one is near the centre, and the
    voxels that voted for it.
    """
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
    at_centre = int(nearest[tuple(central)])
    winner = at_centre if votes[at_centre] == votes.max() else int(votes.argmax())
    others = [k for k in range(len(present)) if k != winner]
    border = any(distances[(k, *central)] < BORDER_MM for k in others)
    share = float(votes[winner] / votes.sum())
    return present[winner], share, border, mask & (nearest == winner)


def _cross_section(
    voxels: npt.NDArray[np.intp], spacing: npt.NDArray[np.float64]
) -> tuple[float, float]:
    """Largest in-plane diameter over the slices, and roundness of the largest cross-section."""
    # In cubic voxels rounding must not choose the plane: the last axis is through-plane then.
    through = int(np.flatnonzero(spacing >= 0.99 * spacing.max())[-1])
    plane = [a for a in range(3) if a != through]
    step = spacing[plane]
    slices, counts = np.unique(voxels[:, through], return_counts=True)
    longest = 0.0
    for index in slices:
        points = voxels[voxels[:, through] == index][:, plane] * step
        spread = float(pdist(_hull(points)).max()) if len(points) > 1 else 0.0
        longest = max(longest, spread)
    largest = voxels[voxels[:, through] == slices[counts.argmax()]][:, plane] * step
    # Each voxel is an area, not a point: its own second moment is step^2 / 12.
    moments = np.cov(largest.T, bias=True) if len(largest) > 1 else np.zeros((2, 2))
    axes = np.sqrt(np.linalg.eigvalsh(moments + np.diag(step**2 / 12)))
    return longest + float(step.mean()), float(axes[0] / axes[1])


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
