"""A second look at every candidate: is it a microbleed, a vessel, iron or a border.

The segmentation network judges voxels, most of which are easy. A small network of its own judges
candidates, each in two views of its surroundings, and has seen far more of them in the same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import nn

from cmb_bidsapp.lesions.candidates import EXTENT, peak_values, split_at_peaks
from cmb_bidsapp.lesions.extent import HALF, depth
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
#: A place is a candidate from this probability of the segmentation network on.
SEED = 0.1
#: A candidate reaches no farther (mm) from its darkest voxel in the image.
REACH_MM = 3.0
#: Features of the three stages.
FEATURES = (16, 32, 64)
#: Judges that are asked.
JUDGES = 3
#: Candidates that are judged at a time.
BATCH = 256


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
        for number, centre in enumerate(centres):
            for order, (image, pixel) in enumerate(
                zip((self.near, self.far), PIXEL_MM, strict=True)
            ):
                axes = (
                    np.round(centre[2]) + slices,
                    centre[0] + offset * pixel / self.voxel[0],
                    centre[1] + offset * pixel / self.voxel[1],
                )
                z, x, y = np.meshgrid(*axes, indexing="ij")
                part = slice(order * SLICES, (order + 1) * SLICES)
                seen[number, part] = ndimage.map_coordinates(
                    image, (x, y, z), order=1, mode="constant"
                )
            around = seen[number, SLICES:]
            tissue = around[around > 0]
            seen[number] /= np.median(tissue) if tissue.size else 1
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


def judge_views(network: SecondLook, views: Views, voxel: tuple[float, float]) -> Image:
    """Probability of each candidate, 0..1."""
    network.eval()
    judged = []
    with torch.inference_mode():
        for first in range(0, len(views), BATCH):
            part = torch.from_numpy(views[first : first + BATCH])
            sizes = torch.tensor(voxel, dtype=torch.float32).expand(len(part), 2)
            # Mirrored views are as good.
            odds = [network(part.flip(axes), sizes) for axes in ((), (2,), (3,), (2, 3))]
            judged.append(torch.sigmoid(torch.stack(odds).mean(dim=0)).numpy())
    return np.concatenate(judged) if judged else np.zeros(0, np.float32)


@dataclass(frozen=True)
class Proposals:
    """Candidates of the segmentation network, to be judged.

    Attributes
    ----------
    t2star, probability
        Brain-extracted T2*w, and CMB probability of the segmentation network within the brain.
    voxel
        Voxel size, mm.
    pieces
        0, or the number of the candidate: a peak of at least :data:`SEED`, see
        :func:`~cmb_bidsapp.lesions.candidates.split_at_peaks`.
    centres
        Darkest voxel of each, shape ``(n, 3)``.
    """

    t2star: Image
    probability: Image
    voxel: tuple[float, float, float]
    pieces: npt.NDArray[np.int32]
    centres: npt.NDArray[np.intp]

    @classmethod
    def of(cls, t2star: Image, probability: Image, voxel: Sequence[float]) -> Proposals:
        """Candidates of a scan, axes in RAS order."""
        # Beyond the brain mask there is nothing to look at, and everything is dark.
        within = np.where(t2star > 0, probability, 0)
        x, y, z = (float(mm) for mm in voxel)
        pieces = split_at_peaks(within, SEED, (x, y, z))
        centres = darkest(t2star, pieces, int(pieces.max()))
        return cls(t2star, within, (x, y, z), pieces, centres)

    def judged(self, sure: Image) -> Image:
        """CMB probability in which every candidate peaks at what is said of it.

        Parameters
        ----------
        sure
            Probability of each.

        Returns
        -------
        probability
            Within a candidate the network's, scaled, or what the depth of the dark spot says (see
            :func:`with_dark_spots`); elsewhere 0.
        """
        if not len(self.centres):
            return np.zeros_like(self.probability)
        peaks = peak_values(self.probability, self.pieces, len(self.centres))
        scale = np.concatenate([[0], sure / peaks]).astype(np.float32)
        again = np.minimum(self.probability * scale[self.pieces], 1).astype(np.float32)
        return with_dark_spots(again, self.pieces, self.t2star, self.centres, sure, self.voxel)


def look_again(
    network: SecondLook, t2star: Image, probability: Image, voxel: Sequence[float]
) -> Image:
    """CMB probability in which every candidate peaks at what the second look says.

    The segmentation network proposes candidates; its own probability does not rank them, because
    it is as certain of veins as of microbleeds in scans unlike those it was trained on. There it
    sees less of a microbleed than raters do, too: a candidate has the network's shape and the dark
    spot in the image.

    Parameters
    ----------
    t2star, probability
        Brain-extracted T2*w and CMB probability of the segmentation network, RAS axes.
    voxel
        Voxel size, mm.

    Returns
    -------
    probability
        See :meth:`Proposals.judged`.
    """
    found = Proposals.of(t2star, probability, voxel)
    viewer = Viewer.of(t2star, voxel)
    return found.judged(judge_views(network, viewer.views(found.centres), viewer.log_voxel()))


def with_dark_spots(
    probability: Image,
    pieces: npt.NDArray[np.integer],
    t2star: Image,
    centres: npt.NDArray[np.integer],
    sure: Image,
    voxel: Sequence[float],
) -> Image:
    """CMB probability in which likely candidates reach at least as far as their dark spot.

    Parameters
    ----------
    probability, pieces
        Of the CMB class; 0, or the number of the candidate.
    t2star
        Brain-extracted T2*w.
    centres, sure
        Darkest voxel of each candidate, shape ``(n, 3)``, and how probable it is.
    voxel
        Voxel size, mm.

    Returns
    -------
    probability
        Rises from :data:`~cmb_bidsapp.lesions.candidates.EXTENT` at the border of a spot, half way
        to its surroundings, to that of the candidate; never lower than before. Candidates below
        that probability stay as they are, and none reaches into another.
    """
    found = probability.copy()
    for number in np.flatnonzero(sure > EXTENT):
        window, share = depth(t2star, voxel, centres[number].tolist(), REACH_MM)
        free = (share > 0) & np.isin(pieces[window], (0, number + 1))
        rise = EXTENT + (sure[number] - EXTENT) * (share - HALF) / (1 - HALF)
        found[window] = np.where(free, np.maximum(found[window], rise), found[window])
    return found
