"""What an adaptation keeps in its work folder, so that an interrupted one goes on.

Every part is written once and read from its file, whether or not it was made just now: a run that
was interrupted gives the same bundle as one that was not.
"""

from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import atomic, write_json
from cmb_bidsapp.bids.stamps import key_of, states
from cmb_bidsapp.bids.text import read_json
from cmb_bidsapp.core.errors import UsageError
from cmb_bidsapp.lesions.second_look import SecondLook
from cmb_bidsapp.sensitivity.background import Background, read_background
from cmb_bidsapp.sensitivity.measure import Chain
from cmb_bidsapp.train.held_back import Trial, as_arrays, from_arrays, trials_of
from cmb_bidsapp.train.places import (
    SHADOWS,
    Acquisition,
    Places,
    Stored,
    places_of,
    shadows_of,
    with_ratings,
)
from cmb_bidsapp.train.rated import Rated
from cmb_bidsapp.train.second_look import Tuning

Arrays = Mapping[str, npt.NDArray[Any]]

#: Steps of the judges from one measurement to the next.
EVERY = 25


def measured_at(steps: int) -> list[int]:
    """Steps after which a training of so many is measured; the last is one of them."""
    return [*range(EVERY, steps, EVERY), steps]


class Pace:
    """How long work of equal parts still takes."""

    def __init__(self, parts: int) -> None:
        self._parts, self._done, self._began = parts, 0, time.monotonic()

    def next(self) -> str:
        """Say, after another part, how many are done and how long the rest takes.

        As long as the last one each: parts that an interrupted run had made took no time.
        """
        self._done += 1
        left, now = self._parts - self._done, time.monotonic()
        minutes, self._began = (now - self._began) * left / 60, now
        told = f"{self._done} of {self._parts}"
        return f"{told}, about {max(1, round(minutes))} min left" if left else told


@dataclass(frozen=True)
class WorkFolder:
    """Folder of an adaptation, and the seed of its random numbers."""

    path: Path
    seed: int

    def open(self, parameters: Mapping[str, Any], inputs: Sequence[Path]) -> None:
        """Make the folder, or refuse one that is of another adaptation.

        Parameters
        ----------
        parameters
            Of the adaptation.
        inputs
            Files that it is made of.

        Raises
        ------
        UsageError
            Other scans, options or weights made what it holds.
        """
        path, key = self.path / "adaptation.json", key_of(parameters, states(inputs, {}))
        known = read_json(path).get("key") if path.exists() else key
        if known != key:
            raise UsageError(
                f"--work-dir {self.path}: belongs to another adaptation (different scans, model "
                "or options); remove it, or choose another folder"
            )
        write_json(path, {"key": key, **parameters})

    def places(self, files: SessionFiles, rated: Rated | None) -> tuple[Places, Acquisition]:
        """Places of a scan that is learned from, and its acquisition.

        Parameters
        ----------
        files
            The session's derivatives.
        rated
            What readers say of it; ``None``: nobody has read it.
        """

        def make() -> Arrays:
            seen, rng = read_background(files, None), self._rng(files.label)
            if rated is None:
                found = places_of(seen, 0, rng)
            else:
                found = with_ratings(seen, rated.lesions, rated.others, 0, rng)
            return {"protocol": _protocol(seen), **vars(found)}

        kept = self._kept(f"{files.label}_places", make)
        names = [field.name for field in dataclasses.fields(Places)]
        return Places(**{name: kept[name] for name in names}), _acquisition(kept)

    def trials(
        self,
        files: SessionFiles,
        chain_of: Callable[[Background], Chain],
        draws: int,
        spots: SecondLook | None,
    ) -> tuple[list[Trial], Acquisition]:
        """Trials of a scan that is held back, and its acquisition.

        Parameters
        ----------
        files
            The session's derivatives.
        chain_of
            What proposes candidates in a scan.
        draws
            How often microbleeds are drawn into it.
        spots
            Network that proposes dark spots besides; ``None``: nothing does.
        """

        def make() -> Arrays:
            seen = read_background(files, None)
            own_seed = (self.seed, *files.label.encode())
            trials = trials_of(seen, chain_of(seen), draws, own_seed, spots)
            return {"protocol": _protocol(seen), **as_arrays(trials)}

        kept = self._kept(f"{files.label}_trials", make)
        return from_arrays(kept), _acquisition(kept)

    def shadows(self, acquisition: Acquisition) -> Stored:
        """Microbleeds of an acquisition, to be mixed into tissue."""
        name = "_".join(f"{x:g}" for x in _protocol(acquisition))
        rng = self._rng(name)
        kept = self._kept(
            f"shadows_{name}", lambda: {"shadows": shadows_of(acquisition, SHADOWS, rng)}
        )
        return kept["shadows"]

    def states(
        self, start: SecondLook, places: Places, shadows: Sequence[Stored], steps: int
    ) -> Iterator[tuple[int, SecondLook]]:
        """Train the judges of a second look further, all together.

        Training goes on when the next state is asked for, from the states that are kept.

        Parameters
        ----------
        start
            Second look that training starts from.
        places
            Views of the places to learn from, with what they are.
        shadows
            Views of microbleeds alone, for each acquisition of the places.
        steps
            Length of the training of each judge.

        Yields
        ------
        step, network
            Number of steps that every judge has made, and the judges there.
        """
        count = len(start.members)
        trainings = [
            Tuning(judge, places, shadows, steps=steps, seed=number + count * self.seed)
            for number, judge in enumerate(start.members)
        ]
        for before, step in pairwise((0, *measured_at(steps))):
            for number, training in enumerate(trainings):
                path = self.path / f"judge-{number}_step-{step}.pt"
                if path.exists():
                    training.resume(torch.load(path, weights_only=True))
                    continue
                training.advance(step - before)
                with atomic(path) as beside:
                    torch.save(training.state(), beside)
            network = SecondLook([copy.deepcopy(one.judge) for one in trainings], start.namer)
            network.eval()
            yield step, network

    def _kept(self, name: str, make: Callable[[], Arrays]) -> Arrays:
        """Arrays of a file, which is made where it is not there."""
        path = self.path / f"{name}.npz"
        if not path.exists():
            with atomic(path) as beside:
                np.savez(beside, allow_pickle=False, **make())
        with np.load(path) as arrays:
            return dict(arrays)

    def _rng(self, name: str) -> np.random.Generator:
        """Random numbers of a part, whatever else was made before."""
        return np.random.default_rng((self.seed, *name.encode()))


def _protocol(of: Acquisition | Background) -> npt.NDArray[np.float64]:
    known = of if isinstance(of, Acquisition) else Acquisition.of(of)
    return np.array([*known.voxel, known.b0, known.te_ms])


def _acquisition(kept: Arrays) -> Acquisition:
    x, y, z, b0, te_ms = kept["protocol"].tolist()
    return Acquisition((x, y, z), b0, te_ms)
