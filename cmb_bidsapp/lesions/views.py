"""What judges see of a place: two views of the brightness around it, and of the tissues there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cmb_bidsapp.core.arrays import Image, Regions
from cmb_bidsapp.lesions.slabs import slices_in_slab
from cmb_bidsapp.lesions.tissues import TISSUES

#: Shape ``(candidates, channels, PIXELS, PIXELS)``: brightness in the slices of both views, and the
#: share of every tissue in the middle slice of both, less 1.
Views = npt.NDArray[np.float32]

#: Pixel size (mm) of the near and of the far view.
PIXEL_MM = (0.5, 1.5)
#: Pixels of a view along both axes.
PIXELS = 32
#: Slices of a view, the candidate's in the middle; thin ones are averaged as for segmentation.
SLICES = 5
#: Channels of brightness, and all channels.
BRIGHTNESS = len(PIXEL_MM) * SLICES
CHANNELS = BRIGHTNESS + len(PIXEL_MM) * len(TISSUES)
#: Candidates that are looked at at a time.
VIEWED = 32


@dataclass(frozen=True, kw_only=True)
class Viewer:
    """A scan, prepared for looking at places in it.

    Attributes
    ----------
    near, far
        The image at the resolution of each view; 0 outside the brain.
    tissues
        Numbered as in :data:`~cmb_bidsapp.lesions.tissues.TISSUES`; ``None`` where nobody knows.
    voxel
        Voxel size along x, y and z, mm.
    step
        Slices from one slice of a view to the next.
    """

    near: Image
    far: Image
    tissues: Regions | None
    voxel: tuple[float, float, float]
    step: int

    @classmethod
    def of(cls, t2star: Image, voxel: Sequence[float], tissues: Regions | None = None) -> Viewer:
        """Prepare a scan: average its slices to slabs, and blur it for the surroundings.

        Parameters
        ----------
        t2star
            Brain-extracted T2*w, shape ``(x, y, z)``, axes in RAS order.
        voxel
            Voxel size in mm, ``(x, y, z)``.
        tissues
            On the same grid; ``None`` where nobody knows.
        """
        x, y, z = (float(size) for size in voxel)
        step = slices_in_slab(z)
        near = (
            ndimage.uniform_filter1d(t2star, step, axis=2, mode="nearest") if step > 1 else t2star
        )
        blur = [PIXEL_MM[1] / 2.5 / x, PIXEL_MM[1] / 2.5 / y, 0]
        far = ndimage.gaussian_filter(near, blur)
        # Slices in one piece each, which is how they are looked at.
        return cls(
            near=np.asfortranarray(near),
            far=np.asfortranarray(far),
            tissues=tissues,
            voxel=(x, y, z),
            step=step,
        )

    def views(self, centers: npt.NDArray[np.integer]) -> Views:
        """Both views of places, as judges see them.

        Parameters
        ----------
        centers
            Voxels, shape ``(n, 3)``.
        """
        tissues = as_channels(self.tissues_around(centers))
        return np.concatenate([self.brightness(centers), tissues], axis=1)

    def tissues_around(self, centers: npt.NDArray[np.integer], pixels: int = PIXELS) -> Regions:
        """Tissues in the middle slice of both views; shape ``(n, 2, pixels, pixels)``.

        Parameters
        ----------
        centers
            Voxels, shape ``(n, 3)``.
        pixels
            Width of the views.
        """
        seen = np.zeros((len(centers), len(PIXEL_MM), pixels, pixels), np.uint8)
        if self.tissues is None:
            return seen
        offset = np.arange(pixels) - (pixels - 1) / 2
        for order, mm in enumerate(PIXEL_MM):
            (x, x_there), (y, y_there) = (
                _nearest(centers[:, axis], np.rint(offset * mm / self.voxel[axis]), size)
                for axis, size in enumerate(self.tissues.shape[:2])
            )
            there = x_there[:, :, None] & y_there[:, None]
            seen[:, order] = self.tissues[x[:, :, None], y[:, None], centers[:, 2, None, None]]
            seen[:, order] *= there
        return seen

    def brightness(self, centers: npt.NDArray[np.integer], pixels: int = PIXELS) -> Image:
        """Brightness in all slices of both views, relative to that around each place, less 1.

        Parameters
        ----------
        centers
            Voxels, shape ``(n, 3)``.
        pixels
            Width of the views.
        """
        seen = np.empty((len(centers), BRIGHTNESS, pixels, pixels), np.float32)
        for first in range(0, len(centers), VIEWED):
            part = slice(first, first + VIEWED)
            for order, (image, pixel) in enumerate(
                zip((self.near, self.far), PIXEL_MM, strict=True)
            ):
                of_view = slice(order * SLICES, (order + 1) * SLICES)
                seen[part, of_view] = self._sampled(image, pixel, centers[part], pixels)
        for view in seen:
            around = view[SLICES:]
            tissue = around[around > 0]
            view /= _median(tissue) if tissue.size else 1
        np.clip(seen, 0, 3, out=seen)
        seen -= 1
        return seen

    def _sampled(
        self, image: Image, pixel: float, centers: npt.NDArray[np.integer], pixels: int
    ) -> Views:
        """One view of each place, pixels of so many mm, interpolated linearly.

        In plane, 0 beyond the image; the first and the last slice stand for those beyond them.
        Places are voxels, so pixels lie between voxels alike in all of them: two products with
        matrices take their place.
        """
        offset = (np.arange(pixels) - (pixels - 1) / 2) * pixel
        x, y = (_linear(offset / size) for size in self.voxel[:2])
        levels = (np.arange(SLICES) - SLICES // 2) * self.step
        stack = image.T
        around = np.zeros(
            (len(centers), SLICES, y.weights.shape[1], x.weights.shape[1]), np.float32
        )
        for window, (column, row, level) in zip(around, centers.tolist(), strict=True):
            # A scan that ends within the brain goes on as it ends, for all that is known: empty
            # slices would look like the surface of the brain.
            here = np.clip(level + levels, 0, len(stack) - 1)
            rows, of_rows = y.overlap(row, stack.shape[1])
            columns, of_columns = x.overlap(column, stack.shape[2])
            window[:, of_rows, of_columns] = stack[here, rows, columns]
        along = (around @ x.weights.T).swapaxes(2, 3)
        return np.asarray(along @ y.weights.T, np.float32)

    def log_voxel(self) -> tuple[float, float]:
        """Logarithms of the in-plane voxel size and of the slice distance (mm)."""
        return float(np.log(max(self.voxel[:2]))), float(np.log(self.voxel[2]))


def as_channels(tissues: Regions) -> Image:
    """A channel for every tissue of every view: 0 where it is, -1 elsewhere.

    Parameters
    ----------
    tissues
        Numbered as in :data:`~cmb_bidsapp.lesions.tissues.TISSUES`, shape
        ``(n, views, rows, columns)``.
    """
    numbers = np.arange(1, len(TISSUES) + 1, dtype=np.uint8)[:, None, None]
    shares = (tissues[:, :, None] == numbers).astype(np.float32)
    channels = tissues.shape[1] * len(TISSUES)
    return np.asarray(shares.reshape(len(tissues), channels, *tissues.shape[2:]) - 1, np.float32)


def _nearest(
    middles: npt.NDArray[np.integer], offsets: npt.NDArray[np.floating[Any]], size: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Voxels at offsets from each middle along an axis so long, and whether they exist."""
    at = middles[:, None] + offsets.astype(np.intp)
    return np.clip(at, 0, size - 1), (at >= 0) & (at < size)


