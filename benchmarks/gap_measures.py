"""What pictures and lesions are like, in numbers, and lesions moved between pictures.

Pure functions for ``benchmarks/domain_gap.py``. Brightness is relative to the median of the white
matter, or of the brain around a lesion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from real_marks import AROUND_MM, Voxels, ball, dark_piece
from scipy import ndimage

from cmb_bidsapp.core.arrays import Image, Mask
from cmb_bidsapp.core.labels import structure_classes
from cmb_bidsapp.preprocess.resampling import Affine, Grid

#: Scales (mm) of the texture.
SCALES_MM = (1.0, 2.0, 4.0)
NUCLEI = ("caudate", "putamen", "pallidum")
#: White matter this far (mm) from everything else is a place for a lesion of another picture,
PLACE_DEPTH_MM = 3.0
#: and two such places are this far apart (mm).
APART_MM = 12.0


@dataclass(frozen=True)
class Picture:
    """Noise, sharpness and texture of a preprocessed T2*w; shares of the white matter's median.

    Attributes
    ----------
    noise
        Standard deviation of white noise whose in-plane Laplacian is as large as that of the white
        matter (median absolute deviation): what varies from voxel to voxel.
    edge
        Width (mm) of the border of the ventricles: the step there by the steepest slope.
    texture
        Standard deviation in white matter, cortex and basal ganglia of what is left between two
        Gaussian filters, per scale of :data:`SCALES_MM`.
    cortex, nuclei, fluid
        Median brightness of cortex, basal ganglia and ventricles.
    """

    noise: float
    edge: float
    texture: dict[str, tuple[float, ...]]
    cortex: float
    nuclei: float
    fluid: float

    @classmethod
    def of(cls, image: Image, structures: npt.NDArray[np.integer], affine: Affine) -> Picture:
        """Measure a picture, slice by slice; the last axis goes through the slices.

        Parameters
        ----------
        image, structures
            Magnitude, and classes of the anatomy network on its grid.
        """
        spacing = Grid.of(image, affine).spacing
        regions = {
            name: np.isin(structures, structure_classes(parts))
            for name, parts in (
                ("white matter", ("cerebral-wm",)),
                ("cortex", ("cerebral-cortex",)),
                ("basal ganglia", NUCLEI),
                ("ventricles", ("lateral-ventricle",)),
            )
        }
        white = regions["white matter"]
        inside = ndimage.binary_erosion(white, disc(1.5, spacing))
        relative = image / float(np.median(image[inside]))
        return cls(
            noise=noise(relative, inside),
            edge=edge_width(relative, regions["ventricles"], inside, spacing),
            texture={
                name: tuple(texture(relative, regions[name], scale, spacing) for scale in SCALES_MM)
                for name in ("white matter", "cortex", "basal ganglia")
            },
            cortex=float(np.median(relative[regions["cortex"]])),
            nuclei=float(np.median(relative[regions["basal ganglia"]])),
            fluid=float(np.median(relative[regions["ventricles"]])),
        )


def disc(radius: float, spacing: Sequence[float]) -> Mask:
    """Structuring element of a disc in plane, radius in mm."""
    reach = [int(radius / step) for step in spacing[:2]]
    x, y = np.ogrid[tuple(slice(-r, r + 1) for r in reach)]
    inside: Mask = (x * spacing[0]) ** 2 + (y * spacing[1]) ** 2 <= radius**2
    return inside[..., None]


def noise(image: Image, inside: Mask) -> float:
    """Standard deviation of the voxel-to-voxel noise, from the in-plane Laplacian."""
    kernel = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.float32)[..., None]
    values = ndimage.convolve(image, kernel)[inside]
    # White noise of deviation 1 has a Laplacian of variance 4^2 + 4.
    return float(np.median(np.abs(values - np.median(values))) / 0.6745 / np.sqrt(20))


def texture(image: Image, region: Mask, scale: float, spacing: Sequence[float]) -> float:
    """Standard deviation in a region between Gaussian filters of half the scale and the scale."""
    inside = ndimage.binary_erosion(region, disc(min(scale, 1.0), spacing))
    if not inside.any():
        return float("nan")
    # Filters that know the region alone: its neighbors are no texture of it.
    finer, coarser = (
        _filtered(image, region, [s / spacing[0], s / spacing[1], 0]) for s in (scale / 2, scale)
    )
    return float((finer - coarser)[inside].std())


def _filtered(image: Image, region: Mask, sigma: Sequence[float]) -> Image:
    weight = ndimage.gaussian_filter(region.astype(np.float32), sigma)
    value = ndimage.gaussian_filter(np.where(region, image, 0).astype(np.float32), sigma)
    filtered: Image = np.where(region, value / np.maximum(weight, 1e-6), 0)
    return filtered


def edge_width(image: Image, fluid: Mask, white: Mask, spacing: Sequence[float]) -> float:
    """Width (mm) of the border between fluid and white matter: step by steepest slope in plane."""
    near = ndimage.binary_dilation(fluid, disc(2.0, spacing))
    border = near & ~ndimage.binary_erosion(fluid, disc(2.0, spacing))
    if not border.any() or not (fluid & ~border).any():
        return float("nan")
    # From voxel to voxel: differences across two would blur the border themselves.
    slopes = np.hypot(
        *(np.diff(image, axis=axis, append=0) / spacing[axis] for axis in (0, 1)),
    )
    step = float(np.median(image[fluid & ~border]) - np.median(image[white]))
    return abs(step) / float(np.quantile(slopes[border], 0.95))


def unrest(image: Image, brain: Mask, affine: Affine, voxels: Voxels) -> float:
    """Standard deviation of the brain within 6 mm of a spot, the spot left out, by its median."""
    grid = Grid.of(image, affine)
    darkest, around, median = _surroundings(image, brain, grid, voxels)
    low = float(image[tuple(darkest)])
    own = np.zeros(image.shape, np.bool_)
    own[tuple(dark_piece(image, brain, grid, darkest, (median + low) / 2).T)] = True
    rest = around[~own[tuple(around.T)]]
    return float(image[tuple(rest.T)].std() / median)


@dataclass(frozen=True)
class Lesion:
    """What a lesion multiplies its surroundings with.

    Attributes
    ----------
    offsets
        Voxels from the darkest one, shape ``(n, 3)``.
    factor
        Share of the signal that is left there, 0 to 1, shape ``(n,)``.
    """

    offsets: Voxels
    factor: npt.NDArray[np.float32]

    @classmethod
    def of(cls, image: Image, brain: Mask, affine: Affine, voxels: Voxels) -> Lesion:
        """Take a lesion out of its picture: dark piece and a voxel around it, by the median."""
        grid = Grid.of(image, affine)
        darkest, _, median = _surroundings(image, brain, grid, voxels)
        limit = (median + float(image[tuple(darkest)])) / 2
        piece = dark_piece(image, brain, grid, darkest, limit)
        low = np.maximum(piece.min(axis=0) - 1, 0)
        own = np.zeros(np.minimum(piece.max(axis=0) + 2, image.shape) - low, np.bool_)
        own[tuple((piece - low).T)] = True
        wider = np.argwhere(ndimage.binary_dilation(own, np.ones((3, 3, 3)))) + low
        factor = np.clip(image[tuple(wider.T)] / median, 0, 1).astype(np.float32)
        return cls(wider - darkest, factor)

    def put_into(self, image: Image, place: Voxels) -> None:
        """Multiply another picture of the same voxel size, in place, where it has voxels."""
        voxels = place + self.offsets
        there = ((voxels >= 0) & (voxels < image.shape)).all(axis=1)
        image[tuple(voxels[there].T)] *= self.factor[there]


def _surroundings(
    image: Image, brain: Mask, grid: Grid, voxels: Voxels
) -> tuple[Voxels, Voxels, float]:
    """Darkest voxel of a spot, brain within 6 mm of it, and its median."""
    inside = voxels[brain[tuple(voxels.T)]]
    darkest = inside[image[tuple(inside.T)].argmin()]
    around = ball(grid, (grid.affine @ np.append(darkest, 1))[:3], AROUND_MM)
    around = around[brain[tuple(around.T)]]
    return darkest, around, float(np.median(image[tuple(around.T)]))


def places_for(
    structures: npt.NDArray[np.integer],
    taken: Mask,
    affine: Affine,
    count: int,
    rng: np.random.Generator,
) -> list[Voxels]:
    """Places deep in the white matter, far from each other and from what is taken.

    Parameters
    ----------
    taken
        Voxels with a lesion or a mark.
    """
    spacing = np.array(Grid.of(structures, affine).spacing)
    white = np.isin(structures, structure_classes(["cerebral-wm"]))
    depth = ndimage.distance_transform_edt(white, spacing)
    free = (depth >= PLACE_DEPTH_MM) & (
        ndimage.distance_transform_edt(~taken, spacing) >= APART_MM / 2
    )
    chosen: list[Voxels] = []
    for voxel in rng.permutation(np.argwhere(free)):
        gaps = [np.linalg.norm((voxel - other) * spacing) for other in chosen]
        if not gaps or min(gaps) >= APART_MM:
            chosen.append(voxel)
        if len(chosen) == count:
            break
    return chosen
