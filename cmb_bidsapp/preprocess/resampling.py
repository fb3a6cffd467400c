"""Moving images and labels between grids; world coordinates are RAS mm throughout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.affines import voxel_sizes
from nibabel.spatialimages import SpatialImage
from scipy import ndimage

from cmb_bidsapp.core.arrays import Affine, Image

IDENTITY: Affine = np.eye(4)
#: Two grids are one where no corner moves by more than this share of the smallest voxel side.
SAME_GRID = 0.1
#: A voxel side this many times as large as another is across the slices, whichever way they lie.
THICKER = 1.25
#: Axes that deviate by less than this (voxels) over a whole image follow each other.
ALONG_VOXELS = 1e-3


def slice_axis(affine: Affine) -> int:
    """Array axis across the slices: that of the largest voxel side.

    Where sides are much the same, as in scans of whole volumes, it is the one nearest to z: slices
    are axial then, as people read them.
    """
    sides = voxel_sizes(affine)
    upright = np.abs(affine[2, :3]) / sides
    return int(np.where(sides >= sides.max() / THICKER, upright, -1).argmax())


@dataclass(frozen=True)
class Grid:
    """Voxels of an image: array shape and voxel-to-world affine."""

    shape: tuple[int, int, int]
    affine: Affine

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size in mm per array axis."""
        x, y, z = (float(s) for s in voxel_sizes(self.affine))
        return x, y, z

    @property
    def header_spacing(self) -> tuple[float, float, float]:
        """Voxel size (mm) in single precision, as other programs read it; lesions go by it."""
        x, y, z = (float(np.float32(step)) for step in self.spacing)
        return x, y, z

    @property
    def rounded_spacing(self) -> tuple[float, float, float]:
        """Voxel size (mm) as it was meant: ten voxels that a header calls 0.99999994 are 10 mm."""
        x, y, z = (round(step, 4) for step in self.spacing)
        return x, y, z

    @property
    def nominal_spacing(self) -> tuple[float, float, float]:
        """Voxel size to a hundredth of a millimeter: what tells one protocol from another."""
        x, y, z = (round(step, 2) for step in self.spacing)
        return x, y, z

    @property
    def slice_axis(self) -> int:
        """See :func:`slice_axis`."""
        return slice_axis(self.affine)

    @classmethod
    def of(cls, data: npt.NDArray[np.generic], affine: Affine) -> Grid:
        """Grid of an image.

        Parameters
        ----------
        data
            Three axes.
        affine
            From voxels to world coordinates (RAS mm).
        """
        x, y, z = data.shape
        return cls((x, y, z), affine)

    @classmethod
    def of_image(cls, image: SpatialImage) -> Grid:
        """Grid of an image as nibabel opens it; of one with more axes, of those in space."""
        x, y, z = image.shape[:3]
        return cls((x, y, z), np.asarray(image.affine, np.float64))

    def is_same_as(self, other: Grid) -> bool:
        """Whether the voxels are the same ones, but for the rounding of headers."""
        if self.shape != other.shape:
            return False
        difference = self.affine - other.affine
        corners = np.array([*np.ndindex(2, 2, 2)]) * (np.array(self.shape) - 1)
        moved = corners @ difference[:3, :3].T + difference[:3, 3]
        return bool(np.abs(moved).max() <= SAME_GRID * min(other.spacing))

    def part(self, first: npt.NDArray[np.integer], size: npt.NDArray[np.integer]) -> Grid:
        """The box of ``size`` voxels that begins at voxel ``first``.

        Parameters
        ----------
        first, size
            Along each axis, shape ``(3,)``; ``first`` may lie outside the grid.
        """
        affine = self.affine.copy()
        affine[:3, 3] += affine[:3, :3] @ first
        x, y, z = (int(n) for n in size)
        return Grid((x, y, z), affine)

    def window(self, other: Grid, pull: Affine) -> tuple[slice, slice, slice]:
        """The voxels that may touch another grid.

        Parameters
        ----------
        other
            Voxels of another image.
        pull
            World coordinates of this grid to those of the other (mm).
        """
        corners = np.array([*np.ndindex(2, 2, 2)]) * np.array(other.shape) - 0.5
        to_voxel = np.linalg.inv(pull @ self.affine) @ other.affine
        there = corners @ to_voxel[:3, :3].T + to_voxel[:3, 3]
        low, high = np.floor(there.min(axis=0) - 0.5), np.ceil(there.max(axis=0) + 0.5) + 1
        x, y, z = (
            slice(max(0, int(a)), max(0, min(n, int(b))))
            for a, b, n in zip(low, high, self.shape, strict=True)
        )
        return x, y, z


def isotropic_grid(grid: Grid, spacing: float, multiple: int = 1) -> Grid:
    """RAS grid of cubic voxels that covers ``grid`` along its own axes.

    The axes keep the direction of the image's axes (an oblique image stays oblique), in the order
    and sense closest to RAS. Sizes are rounded up to ``multiple`` voxels.

    Parameters
    ----------
    grid
        Voxels of an image.
    spacing
        Side of a voxel, mm.
    multiple
        That every size is one of, as networks need it.
    """
    orientation = nib.orientations.io_orientation(grid.affine)
    to_ras = nib.orientations.inv_ornt_aff(orientation, grid.shape)
    affine = grid.affine @ to_ras
    order = np.argsort(orientation[:, 0])
    size = np.array(grid.shape)[order] * np.array(grid.spacing)[order]
    shape = np.maximum(1, np.ceil(size / spacing / multiple)).astype(int) * multiple
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    center = affine @ np.append((np.array(grid.shape)[order] - 1) / 2, 1)
    result = np.eye(4)
    result[:3, :3] = directions * spacing
    result[:3, 3] = center[:3] - result[:3, :3] @ ((shape - 1) / 2)
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), result)


