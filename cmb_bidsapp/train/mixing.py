"""Microbleeds mixed into clear tissue, views changed at random, and the training on both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from cmb_bidsapp.core.arrays import Image
from cmb_bidsapp.core.errors import NoInputError
from cmb_bidsapp.lesions.second_look import PlaceNetwork
from cmb_bidsapp.lesions.views import BRIGHTNESS, PIXELS
from cmb_bidsapp.models.device import fast_arithmetic
from cmb_bidsapp.train.places import MARGIN, Kind, Places, Stored

#: Brightness of what is not brain, or next to nothing else.
OUTSIDE = -0.98
#: Share of places whose tissues a judge is not shown: it shall do without where nobody knows them.
UNKNOWN_TISSUES = 0.25


class Mixer:
    """Mixes microbleeds into the clear tissue of places.

    Parameters
    ----------
    places, shadows
        Places, and views of microbleeds alone for each acquisition of theirs.
    rng
        Chooses tissue and microbleed.

    Raises
    ------
    NoInputError
        There is no tissue of an acquisition that shows microbleeds.
    """

    def __init__(self, places: Places, shadows: Sequence[Stored], rng: np.random.Generator) -> None:
        self._places, self._shadows, self.rng = places, shadows, rng
        tissue = np.flatnonzero(places.kind == Kind.TISSUE)
        shown = np.array([len(known) > 0 for known in shadows], bool)
        #: Tissue of acquisitions that show microbleeds.
        self.tissue = tissue[shown[places.acquisition[tissue]]]
        if not len(self.tissue):
            raise NoInputError("no dark places, or no tissue around them, to learn from")

    def batch(self, mixed_in: int, plain: Sequence[npt.NDArray[np.intp]]) -> tuple[Image, Image]:
        """Views ``(n, channels, rows, columns)`` and voxel sizes ``(n, 2)``.

        Parameters
        ----------
        mixed_in
            How many microbleeds; they are first.
        plain
            Numbers of the places that follow.
        """
        tissue = self.rng.choice(self.tissue, mixed_in)
        chosen = np.concatenate([tissue, *plain])
        views = self._places.views(chosen)
        brightness = views[:mixed_in, :BRIGHTNESS]
        brightness[:] = mixed(brightness, self._drawn(tissue), self.rng)
        views[self.rng.random(len(chosen)) < UNKNOWN_TISSUES, BRIGHTNESS:] = -1
        return views, self._places.voxel[chosen]

    def _drawn(self, tissue: npt.NDArray[np.intp]) -> Image:
        """A microbleed of the acquisition of each place."""
        kinds = [self._shadows[number] for number in self._places.acquisition[tissue]]
        return np.stack([known[self.rng.integers(len(known))] for known in kinds]).astype(
            np.float32
        )


def mixed(tissue: Image, shadows: Image, rng: np.random.Generator) -> Image:
    """Views of tissue with a microbleed in the middle of each.

    Parameters
    ----------
    tissue, shadows
        Views of as many places, shape ``(n, slices, rows, columns)``: brightness relative to the
        surroundings, minus 1. The shadows are turned and mirrored.
    rng
        Chooses how each shadow lies.
    """
    turned = np.empty_like(shadows)
    for number, shadow in enumerate(shadows):
        turned[number] = np.rot90(shadow, int(rng.integers(4)), (1, 2))
        if rng.random() < 0.5:
            turned[number] = turned[number, :, ::-1]
    views: Image = np.clip((tissue + 1) * (turned + 1), 0, 3) - 1
    return views


class Fitting:
    """Training of a network of places, in place, step by step.

    Parameters
    ----------
    network
        Set to training.
    batch
        Draws views, voxel sizes and truth, see :meth:`Mixer.batch`.
    loss_of
        Of what the network says and the truth.
    rng
        Changes the views, see :func:`augmented`.
    steps, rate
        How many, and the highest learning rate.
    """

    def __init__(
        self,
        network: PlaceNetwork,
        batch: Callable[[], tuple[Image, Image, npt.NDArray[Any]]],
        loss_of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        rng: np.random.Generator,
        *,
        steps: int,
        rate: float,
    ) -> None:
        self.network, self._batch, self._loss_of, self._rng = network, batch, loss_of, rng
        self._optimizer = torch.optim.AdamW(network.parameters(), rate, weight_decay=1e-2)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer, rate, total_steps=steps
        )
        network.train()

    def step(self) -> float:
        """Make another step.

        Returns
        -------
        loss
            Of its batch.
        """
        seen, voxel, truth = self._batch()
        views = augmented(torch.from_numpy(seen), self._rng)
        views = views.contiguous(memory_format=torch.channels_last)
        with fast_arithmetic("cpu"):
            said = self.network(views, torch.from_numpy(voxel)).float()
        loss = self._loss_of(said, torch.from_numpy(truth))
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        self._schedule.step()
        return float(loss.detach())

    def state(self) -> dict[str, Any]:
        """All that the next steps depend on, but for the random numbers of torch."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "rng": self._rng.bit_generator.state,
        }

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on where another training of the same network was.

        Parameters
        ----------
        state
            What :meth:`state` said there.
        """
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        self._rng.bit_generator.state = state["rng"]


def augmented(views: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Change a batch at random, each view on its own, as scanners and heads differ.

    Parameters
    ----------
    views
        Wider than a network's by twice the margin of places.
    rng
        Chooses the changes of each view.

    Returns
    -------
    views
        As wide as a network wants them.
    """
    views = _moved(views, rng)
    views, tissues = views[:, :BRIGHTNESS], views[:, BRIGHTNESS:]
    if rng.random() < 0.5:
        # The slices of either view in reverse order.
        views = views.unflatten(1, (2, -1)).flip(2).flatten(1, 2)
    inside = views > OUTSIDE
    changed = _sharpened(views, _each(rng.uniform(-0.6, 1, len(views))))
    gamma, contrast = (
        np.exp(rng.uniform(-0.3, 0.3, len(views))),
        rng.uniform(0.75, 1.25, len(views)),
    )
    changed = ((changed + 1).clamp(min=0) ** _each(gamma) - 1) * _each(contrast)
    fine, coarse = (_each(rng.uniform(0, most, len(views))) for most in (0.06, 0.05))
    blocks = torch.randn(*views.shape[:2], PIXELS // 2, PIXELS // 2)
    coarse = coarse * F.interpolate(blocks, scale_factor=2, mode="bilinear", align_corners=False)
    changed = changed + torch.randn_like(views) * fine + coarse
    return torch.cat([torch.where(inside, changed, views).clamp(-1, 2), tissues], dim=1)


def _each(values: npt.NDArray[np.float64]) -> torch.Tensor:
    """One number for each view of a batch."""
    return torch.from_numpy(values.astype(np.float32))[:, None, None, None]


def _moved(views: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Views turned, mirrored, stretched and shifted; what lies beyond them is outside the brain."""
    count, wide = len(views), views.shape[-1]
    angle, size = rng.uniform(0, 2 * np.pi, count), np.exp(rng.uniform(-0.22, 0.22, count))
    stretch, mirror = np.exp(rng.uniform(-0.1, 0.1, count)), rng.choice((-1, 1), count)
    across, along = np.cos(angle) * size, np.sin(angle) * size
    rows = [[across * stretch * mirror, -along], [along * mirror, across / stretch]]
    turn = np.array(rows).transpose(2, 0, 1) * PIXELS / wide
    shift = rng.uniform(-1, 1, (count, 2, 1)) * MARGIN / wide * 1.6
    theta = torch.from_numpy(np.concatenate([turn, shift], axis=2).astype(np.float32))
    grid = F.affine_grid(theta, [count, views.shape[1], PIXELS, PIXELS], align_corners=False)
    return F.grid_sample(views + 1, grid, align_corners=False) - 1


def _sharpened(views: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Views with a share of a blur; a negative one sharpens."""
    weights = torch.tensor([0.25, 0.5, 0.25])
    slices = views.shape[1]
    kernel = (weights[:, None] * weights).expand(slices, 1, 3, 3)
    blurred = F.conv2d(F.pad(views, (1, 1, 1, 1), mode="replicate"), kernel, groups=slices)
    return views + (blurred - views) * share
