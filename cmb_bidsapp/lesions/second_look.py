"""A second look at every candidate: is it a microbleed, a vessel, iron or a border.

The segmentation network judges voxels, most of which are easy. A small network of its own judges
places, each in two views of its surroundings and of the tissues there, and has seen far more of
them in the same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import nn

from cmb_bidsapp.core.arrays import Image
from cmb_bidsapp.lesions.lesion import Mimic
from cmb_bidsapp.lesions.views import BRIGHTNESS, CHANNELS, Views

#: Features of the three stages.
FEATURES = (16, 32, 64)
#: Judges that are trained together.
JUDGES = 3
#: Candidates that are judged at a time.
BATCH = 256


class PlaceNetwork(nn.Module):
    """Figures of candidates, from their views and the voxel size.

    Parameters
    ----------
    figures
        How many, of each candidate.
    channels
        How many of the views it sees, the first ones.
    """

    def __init__(self, figures: int, channels: int) -> None:
        super().__init__()
        self.channels = channels
        layers: list[nn.Module] = []
        before = channels
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
            Shape ``(n, channels, rows, columns)``, as :class:`Viewer` makes them.
        voxel
            Logarithms of the in-plane voxel size and of the slice distance (mm), shape ``(n,
            2)``.
        """
        seen = self.features(views[:, : self.channels])
        middle = seen.shape[-1] // 2
        center = seen[..., middle - 1 : middle + 1, middle - 1 : middle + 1].mean(dim=(-2, -1))
        pooled = torch.cat([seen.mean(dim=(-2, -1)), center, voxel], dim=1)
        figures: torch.Tensor = self.head(pooled)
        return figures


class Judge(PlaceNetwork):
    """Log-odds of candidates.

    Parameters
    ----------
    channels
        :data:`CHANNELS`, or :data:`BRIGHTNESS` of a judge that does not see tissues.
    """

    def __init__(self, channels: int = CHANNELS) -> None:
        super().__init__(1, channels)

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
        super().__init__(len(Mimic), BRIGHTNESS)


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
