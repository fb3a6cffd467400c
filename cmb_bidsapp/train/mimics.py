"""Training of the small network that says what dark places are that are no microbleeds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from cmb_bidsapp.core.arrays import Image
from cmb_bidsapp.lesions.lesion import Mimic
from cmb_bidsapp.lesions.second_look import Namer
from cmb_bidsapp.train.mixing import Fitting
from cmb_bidsapp.train.places import Places

BATCH, LEARNING_RATE = 128, 2e-3
#: A mimic of fewer places is not learned: it would be known by heart.
FEWEST = 100
#: Share of a batch's truth that is spread over all mimics: nobody is that sure.
SMOOTHED = 0.05


def train_namer(
    places: Places,
    *,
    steps: int,
    seed: int = 0,
    progress: Callable[[int, float], None] = lambda *_: None,
) -> Namer | None:
    """Train a network to tell mimics from each other, each as often as the others.

    Microbleeds take no part. Trained with them, it called nearly every false mark of real scans a
    microbleed, as the judges had.

    Parameters
    ----------
    places
        Of which those are used whose mimic is known.
    steps, seed
        Of the training.
    progress
        Is told how many steps are done, and the loss.

    Returns
    -------
    namer
        ``None`` where fewer than two mimics have enough places.
    """
    of = [np.flatnonzero(places.mimic == number) for number in range(len(Mimic))]
    known = [number for number, own in enumerate(of) if len(own) >= FEWEST]
    if len(known) < 2:
        return None
    torch.manual_seed(seed)
    rng, namer = np.random.default_rng(seed), Namer()
    each = BATCH // len(known)
    truth = np.repeat(known, each)

    def batch() -> tuple[Image, Image, npt.NDArray[np.int64]]:
        chosen = np.concatenate([rng.choice(of[number], each) for number in known])
        return places.brightness[chosen].astype(np.float32), places.voxel[chosen], truth

    loss = partial(F.cross_entropy, label_smoothing=SMOOTHED)
    fitting = Fitting(namer, batch, loss, rng, steps=steps, rate=LEARNING_RATE)
    for step in range(1, steps + 1):
        progress(step, fitting.step())
    namer.eval()
    return namer
