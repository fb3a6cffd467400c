"""What lies at a place of a T2*w: size, contrast and shape of the dark spot, and a guess at it.

Pure functions for ``benchmarks/real.py``. The guess follows from measurements alone and names the
likeliest mimic; it is for sorting false marks into heaps, no diagnosis of any one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cmb_bidsapp.core.arrays import Image, Mask
from cmb_bidsapp.core.labels import structure_classes
from cmb_bidsapp.preprocess.resampling import Affine, Grid

Voxels = npt.NDArray[np.intp]

#: The contrast of a spot is measured against the brain this close (mm).
AROUND_MM = 6.0
#: How far (mm) a dark spot is followed.
FOLLOWED_MM = 12.0

Kind = Literal[
    "no dark spot", "iron", "vein", "artifact", "brain edge", "CSF border", "like a microbleed"
]
#: A spot lacks at least this share of the signal around it, else there is none.
LEAST_CONTRAST = 0.15
#: A vein in plane is this many times longer than wide, and this long (mm).
VEIN_ELONGATION, VEIN_MM = 2.5, 5.0
#: A vein through the slices is in this many, and this many times deeper than wide.
VEIN_SLICES, VEIN_DEPTH = 3, 2.0
#: A signal loss is wider (mm, diameter of the sphere of the same volume) than a microbleed.
LOSS_MM = 10.0
#: A partial volume at the edge of the brain has its center this close (mm) to what is not brain.
EDGE_MM = 2.5
#: Fluid within this distance (mm) of the center makes a border of it.
FLUID_MM = 2.0
#: Structures with iron, the dentate nucleus within the white matter of the cerebellum among them.
IRON = ("caudate", "putamen", "pallidum", "accumbens", "ventral-dc", "cerebellar-wm")
FLUID = ("lateral-ventricle", "third-ventricle", "fourth-ventricle", "csf")


@dataclass(frozen=True)
class Spot:
    """The dark spot at a place; lengths in mm.

    Attributes
    ----------
    contrast
        1 - darkest voxel of the place / median of the brain within 6 mm; NaN outside the brain.
    diameter
        Of the sphere as large as the dark piece: what is connected to the darkest voxel and darker
        than half-way to the median.
    length, elongation
        Longest axis in plane of the piece's largest cross-section, and long by short axis.
    slices, depth
        Slices that the piece lies in, and their thickness together.
    edge
        From the darkest voxel to the nearest one outside the brain, in plane.
    """

    contrast: float
    diameter: float
    length: float
    elongation: float
    slices: int
    depth: float
    edge: float


def ball(grid: Grid, center: npt.ArrayLike, radius: float) -> Voxels:
    """Voxels whose centers are within ``radius`` mm of a point (RAS mm), or the nearest one.

    Returns
    -------
    voxels
        Array indices, shape ``(n, 3)``; none where the point is outside the image.
    """
    place = np.linalg.inv(grid.affine) @ np.append(np.asarray(center, np.float64), 1)
    nearest = np.round(place[:3]).astype(int)
    if (nearest < 0).any() or (nearest >= grid.shape).any():
        return np.zeros((0, 3), np.intp)
    reach = np.ceil(radius / np.array(grid.spacing)).astype(int)
    low = np.maximum(0, nearest - reach)
    size = np.minimum(grid.shape, nearest + reach + 1) - low
    voxels = np.argwhere(np.ones(size, np.bool_)) + low
    distance = np.linalg.norm((voxels - place[:3]) @ grid.affine[:3, :3].T, axis=1)
    within: Voxels = voxels[(distance <= radius) | (voxels == nearest).all(axis=1)]
    return within


def measure_spot(image: Image, brain: Mask, affine: Affine, voxels: Voxels) -> Spot:
    """Measure the dark spot within a few voxels.

    Parameters
    ----------
    image, brain, affine
        Magnitude, mask of the brain, and voxel to world (mm), one grid.
    voxels
        Array indices of the place, shape ``(n, 3)``: those of a mark, or around a label.
    """
    grid = Grid.of(image, affine)
    inside = voxels[brain[tuple(voxels.T)]]
    if not len(inside):
        return Spot(np.nan, 0.0, 0.0, 1.0, 0, 0.0, 0.0)
    darkest = inside[image[tuple(inside.T)].argmin()]
    center = (affine @ np.append(darkest, 1))[:3]
    around = ball(grid, center, AROUND_MM)
    values = image[tuple(around.T)][brain[tuple(around.T)]]
    median, low = float(np.median(values)), float(image[tuple(darkest)])
    piece = dark_piece(image, brain, grid, darkest, (median + low) / 2)
    spacing = np.array(grid.spacing)
    # In cubic voxels rounding must not choose the plane: the last axis is through-plane then.
    through = int(np.flatnonzero(spacing >= 0.99 * spacing.max())[-1])
    length, elongation = _cross_section(piece, spacing, through)
    slices = len(np.unique(piece[:, through]))
    return Spot(
        contrast=1 - low / median if median > 0 else float("nan"),
        diameter=float((6 / np.pi * len(piece) * spacing.prod()) ** (1 / 3)),
        length=length,
        elongation=elongation,
        slices=slices,
        depth=slices * float(spacing[through]),
        edge=_to_the_edge(brain, darkest, spacing, through),
    )


def dark_piece(image: Image, brain: Mask, grid: Grid, darkest: Voxels, limit: float) -> Voxels:
    """Voxels darker than a limit, connected to the darkest one, as far as a spot is followed."""
    near = ball(grid, (grid.affine @ np.append(darkest, 1))[:3], FOLLOWED_MM)
    low = near.min(axis=0)
    dark = np.zeros(near.max(axis=0) - low + 1, np.bool_)
    dark[tuple((near - low).T)] = (image[tuple(near.T)] <= limit) & brain[tuple(near.T)]
    pieces, _ = ndimage.label(dark, np.ones((3, 3, 3)))
    start = tuple(darkest - low)
    # In a flat image nothing is darker than the limit but the voxel itself.
    own = pieces == pieces[start] if pieces[start] else np.zeros_like(dark)
    own[start] = True
    found: Voxels = np.argwhere(own) + low
    return found


def _cross_section(
    piece: Voxels, spacing: npt.NDArray[np.float64], through: int
) -> tuple[float, float]:
    """Long axis (mm) of the largest cross-section of a piece, and long by short axis."""
    slices, counts = np.unique(piece[:, through], return_counts=True)
    plane = [axis for axis in range(3) if axis != through]
    step = spacing[plane]
    points = piece[piece[:, through] == slices[counts.argmax()]][:, plane] * step
    spread = points - points.mean(axis=0)
    # A voxel has an extent, a rod of length L the second moment L^2 / 12.
    moments = spread.T @ spread / len(points) + np.diag(step**2 / 12)
    short, long = np.sqrt(12 * np.linalg.eigvalsh(moments))
    return float(long), float(long / short)


def _to_the_edge(
    brain: Mask, voxel: Voxels, spacing: npt.NDArray[np.float64], through: int
) -> float:
    """Distance (mm) in plane from a voxel to what is not brain, or to the border of the image."""
    cut = np.pad(brain.take(int(voxel[through]), axis=through), 1)
    plane = [axis for axis in range(3) if axis != through]
    distance = ndimage.distance_transform_edt(cut, spacing[plane])
    return float(distance[tuple(voxel[plane] + 1)])


def guess_kind(spot: Spot, structure: str | None, fluid: float) -> Kind:
    """What a spot most likely is, if no microbleed.

    Parameters
    ----------
    structure
        Name of the structure it lies in, as :data:`cmb_bidsapp.core.labels.STRUCTURES` has it.
    fluid
        Distance (mm) to the nearest ventricle or CSF, infinite where there is none.
    """
    if not spot.contrast >= LEAST_CONTRAST:
        return "no dark spot"
    # Iron comes first: nuclei are as long as veins.
    if structure in IRON:
        return "iron"
    in_plane = spot.elongation >= VEIN_ELONGATION and spot.length >= VEIN_MM
    across = spot.slices >= VEIN_SLICES and spot.depth >= VEIN_DEPTH * spot.length
    if in_plane or across:
        return "vein"
    if spot.diameter > LOSS_MM:
        return "artifact"
    if spot.edge <= EDGE_MM:
        return "brain edge"
    return "CSF border" if fluid <= FLUID_MM else "like a microbleed"


def nearest_value(
    labels: npt.NDArray[np.integer], affine: Affine, center: npt.ArrayLike, reach: float
) -> int:
    """Label nearest to a point (RAS mm) among those within ``reach`` mm; 0 without any."""
    grid = Grid.of(labels, affine)
    voxels = ball(grid, center, reach)
    voxels = voxels[labels[tuple(voxels.T)] > 0]
    if not len(voxels):
        return 0
    world = voxels @ affine[:3, :3].T + affine[:3, 3]
    nearest = np.linalg.norm(world - np.asarray(center), axis=1).argmin()
    return int(labels[tuple(voxels[nearest])])


def distance_to_fluid(
    structures: npt.NDArray[np.integer], affine: Affine, center: npt.ArrayLike
) -> float:
    """Distance (mm) from a point to the nearest ventricle or CSF; infinite beyond 6 mm."""
    voxels = ball(Grid.of(structures, affine), center, AROUND_MM)
    wet = voxels[np.isin(structures[tuple(voxels.T)], structure_classes(FLUID))]
    world = wet @ affine[:3, :3].T + affine[:3, 3]
    gaps = np.linalg.norm(world - np.asarray(center), axis=1)
    return float(gaps.min()) if len(gaps) else float("inf")
