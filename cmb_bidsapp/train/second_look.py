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
from cmb_bidsapp.lesions.second_look import PIXELS, SLICES, SecondLook, Viewer, Views, darkest
from cmb_bidsapp.train.cases import TrainingCase

#: Room (pixels) for shifts of the views in training.
MARGIN = 3
#: Places of one scan that are no microbleed, at most: what a lesion model suspects, any dark spots,
#: and the darkest ones.
SUSPECTED, SPOTS, DARKEST = 250, 150, 60
#: A place this near (mm) to a lesion, or to what is to be ignored, is none of them.
CLEAR_MM = 4.0
#: Microbleeds that are less dark than this, relative to their surroundings, teach little but noise.
LEAST_DARK = 0.35
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


def dark_places(t2star: npt.NDArray[np.float32], voxel: Sequence[float]) -> npt.NDArray[np.intp]:
    """Centres of small dark spots of a brain, the darkest first, relative to what is around each.

    Shape ``(n, 3)``; microbleeds and what resembles them are among these.
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
    darkest_first: npt.NDArray[np.intp] = spots[order]
    return darkest_first


def places_of(case: TrainingCase, rng: np.random.Generator, *, backgrounds: bool = True) -> Places:
    """Lesions of a training case, and dark places that are none.

    Parameters
    ----------
    rng
        Chooses among the places that are none.
    backgrounds
        Whether these are wanted: several draws of one scan have the same.
    """
    image = nib.as_closest_canonical(nib.load(case.t2star))
    t2star = np.asarray(image.dataobj, np.float32)
    voxel = [float(size) for size in image.header.get_zooms()[:3]]
    lesions = _ras(case.lesions) > 0
    viewer = Viewer.of(t2star, voxel)
    pieces, count = ndimage.label(lesions, CONNECTIVITY_26)
    views = viewer.views(darkest(t2star, pieces, count), PIXELS + 2 * MARGIN)
    views = views[_darkness(views) >= LEAST_DARK]
    found = len(views)
    if backgrounds:
        known = lesions if case.ignore is None else lesions | (_ras(case.ignore) > 0)
        suspected = np.zeros(lesions.shape, bool) if case.mimics is None else _ras(case.mimics) > 0
        centres = _other_places(t2star, voxel, known, suspected, rng)
        views = np.concatenate([views, viewer.views(centres, PIXELS + 2 * MARGIN)])
    sizes = np.tile(np.array(viewer.log_voxel(), np.float32), (len(views), 1))
    return Places(views, sizes, np.arange(len(views)) < found)


def _darkness(views: Views) -> npt.NDArray[np.float32]:
    """How dark the middle of each view is, relative to its surroundings; 1 is black."""
    middle = views.shape[-1] // 2
    spot = slice(middle - 2, middle + 2)
    lowest: npt.NDArray[np.float32] = -views[:, SLICES // 2, spot, spot].min(axis=(1, 2))
    return lowest


def _other_places(
    t2star: npt.NDArray[np.float32],
    voxel: Sequence[float],
    known: npt.NDArray[np.bool_],
    suspected: npt.NDArray[np.bool_],
    rng: np.random.Generator,
) -> npt.NDArray[np.intp]:
    """Suspected and dark places that are not near to what is ``known``."""
    pieces, count = ndimage.label(suspected, CONNECTIVITY_26)
    suspects = rng.permutation(darkest(t2star, pieces, count))[:SUSPECTED]
    spots = dark_places(t2star, voxel)
    others = np.concatenate([suspects, rng.permutation(spots)[:SPOTS], spots[:DARKEST]])
    reach = [2 * max(1, round(CLEAR_MM / mm)) + 1 for mm in voxel]
    near = ndimage.maximum_filter(known, reach)
    clear: npt.NDArray[np.intp] = others[~near[tuple(others.T)]]
    return clear


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
