"""Training of the small network that says what dark places look like."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F

from cmb_bidsapp.lesions.lesion import LooksLike
from cmb_bidsapp.lesions.second_look import Namer
from cmb_bidsapp.models.device import fast_arithmetic
from cmb_bidsapp.train.mixing import Mixer, augmented
from cmb_bidsapp.train.places import MICROBLEED, Places, Stored

BATCH, LEARNING_RATE = 128, 2e-3
#: Of the microbleeds of a batch, the share that somebody labelled, where anybody did.
LABELLED = 0.3
#: A look of fewer places is not learned: it would be known by heart.
FEWEST = 20
#: Share of a batch's truth that is spread over all looks: nobody is that sure.
SMOOTHED = 0.05


def train_namer(
    places: Places,
    shadows: Sequence[Stored],
    *,
    steps: int,
    seed: int = 0,
    progress: Callable[[int, float], None] = lambda *_: None,
) -> Namer | None:
    """Train a network to say what dark places look like, each look as often as the others.

    Parameters
    ----------
    places, shadows
        As for :func:`cmb_bidsapp.train.second_look.train_second_look`.
    steps, seed
        Of the training.
    progress
        Is told how many steps are done, and the loss.

    Returns
    -------
    namer
        ``None`` where there is no look but that of microbleeds to learn.

    Raises
    ------
    NoInputError
        There is no tissue to mix microbleeds into.
    """
    of = [np.flatnonzero(places.looks == number) for number in range(len(LooksLike))]
    others = [n for n, own in enumerate(of) if n != MICROBLEED and len(own) >= FEWEST]
    if not others:
        return None
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    mixer, namer = Mixer(places, shadows, rng), Namer()
    each = BATCH // (len(others) + 1)
    labelled = round(each * LABELLED) if len(of[MICROBLEED]) else 0
    truth = torch.from_numpy(np.repeat([MICROBLEED, *others], each))
    optimizer = torch.optim.AdamW(namer.parameters(), LEARNING_RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    namer.train()
    for step in range(1, steps + 1):
        known = [rng.choice(of[MICROBLEED], labelled)] if labelled else []
        plain = known + [rng.choice(of[number], each) for number in others]
        seen, voxel = mixer.batch(each - labelled, plain)
        views = augmented(torch.from_numpy(seen), rng).contiguous(memory_format=torch.channels_last)
        with fast_arithmetic("cpu"):
            scores = namer(views, torch.from_numpy(voxel)).float()
        loss = F.cross_entropy(scores, truth, label_smoothing=SMOOTHED)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        progress(step, float(loss.detach()))
    namer.eval()
    return namer
