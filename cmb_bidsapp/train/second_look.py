"""Training of the small network that tells microbleeds from other dark places."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from cmb_bidsapp.core.arrays import Image
from cmb_bidsapp.core.errors import NoInputError
from cmb_bidsapp.lesions.second_look import JUDGES, Judge, SecondLook, judge_views
from cmb_bidsapp.lesions.views import PIXELS
from cmb_bidsapp.train.mixing import Fitting, Mixer
from cmb_bidsapp.train.places import MARGIN, Kind, Places, Stored

BATCH, LEARNING_RATE = 128, 2e-3
#: Of a judge that is trained further: it shall not forget what it was trained on before.
TUNING_RATE = 3e-4
#: Share of a batch that is microbleeds; of these, the share that somebody labeled, where anybody
#: did; of the rest of the batch, the share that is clear tissue.
POSITIVE, LABELED, TISSUE = 0.4, 0.15, 0.1
#: Of that rest, the share that is suspected, where a judge is trained further.
SUSPECTED = 0.25
#: What a judge shall say of what is a microbleed, and of what is none: nobody is that sure.
YES, NO = 0.99, 0.01


def train_second_look(
    places: Places,
    shadows: Sequence[Stored],
    *,
    steps: int,
    seed: int = 0,
    progress: Callable[[int, float], None] = lambda *_: None,
) -> SecondLook:
    """Train the judges of a second look to tell microbleeds from other dark places.

    Most microbleeds are mixed anew into clear tissue for every step, so that none is seen twice.
    Every view is moved, turned, stretched, mirrored, and changed in sharpness, contrast and noise.

    Parameters
    ----------
    places
        Views of the places to learn from, with what they are.
    shadows
        Views of microbleeds alone, for each acquisition of the places.
    steps
        Of each judge.
    seed
        Of the random numbers; every judge has its own.
    progress
        Is told how many steps of all judges are done, and the loss.

    Raises
    ------
    NoInputError
        There are no dark places, or no tissue, to learn from.
    """
    judges: list[Judge] = []
    for number in range(JUDGES):
        own_seed = number + JUDGES * seed
        torch.manual_seed(own_seed)
        judge = Judge()
        sampler = _Sampler(places, shadows, np.random.default_rng(own_seed))
        fitting = _fitting(judge, sampler, steps, LEARNING_RATE)
        for step in range(1, steps + 1):
            progress(number * steps + step, fitting.step())
        judges.append(judge)
    network = SecondLook(judges)
    network.eval()
    return network


class Tuning:
    """Further training of a judge, on places as for :func:`train_second_look`.

    Of what is suspected nobody knows what it is: the judge shall go on saying what it says now, so
    that it does not forget what is hard to tell apart.

    Parameters
    ----------
    judge
        It stays as it is; a copy is trained.
    places
        To learn from.
    shadows
        By acquisition, see :func:`cmb_bidsapp.train.places.shadows_of`.
    steps
        How many there are at most.
    seed
        Of the random numbers.

    Raises
    ------
    NoInputError
        There are no dark places, or no tissue, to learn from.
    """

    def __init__(
        self, judge: Judge, places: Places, shadows: Sequence[Stored], *, steps: int, seed: int
    ) -> None:
        self.judge = copy.deepcopy(judge)
        sampler = _Sampler(places, shadows, np.random.default_rng(seed), judge)
        self._fitting = _fitting(self.judge, sampler, steps, TUNING_RATE)
        self._random = torch.Generator().manual_seed(seed).get_state()

    def advance(self, steps: int) -> None:
        """Make so many steps, whatever others have drawn of torch's random numbers."""
        with torch.random.fork_rng(devices=()):
            torch.set_rng_state(self._random)
            for _ in range(steps):
                self._fitting.step()
            self._random = torch.get_rng_state()

    def state(self) -> dict[str, Any]:
        """All that the next steps depend on."""
        return {**self._fitting.state(), "torch": self._random}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on where another training of the judge was.

        Parameters
        ----------
        state
            What :meth:`state` said there.
        """
        self._fitting.resume(state)
        self._random = state["torch"]


def halfway(start: SecondLook, end: SecondLook) -> SecondLook:
    """A second look whose weights are the mean of two.

    Parameters
    ----------
    start, end
        Before a training and in it; both stay as they are.
    """
    network, before = copy.deepcopy(end), start.state_dict()
    # Counts of batches are integers, and have no mean.
    weights = {
        name: (before[name] + value) / 2 if value.is_floating_point() else value
        for name, value in end.state_dict().items()
    }
    network.load_state_dict(weights)
    return network


def _fitting(judge: Judge, sampler: _Sampler, steps: int, rate: float) -> Fitting:
    loss = F.binary_cross_entropy_with_logits
    return Fitting(judge, sampler.batch, loss, sampler.rng, steps=steps, rate=rate)


class _Sampler:
    """Draws batches of the same make-up, microbleeds that are mixed in first."""

    def __init__(
        self,
        places: Places,
        shadows: Sequence[Stored],
        rng: np.random.Generator,
        judge: Judge | None = None,
    ) -> None:
        self.rng, self._mixer = rng, Mixer(places, shadows, rng)
        of = {kind: np.flatnonzero(places.kind == kind) for kind in Kind}
        if not len(of[Kind.OTHER]):
            raise NoInputError("no dark places, or no tissue around them, to learn from")
        positives = round(BATCH * POSITIVE)
        labeled = round(positives * LABELED) if len(of[Kind.LESION]) else 0
        rest = BATCH - positives
        plain = round(rest * TISSUE)
        unknown = round(rest * SUSPECTED) if judge and len(of[Kind.SUSPECTED]) else 0
        self._mixed = positives - labeled
        #: The rest of a batch: places to choose from, and how many.
        self._plain = (
            (of[Kind.LESION], labeled),
            (of[Kind.OTHER], rest - plain - unknown),
            (self._mixer.tissue, plain),
            (of[Kind.SUSPECTED], unknown),
        )
        self._truth = np.where(places.kind == Kind.LESION, YES, NO).astype(np.float32)
        if judge and unknown:
            self._truth[of[Kind.SUSPECTED]] = _said(judge, places, of[Kind.SUSPECTED])

    def batch(self) -> tuple[Image, Image, Image]:
        """Views ``(BATCH, slices, rows, columns)``, voxel sizes ``(BATCH, 2)`` and the truth."""
        plain = [self.rng.choice(known, count) for known, count in self._plain if count]
        views, voxel = self._mixer.batch(self._mixed, plain)
        mixed_in = np.full(self._mixed, YES, np.float32)
        return views, voxel, np.concatenate([mixed_in, self._truth[np.concatenate(plain)]])


def _said(judge: Judge, places: Places, chosen: npt.NDArray[np.intp]) -> Image:
    """What a judge says of places."""
    middle = slice(MARGIN, MARGIN + PIXELS)
    network = SecondLook([copy.deepcopy(judge)])
    said = np.empty(len(chosen), np.float32)
    for voxel in np.unique(places.voxel[chosen], axis=0):
        own = (places.voxel[chosen] == voxel).all(axis=1)
        views = places.views(chosen[own])[..., middle, middle]
        said[own] = judge_views(network, views, (float(voxel[0]), float(voxel[1])))
    return said
