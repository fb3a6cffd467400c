"""A second look at every candidate: is it a microbleed, a vessel, iron or a border.

The segmentation network judges voxels, most of which are easy. A small network of its own judges
places, each in two views of its surroundings, and has seen far more of them in the same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import nn

from cmb_bidsapp.core.arrays import Image
from cmb_bidsapp.lesions.lesion import Mimic
from cmb_bidsapp.lesions.slabs import slices_in_slab

#: Shape ``(candidates, slices of both views, PIXELS, PIXELS)``.
Views = npt.NDArray[np.float32]

#: Pixel size (mm) of the near and of the far view.
PIXEL_MM = (0.5, 1.5)
#: Pixels of a view along both axes.
PIXELS = 32
#: Slices of a view, the candidate's in the middle; thin ones are averaged as for segmentation.
SLICES = 5
#: Features of the three stages.
FEATURES = (16, 32, 64)
#: Judges that are trained together.
JUDGES = 3
#: Candidates that are judged, and looked at, at a time.
BATCH, VIEWED = 256, 32


class PlaceNetwork(nn.Module):
    """Figures of candidates, from their views and the voxel size.

    Parameters
    ----------
    figures
        How many, of each candidate.
    """

    def __init__(self, figures: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = len(PIXEL_MM) * SLICES
        for features in FEATURES:
            for channels in (before, features):
                layers += [
                    nn.Conv2d(channels, features, 3, padding=1, bias=False),
                    nn.BatchNorm2d(features),
                    nn.ReLU(inplace=True),
                ]
            layers.append(nn.MaxPool2d(2))
            before = features
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Linear(2 * before + 2, 64),
            nn.ReLU(inplace=True),
            nn.Dropout(0.3),
            nn.Linear(64, figures),
        )

    def forward(self, views: torch.Tensor, voxel: torch.Tensor) -> torch.Tensor:
        """Figures of the middle of each view; shape ``(n, figures)``.

        Parameters
        ----------
        views
            Shape ``(n, slices, rows, columns)``, brightness as :class:`Viewer` makes it.
        voxel
            Logarithms of the in-plane voxel size and of the slice distance (mm), shape ``(n,
            2)``.
        """
        seen = self.features(views)
        middle = seen.shape[-1] // 2
        center = seen[..., middle - 1 : middle + 1, middle - 1 : middle + 1].mean(dim=(-2, -1))
        pooled = torch.cat([seen.mean(dim=(-2, -1)), center, voxel], dim=1)
        figures: torch.Tensor = self.head(pooled)
        return figures


class Judge(PlaceNetwork):
    """Log-odds of candidates."""

    def __init__(self) -> None:
        super().__init__(1)

    def forward(self, views: torch.Tensor, voxel: torch.Tensor) -> torch.Tensor:
        """Log-odds of a microbleed in the middle of each view; shape ``(n,)``.

        Parameters
        ----------
        views, voxel
            As of :meth:`PlaceNetwork.forward`.
        """
        return super().forward(views, voxel)[:, 0]


class Namer(PlaceNetwork):
    """Scores of what candidates resemble if they are none, by the members of :class:`Mimic`."""

    def __init__(self) -> None:
        super().__init__(len(Mimic))


class SecondLook(nn.Module):
    """Mean log-odds of several judges, which differ in how their training began.

    One judge alone ranks candidates by chance more than several do.

    Attributes
    ----------
    namer
        Tells what a candidate resembles if it is no microbleed, and takes no part in the
        judgment; ``None`` where none was trained.
    """

    def __init__(self, judges: Sequence[Judge] | None = None, namer: Namer | None = None) -> None:
        super().__init__()
        self.judges = nn.ModuleList(judges or [Judge() for _ in range(JUDGES)])
        self.namer = namer

    @property
    def members(self) -> tuple[Judge, ...]:
        """The judges."""
        return tuple(cast("Judge", judge) for judge in self.judges)

    def forward(self, views: torch.Tensor, voxel: torch.Tensor) -> torch.Tensor:
        """Log-odds of a microbleed, mean of the judges; shape ``(n,)``.

        Parameters
        ----------
        views, voxel
            As of :meth:`PlaceNetwork.forward`.
        """
        return torch.stack([judge(views, voxel) for judge in self.members]).mean(dim=0)


@dataclass(frozen=True, kw_only=True)
class Viewer:
    """A scan, prepared for looking at places in it.

    Attributes
    ----------
    near, far
        The image at the resolution of each view; 0 outside the brain.
    voxel
        Voxel size along x, y and z, mm.
    step
        Slices from one slice of a view to the next.
    """

    near: Image
    far: Image
    voxel: tuple[float, float, float]
    step: int

    @classmethod
    def of(cls, t2star: Image, voxel: Sequence[float]) -> Viewer:
        """Prepare a scan: average its slices to slabs, and blur it for the surroundings.

        Parameters
        ----------
        t2star
            Brain-extracted T2*w, shape ``(x, y, z)``, axes in RAS order.
        voxel
            Voxel size in mm, ``(x, y, z)``.
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
            near=np.asfortranarray(near), far=np.asfortranarray(far), voxel=(x, y, z), step=step
        )

    def views(self, centers: npt.NDArray[np.integer], pixels: int = PIXELS) -> Views:
        """Both views of places, relative to the brightness around each.

        Parameters
        ----------
        centers
            Voxels, shape ``(n, 3)``.
        pixels
            Width of the views.
        """
        seen = np.empty((len(centers), len(PIXEL_MM) * SLICES, pixels, pixels), np.float32)
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
        """One view of each place, pixels of so many mm, interpolated linearly; 0 beyond the image.

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
            here = level + levels
            inside = np.flatnonzero((here >= 0) & (here < len(stack)))
            rows, of_rows = y.overlap(row, stack.shape[1])
            columns, of_columns = x.overlap(column, stack.shape[2])
            window[inside, of_rows, of_columns] = stack[here[inside], rows, columns]
        along = (around @ x.weights.T).swapaxes(2, 3)
        return np.asarray(along @ y.weights.T, np.float32)

    def log_voxel(self) -> tuple[float, float]:
        """Logarithms of the in-plane voxel size and of the slice distance (mm)."""
        return float(np.log(max(self.voxel[:2]))), float(np.log(self.voxel[2]))


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


def judge_views(
    network: SecondLook, views: Views, voxel: tuple[float, float], *, mirrored: bool = True
) -> Image:
    """Probability of each place, 0..1.

    Parameters
    ----------
    network
        On the CPU, as the views are; it is set to evaluation.
    views, voxel
        See :meth:`Viewer.views` and :meth:`Viewer.log_voxel`.
    mirrored
        Judge each view in four ways, which are as good; without it, in one.
    """
    return np.asarray(torch.sigmoid(_seen_by(network, views, voxel, mirrored=mirrored)).numpy())


def name_views(namer: Namer, views: Views, voxel: tuple[float, float]) -> Image:
    """Share of each mimic, 0..1, shape ``(places, len(Mimic))``.

    Parameters
    ----------
    namer
        On the CPU, as the views are; it is set to evaluation.
    views, voxel
        See :meth:`Viewer.views` and :meth:`Viewer.log_voxel`.
    """
    shares = torch.softmax(_seen_by(namer, views, voxel, mirrored=True), dim=-1)
    return np.asarray(shares.numpy().reshape(-1, len(Mimic)))


def _seen_by(
    network: nn.Module, views: Views, voxel: tuple[float, float], *, mirrored: bool
) -> torch.Tensor:
    """What a network says of views: the mean over the ways that they are shown in."""
    network.eval()
    said, ways = [], ((), (2,), (3,), (2, 3)) if mirrored else ((),)
    with torch.inference_mode():
        for first in range(0, len(views), BATCH):
            part = torch.from_numpy(views[first : first + BATCH])
            # A third faster than channel by channel.
            part = part.contiguous(memory_format=torch.channels_last)
            sizes = torch.tensor(voxel, dtype=torch.float32).expand(len(part), 2)
            said.append(torch.stack([network(part.flip(axes), sizes) for axes in ways]).mean(0))
    return torch.cat(said) if said else torch.zeros(0)
