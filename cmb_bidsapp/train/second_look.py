"""Training of the second look: places of training scans, and the small network that tells them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy import ndimage

from cmb_bidsapp.lesions.candidates import CONNECTIVITY_26
from cmb_bidsapp.lesions.second_look import PIXELS, SecondLook, Viewer, Views, darkest
from cmb_bidsapp.train.lesions import TrainingCase

#: Room (pixels) for shifts of the views in training.
MARGIN = 3
#: Dark places that are no microbleed, at most, of one scan.
DARK_PLACES = 250
#: A place this near (mm) to a lesion, or to what is to be ignored, is none of them.
CLEAR_MM = 4.0
BATCH, LEARNING_RATE, POSITIVE_SHARE = 128, 2e-3, 0.4


@dataclass(frozen=True)
class Places:
    """Views of places with what they are.

    Attributes
    ----------
    views
        Wider than the network's by twice :data:`MARGIN`.
    voxel
        Logarithms of the voxel sizes, shape ``(n, 2)``.
    true
        Whether each is a microbleed.
    """

    views: Views
    voxel: npt.NDArray[np.float32]
    true: npt.NDArray[np.bool_]

    @classmethod
    def joined(cls, parts: Sequence[Places]) -> Places:
        """All places of several scans."""
        return cls(
            np.concatenate([p.views for p in parts]),
            np.concatenate([p.voxel for p in parts]),
            np.concatenate([p.true for p in parts]),
        )


def dark_places(
    t2star: npt.NDArray[np.float32], voxel: Sequence[float], count: int
) -> npt.NDArray[np.intp]:
    """Centres of the darkest small spots of a brain, relative to what is around each.

    Shape ``(n, 3)``, at most ``count``; microbleeds and what resembles them are among these.
    """
    size = [max(1, round(2.0 / mm)) | 1 for mm in voxel[:2]]
    inside = (t2star > 0).astype(np.float32)
    blur = [2.5 / voxel[0], 2.5 / voxel[1], 0]
    around = ndimage.gaussian_filter(t2star, blur) / np.maximum(
        ndimage.gaussian_filter(inside, blur), 0.2
    )
    ratio = np.where(t2star > 0, t2star / np.maximum(around, 1e-6), 1)
    lowest = ndimage.minimum_filter(ratio, (*size, 1)) == ratio
    spots = np.argwhere(lowest & (ratio < 0.9) & (t2star > 0))
    order = np.argsort(ratio[tuple(spots.T)], kind="stable")
    darkest_first: npt.NDArray[np.intp] = spots[order[:count]]
    return darkest_first


def places_of(case: TrainingCase, *, backgrounds: bool = True) -> Places:
    """Lesions of a training case, and dark places that are none.

    Parameters
    ----------
    backgrounds
        Whether the dark places are wanted: several draws of one scan have the same.
    """
    image = nib.as_closest_canonical(nib.load(case.t2star))
    t2star = np.asarray(image.dataobj, np.float32)
    voxel = [float(size) for size in image.header.get_zooms()[:3]]
    lesions = _ras(case.lesions) > 0
    pieces, count = ndimage.label(lesions, CONNECTIVITY_26)
    positives = darkest(t2star, pieces, count)
    negatives = np.zeros((0, 3), np.intp)
    if backgrounds:
        known = lesions if case.ignore is None else lesions | (_ras(case.ignore) > 0)
        distance = ndimage.distance_transform_edt(~known, voxel) if known.any() else None
        spots = dark_places(t2star, voxel, 2 * DARK_PLACES)
        if case.mimics is not None:
            suspected, number = ndimage.label(_ras(case.mimics) > 0, CONNECTIVITY_26)
            spots = np.concatenate([darkest(t2star, suspected, number), spots])
        clear = np.ones(len(spots), bool)
        if distance is not None:
            clear = distance[tuple(spots.T)] > CLEAR_MM
        negatives = spots[clear][:DARK_PLACES]
    viewer = Viewer.of(t2star, voxel)
    centres = np.concatenate([positives, negatives])
    return Places(
        viewer.views(centres, PIXELS + 2 * MARGIN),
        np.tile(np.array(viewer.log_voxel(), np.float32), (len(centres), 1)),
        np.arange(len(centres)) < len(positives),
    )


def _ras(path: Path) -> npt.NDArray[np.integer]:
    return np.asarray(nib.as_closest_canonical(nib.load(path)).dataobj)


def train_second_look(
    places: Places,
    *,
    steps: int,
    seed: int = 0,
    progress: Callable[[int, float], None] = lambda *_: None,
) -> SecondLook:
    """Train a network to tell microbleeds from other dark places.

    Every view is shifted, mirrored, turned by right angles, and changed in contrast and noise.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = SecondLook()
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    positives, negatives = (np.flatnonzero(places.true == kind) for kind in (True, False))
    wanted = round(BATCH * POSITIVE_SHARE)
    network.train()
    for step in range(1, steps + 1):
        chosen = np.concatenate(
            [rng.choice(positives, wanted), rng.choice(negatives, BATCH - wanted)]
        )
        views = _augmented(torch.from_numpy(places.views[chosen]), rng)
        views = views.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            odds = network(views, torch.from_numpy(places.voxel[chosen])).float()
        truth = torch.from_numpy(places.true[chosen].astype(np.float32))
        loss = F.binary_cross_entropy_with_logits(odds, truth * 0.98 + 0.01)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        progress(step, float(loss.detach()))
    network.eval()
    return network


def _augmented(views: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Change a batch at random, in halves alike and in contrast and noise each on its own."""
    x, y = rng.integers(0, 2 * MARGIN + 1, 2)
    views = views[..., x : x + PIXELS, y : y + PIXELS]
    views = torch.rot90(views, int(rng.integers(4)), (2, 3))
    if rng.random() < 0.5:
        views = views.flip(2)
    if rng.random() < 0.5:
        # The slices of either view in reverse order.
        views = views.unflatten(1, (2, -1)).flip(2).flatten(1, 2)
    count = len(views)
    contrast = torch.from_numpy(rng.uniform(0.7, 1.3, (count, 1, 1, 1)).astype(np.float32))
    noise = torch.from_numpy(rng.uniform(0, 0.06, (count, 1, 1, 1)).astype(np.float32))
    inside = views > -1
    changed = (views * contrast + torch.randn_like(views) * noise).clamp(-1, 2)
    return torch.where(inside, changed, views)
