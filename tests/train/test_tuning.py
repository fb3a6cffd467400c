"""What an adaptation keeps in its work folder."""

import numpy as np
import pytest
import torch

from cmb_bidsapp.core.errors import UsageError
from cmb_bidsapp.lesions.second_look import SecondLook
from cmb_bidsapp.train import tuning
from cmb_bidsapp.train.places import Acquisition
from cmb_bidsapp.train.tuning import Pace, WorkFolder


@pytest.fixture
def work(tmp_path):
    return WorkFolder(tmp_path / "work", 3)


def test_the_pace_is_told_until_nothing_is_left(monkeypatch):
    now = iter([0.0, 120.0, 240.0, 360.0])
    monkeypatch.setattr(tuning.time, "monotonic", lambda: next(now))
    pace = Pace(3)
    assert [pace.next() for _ in range(3)] == [
        "1 of 3, about 4 min left", "2 of 3, about 2 min left", "3 of 3",
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


@pytest.fixture
def trained(monkeypatch):
    """Training whose every step adds 1 to all weights; says which judges were trained."""
    begun = []

    def tuned(judge, places, shadows, *, steps, seed):
        begun.append(seed)
        for _ in range(steps):
            with torch.no_grad():
                for weights in judge.parameters():
                    weights += 1
            yield judge, 0.5

    monkeypatch.setattr(tuning, "tuned", tuned)
    monkeypatch.setattr(tuning, "EVERY", 2)
    return begun


def bias(network):
    return [float(next(judge.parameters()).detach().flatten()[0]) for judge in network.judges]


def test_judges_are_kept_as_they_were_after_every_so_many_steps(work, trained):
    work.path.mkdir()
    torch.manual_seed(0)
    start, said = SecondLook(), []
    before = bias(start)
    states = work.states(start, None, (), 5, said.append)
    assert list(states) == [2, 4, 5]
    for step, network in states.items():
        assert bias(network) == pytest.approx([one + step for one in before])
    assert len(set(trained)) == len(start.judges)
    assert said[0].startswith("judge 1, step 2: loss 0.5000 (1 of ")


def test_an_interrupted_training_trains_the_judges_that_lack_their_last_state(work, trained):
    work.path.mkdir()
    start, said = SecondLook(), []
    work.states(start, None, (), 4, said.append)
    trained.clear()
    (work.path / "judge-1_step-4.pt").unlink()
    work.states(start, None, (), 4, said.append)
    assert trained == [1 + 3 * len(start.judges)]
