"""What an adaptation keeps in its work folder."""

import copy

import numpy as np
import pytest
import torch

from cmb_bidsapp.core.errors import UsageError
from cmb_bidsapp.lesions.second_look import Judge, SecondLook
from cmb_bidsapp.train import tuning
from cmb_bidsapp.train.places import Acquisition
from cmb_bidsapp.train.tuning import Pace, WorkFolder, measured_at


@pytest.fixture
def work(tmp_path):
    return WorkFolder(tmp_path / "work", 3)


def test_the_pace_is_told_until_nothing_is_left(monkeypatch):
    # The first part was there already.
    now = iter([0.0, 0.1, 120.0, 240.0, 360.0])
    monkeypatch.setattr(tuning.time, "monotonic", lambda: next(now))
    pace = Pace(4)
    assert [pace.next() for _ in range(4)] == [
        "1 of 4, about 1 min left", "2 of 4, about 4 min left", "3 of 4, about 2 min left",
        "4 of 4",
    ]  # fmt: skip


def test_a_folder_is_of_one_adaptation(work, tmp_path):
    scan = tmp_path / "scan"
    scan.write_text("a")
    work.open({"steps": 3}, [scan])
    work.open({"steps": 3}, [scan])
    with pytest.raises(UsageError, match="belongs to another adaptation"):
        work.open({"steps": 4}, [scan])
    scan.write_text("b")
    with pytest.raises(UsageError, match=str(work.path)):
        work.open({"steps": 3}, [scan])


def test_shadows_are_made_once_and_are_the_same_whatever_else_is_made(work, tmp_path, monkeypatch):
    made = []

    def shadows_of(acquisition, count, rng):
        made.append(acquisition)
        return rng.normal(size=(count, 2)).astype(np.float32)

    monkeypatch.setattr(tuning, "shadows_of", shadows_of)
    monkeypatch.setattr(tuning, "SHADOWS", 4)
    one, two = Acquisition((0.5, 0.5, 4.0), 3.0, 20.0), Acquisition((1, 1, 2), 1.5, 40.0)
    first = work.shadows(one)
    np.testing.assert_array_equal(work.shadows(one), first)
    assert made == [one]
    elsewhere = WorkFolder(tmp_path / "other", 3)
    assert not np.array_equal(elsewhere.shadows(two), first)
    np.testing.assert_array_equal(elsewhere.shadows(one), first)
    assert not np.array_equal(WorkFolder(tmp_path / "third", 4).shadows(one), first)


class Adder:
    """Training whose every step adds 1 to all weights; :data:`LOG` has its parts."""

    def __init__(self, judge, places, shadows, *, steps, seed):
        self.judge, self.seed, self.made = copy.deepcopy(judge), seed, 0

    def advance(self, steps):
        LOG.append((self.seed, self.made, steps))
        self.made += steps
        with torch.no_grad():
            for weights in self.judge.parameters():
                weights += steps

    def state(self):
        return {"judge": self.judge.state_dict(), "made": self.made}

    def resume(self, state):
        self.judge.load_state_dict(state["judge"])
        self.made = state["made"]


LOG = []


@pytest.fixture
def start(work, monkeypatch):
    monkeypatch.setattr(tuning, "Tuning", Adder)
    monkeypatch.setattr(tuning, "EVERY", 2)
    LOG.clear()
    work.path.mkdir()
    torch.manual_seed(0)
    return SecondLook([Judge(), Judge()])


def bias(network):
    return [float(next(judge.parameters()).detach().flatten()[0]) for judge in network.judges]


def test_the_last_step_is_measured_too(monkeypatch):
    monkeypatch.setattr(tuning, "EVERY", 2)
    assert [measured_at(steps) for steps in (1, 2, 4, 5)] == [[1], [2], [2, 4], [2, 4, 5]]


def test_judges_advance_together_and_are_kept_as_they_were(work, start):
    before = bias(start)
    states = dict(work.states(start, None, (), 5))
    assert list(states) == [2, 4, 5]
    for step, network in states.items():
        assert bias(network) == pytest.approx([one + step for one in before])
    assert bias(start) == before
    judges = (6, 7)  # of the third seed, for two judges
    assert [(seed, *part) for part in ((0, 2), (2, 2), (4, 1)) for seed in judges] == LOG


def test_nothing_is_trained_before_it_is_asked_for(work, start):
    states = work.states(start, None, (), 5)
    assert next(states)[0] == 2
    assert LOG == [(6, 0, 2), (7, 0, 2)]


def test_an_interrupted_training_goes_on_where_each_judge_was(work, start):
    whole = bias(dict(work.states(start, None, (), 5))[5])
    for path in ("judge-0_step-5.pt", "judge-1_step-4.pt", "judge-1_step-5.pt"):
        (work.path / path).unlink()
    LOG.clear()
    assert bias(dict(work.states(start, None, (), 5))[5]) == whole
    assert LOG == [(7, 2, 2), (6, 4, 1), (7, 4, 1)]