def _median(values: Image) -> np.float32:
    """Their median, five times faster than numpy's own, which partitions at several places."""
    middle = len(values) // 2
    parted = np.partition(values, middle)
    # Of an even number the mean of both in the middle.
    before = parted[:middle].max() if len(values) % 2 == 0 else parted[middle]
    return np.float32((before + parted[middle]) / 2)


@dataclass(frozen=True)
class _Linear:
    """Linear interpolation along an axis, at the same offsets from any voxel.

    Attributes
    ----------
    first
        Where the voxels that it needs begin, from the voxel in the middle.
    weights
        Of these voxels, shape ``(pixels, voxels)``.
    """

    first: int
    weights: Image

    def overlap(self, middle: int, size: int) -> tuple[slice, slice]:
        """What there is of these voxels in an axis so long, and where it lies among them."""
        start, count = middle + self.first, self.weights.shape[1]
        low, high = max(start, 0), max(min(start + count, size), max(start, 0))
        return slice(low, high), slice(low - start, high - start)


def _linear(offsets: npt.NDArray[np.floating[Any]]) -> _Linear:
    """Interpolation at offsets (voxels) from the middle."""
    below = np.floor(offsets).astype(int)
    first, pixels = int(below[0]), np.arange(len(offsets))
    weights = np.zeros((len(offsets), int(below[-1]) - first + 2), np.float32)
    weights[pixels, below - first] = 1 - (offsets - below)
    weights[pixels, below - first + 1] = offsets - below
    return _Linear(first, weights)