def resample(
    data: npt.NDArray[np.generic],
    affine: Affine,
    target: Grid,
    *,
    pull: Affine = IDENTITY,
    order: int = 1,
    smooth: bool = False,
) -> Image:
    """Sample an image at the voxel centers of another grid.

    Parameters
    ----------
    data, affine
        Source image.
    target
        Voxels at which values are wanted.
    pull
        World coordinates of the target to world coordinates of the source (mm).
    order
        Spline order; 0 is nearest neighbor.
    smooth
        Average over the target voxel where it is the larger one (no aliasing).
    """
    volume = data.astype(np.float32, copy=False)
    to_source = np.linalg.inv(affine) @ pull @ target.affine
    step = np.abs(to_source[:3, :3]).max(axis=1)
    sigma = np.where(smooth & (step > 1), 0.42 * np.sqrt(np.maximum(step**2 - 1, 0)), 0)
    along = _axes_along(to_source, target.shape)
    if order == 1 and along is not None:
        weights = [
            _weights(size, to_source[axis, to] * np.arange(target.shape[to]) + origin, blur)
            for axis, (size, to, origin, blur) in enumerate(
                zip(volume.shape, along, to_source[:3, 3], sigma, strict=True)
            )
        ]
        return np.moveaxis(along_axes(volume, weights), (0, 1, 2), along)
    if sigma.any():
        volume = ndimage.gaussian_filter(volume, sigma)
    result: Image = ndimage.affine_transform(
        volume, to_source[:3, :3], to_source[:3, 3], target.shape, np.float32, order, "nearest"
    )
    # A voxel reaches half its size beyond its center (as in ITK): the outer half of a thick slice
    # is image, what lies farther out is not.
    axes = np.ogrid[tuple(slice(0, n) for n in target.shape)]
    for row, size in zip(to_source[:3], data.shape, strict=True):
        far = row[:3] * (np.array(target.shape) - 1)
        # The corners are the farthest: where they are inside, as mostly, all is.
        if row[3] + far.clip(max=0).sum() >= -0.5 and row[3] + far.clip(min=0).sum() <= size - 0.5:
            continue
        position = sum(step * axis for step, axis in zip(row[:3], axes, strict=True) if step)
        np.copyto(result, 0, where=_is_outside(position + row[3], size))
    return result


def _axes_along(to_source: Affine, shape: tuple[int, int, int]) -> tuple[int, int, int] | None:
    """Axis of a grid that each axis of the source follows; ``None`` where they are turned."""
    turn = to_source[:3, :3]
    x, y, z = (int(axis) for axis in np.abs(turn).argmax(axis=1))
    beside = np.abs(turn)
    beside[(0, 1, 2), (x, y, z)] = 0
    turned = {x, y, z} != {0, 1, 2} or (beside @ np.array(shape)).max() > ALONG_VOXELS
    return None if turned else (x, y, z)


def _is_outside(position: npt.NDArray[np.float64], size: int) -> npt.NDArray[np.bool_]:
    """Whether places along an axis lie beyond the outer sides of its voxels."""
    outside: npt.NDArray[np.bool_] = (position < -0.5 - 1e-6) | (position > size - 0.5 + 1e-6)
    return outside


def _weights(size: int, position: npt.NDArray[np.float64], sigma: float) -> Image:
    """Weights of the voxels along an axis at places between them, shape ``(places, size)``.

    Linear interpolation, after a Gaussian filter where ``sigma`` (voxels) is above 0.
    """
    inside = np.clip(position, 0, size - 1)
    below = np.minimum(inside.astype(int), max(size - 2, 0))
    places = np.arange(len(position))
    weights = np.zeros((len(position), size))
    weights[places, below] = 1 - (inside - below)
    weights[places, np.minimum(below + 1, size - 1)] += inside - below
    weights[_is_outside(position, size)] = 0
    return (weights @ gaussian_weights(size, sigma)).astype(np.float32)


def gaussian_weights(size: int, sigma: float) -> Image:
    """Weights of a Gaussian filter along an axis (:func:`scipy.ndimage.gaussian_filter1d`).

    Parameters
    ----------
    size
        Voxels of the axis.
    sigma
        Standard deviation in voxels; 0 leaves the image as it is.

    Returns
    -------
    weights
        Of the voxels in each filtered voxel, shape ``(size, size)``.
    """
    same = np.eye(size, dtype=np.float32)
    return ndimage.gaussian_filter1d(same, sigma, axis=0) if sigma else same


def along_axes(volume: Image, weights: Sequence[Image]) -> Image:
    """Multiply each axis of an image with a matrix.

    What a linear filter does along one axis after the other, in a fraction of its time where the
    filter is wide or few voxels are wanted.

    Parameters
    ----------
    volume
        Shape ``(x, y, z)``.
    weights
        For each axis, shape ``(voxels wanted, voxels)``.
    """
    volume = np.ascontiguousarray(volume)
    # Those first that leave the least to the others.
    for axis in np.argsort([len(some) / some.shape[1] for some in weights]).tolist():
        some = weights[axis]
        if axis == 0:
            volume = (some @ volume.reshape(len(volume), -1)).reshape(-1, *volume.shape[1:])
        else:
            volume = volume @ some.T if axis == 2 else some @ volume
    return volume
