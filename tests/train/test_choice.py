"""Which state of a training is taken, and when it ends."""

import numpy as np
import pytest
import torch

from cmb_bidsapp.lesions.second_look import Judge, SecondLook
from cmb_bidsapp.train.choice import PATIENCE, best_state
from cmb_bidsapp.train.gains import HeldBack, Judged
from cmb_bidsapp.train.held_back import Trial

IMPLANTS = 10


def worth(value):
    """A second look whose weights all have a value."""
    network = SecondLook([Judge()])
    with torch.no_grad():
        for weights in network.parameters():
            weights.fill_(value)
    return network


def value_of(network):
    return round(float(next(network.parameters()).detach().flatten()[0]), 3)


@pytest.fixture
def chosen(monkeypatch):
    """The state that is taken where weights find so many of the implants, and what is said."""
    points = np.zeros((IMPLANTS, 3))
    points[:, 0] = 100 * np.arange(IMPLANTS)
    nothing = np.zeros((0, 3))
    views, voxel = np.zeros((1, 1), np.float32), np.zeros(2)
    scan = Trial(
        views=views, voxel=voxel, mark=np.zeros(1, np.intp), marks=points[:1], implants=nothing
    )
    drawn = Trial(
        views=views, voxel=voxel, mark=np.zeros(1, np.intp), marks=points, implants=points
    )
    held_back = HeldBack([scan], [drawn], [drawn])

    def choose(found, values):
        def scores(trial, network):
            if not len(trial.implants):
                return np.array([0.6], np.float32)
            marked = np.arange(IMPLANTS) < found.get(value_of(network), 0)
            return np.where(marked, 0.9, 0.1).astype(np.float32)

        monkeypatch.setattr(Trial, "scores", scores)
        asked, said = [], []

        def states():
            for number, value in enumerate(values, 1):
                asked.append(number)
                yield 10 * number, worth(value)

        start = Judged(worth(0), held_back)
        best = best_state(start, states(), [0.5], said.append, lambda: "soon")
        return best, asked, said

    return choose


def test_halfway_is_taken_where_it_finds_most(chosen):
    best, _, said = chosen({0: 3, 1: 5, 0.5: 4, 2: 4, 4: 6, 3: 2}, [1, 4])
    assert (best.step, best.halfway, value_of(best.judged.network), best.share) == (
        20,
        False,
        4,
        0.6,
    )
    best, _, said = chosen({0: 3, 1: 5, 0.5: 4, 4: 6, 2: 7}, [1, 4])
    assert (best.step, best.halfway, value_of(best.judged.network), best.share) == (
        20,
        True,
        2,
        0.7,
    )
    assert said == [
        "step 0: 30.0% found at 1.00 marks per scan",
        "step 10: 50.0% found at 1.00 marks per scan; halfway to it: 40.0% found at 1.00 marks per "
        "scan (soon)",
        "step 20: 60.0% found at 1.00 marks per scan; halfway to it: 70.0% found at 1.00 marks per "
        "scan (soon)",
    ]


def test_training_stops_where_nothing_improves_any_more(chosen):
    found = {0: 3, 1: 5, 2: 4, 3: 5, 4: 5, 5: 5, 6: 9, 7: 9, 8: 9}
    best, asked, said = chosen(found, [1, 2, 3, 4, 5, 6, 7, 8][: PATIENCE + 3])
    assert asked == list(range(1, PATIENCE + 2)), "an equal share is no improvement"
    assert best.step == 10
    assert said[-1] == f"{PATIENCE} measurements without a gain: training stops"


def test_patience_begins_anew_with_every_gain(chosen):
    found = {0: 3, PATIENCE: 4, 2 * PATIENCE: 5}
    values = list(range(1, 2 * PATIENCE + 1))
    best, asked, _ = chosen(found, values)
    assert len(asked) == len(values)
    assert best.step == 20 * PATIENCE


def test_the_start_remains_where_nothing_finds_more(chosen):
    best, asked, _ = chosen({0: 3, 1: 3, 2: 1}, [1] * 9)
    assert (best.step, value_of(best.judged.network)) == (0, 0)
    assert len(asked) == PATIENCE
