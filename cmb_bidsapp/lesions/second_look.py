"""A second look at every candidate: is it a microbleed, a vessel, iron or a border.

The segmentation network judges voxels, most of which are easy. A small network of its own judges
places, each in two views of its surroundings, and has seen far more of them in the same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import nn

from cmb_bidsapp.lesions.slabs import slices_in_slab

Image = npt.NDArray[np.float32]
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


class Judge(nn.Module):  # type: ignore[misc]
    """Log-odds of candidates, from their views and the voxel size."""

    def __init__(self) -> None:
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
            nn.Linear(2 * before + 2, 64), nn.ReLU(inplace=True), nn.Dropout(0.3), nn.Linear(64, 1)
        )

    def forward(self, views: torch.Tensor, voxel: torch.Tensor) -> torch.Tensor:
        """Log-odds ``(n,)`` of views ``(n, slices, rows, columns)`` and voxel sizes ``(n, 2)``.

        Voxel sizes are the logarithms of the in-plane size and of the slice distance (mm).
        """
        seen = self.features(views)
        middle = seen.shape[-1] // 2
        centre = seen[..., middle - 1 : middle + 1, middle - 1 : middle + 1].mean(dim=(-2, -1))
        pooled = torch.cat([seen.mean(dim=(-2, -1)), centre, voxel], dim=1)
        odds: torch.Tensor = self.head(pooled)[:, 0]
        return odds


class SecondLook(nn.Module):  # type: ignore[misc]
    """Mean log-odds of several judges, which differ in how their training began.

    One judge alone ranks candidates by chance more than several do.
    """

    def __init__(self, judges: Sequence[Judge] | None = None) -> None:
        super().__init__()
        self.judges = nn.ModuleList(judges or [Judge() for _ in range(JUDGES)])

    def forward(self, views: torch.Tensor, voxel: torch.Tensor) -> torch.Tensor:
        """Log-odds ``(n,)``, see :meth:`Judge.forward`."""
        return torch.stack([judge(views, voxel) for judge in self.judges]).mean(dim=0)


@dataclass(frozen=True)
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
        """Prepare a brain-extracted T2*w, axes in RAS order, with its voxel size in mm."""
        x, y, z = (float(size) for size in voxel)
        step = slices_in_slab(z)
        near = (
            ndimage.uniform_filter1d(t2star, step, axis=2, mode="nearest") if step > 1 else t2star
        )
        blur = [PIXEL_MM[1] / 2.5 / x, PIXEL_MM[1] / 2.5 / y, 0]
        return cls(near, ndimage.gaussian_filter(near, blur), (x, y, z), step)

    def views(self, centres: npt.NDArray[np.integer], pixels: int = PIXELS) -> Views:
        """Both views of places, relative to the brightness around each.

        Parameters
        ----------
        centres
            Voxels, shape ``(n, 3)``.
        pixels
            Width of the views.
        """
        offset = np.arange(pixels) - (pixels - 1) / 2
        slices = (np.arange(SLICES) - SLICES // 2) * self.step
        seen = np.empty((len(centres), len(PIXEL_MM) * SLICES, pixels, pixels), np.float32)
        for first in range(0, len(centres), VIEWED):
            part = seen[first : first + VIEWED]
            x, y, z = np.asarray(centres[first : first + VIEWED]).T[..., None]
            for order, (image, pixel) in enumerate(
                zip((self.near, self.far), PIXEL_MM, strict=True)
            ):
                axes = np.broadcast_arrays(
                    (x + offset * pixel / self.voxel[0])[:, None, :, None],
                    (y + offset * pixel / self.voxel[1])[:, None, None, :],
                    (np.round(z) + slices)[:, :, None, None],
                )
                part[:, order * SLICES : (order + 1) * SLICES] = ndimage.map_coordinates(
                    image, axes, order=1, mode="constant"
                )
        for view in seen:
            around = view[SLICES:]
            tissue = around[around > 0]
            view /= np.median(tissue) if tissue.size else 1
        return np.clip(seen, 0, 3) - 1

    def log_voxel(self) -> tuple[float, float]:
        """Logarithms of the in-plane voxel size and of the slice distance (mm)."""
        return float(np.log(max(self.voxel[:2]))), float(np.log(self.voxel[2]))


def darkest(t2star: Image, pieces: npt.NDArray[np.integer], count: int) -> npt.NDArray[np.intp]:
    """Darkest voxel of every piece 1 to ``count``, shape ``(count, 3)``."""
    if not count:
        return np.zeros((0, 3), np.intp)
    # Sorts what it is given: pieces are a small part of an image.
    inside = np.flatnonzero(pieces)
    found = ndimage.minimum_position(
        t2star.flat[inside], pieces.flat[inside], np.arange(1, count + 1)
    )
    first = inside[np.array(found, np.intp).reshape(-1)]
    return np.stack(np.unravel_index(first, pieces.shape), axis=1)


def judge_views(
    network: SecondLook, views: Views, voxel: tuple[float, float], *, mirrored: bool = True
) -> Image:
    """Probability of each place, 0..1.

    Parameters
    ----------
    views, voxel
        See :meth:`Viewer.views` and :meth:`Viewer.log_voxel`.
    mirrored
        Judge each view in four ways, which are as good; without it, in one.
    """
    network.eval()
    judged, ways = [], ((), (2,), (3,), (2, 3)) if mirrored else ((),)
    with torch.inference_mode():
        for first in range(0, len(views), BATCH):
            part = torch.from_numpy(views[first : first + BATCH])
            sizes = torch.tensor(voxel, dtype=torch.float32).expand(len(part), 2)
            odds = [network(part.flip(axes), sizes) for axes in ways]
            judged.append(torch.sigmoid(torch.stack(odds).mean(dim=0)).numpy())
    return np.concatenate(judged) if judged else np.zeros(0, np.float32)
