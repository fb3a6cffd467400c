"""What is gained at as many marks per scan."""

import numpy as np
import pytest

from cmb_bidsapp.models.calibration import calibrate
from cmb_bidsapp.models.card import is_calibration
from cmb_bidsapp.train.gains import LEAST_CANDIDATES, EqualMarks, HeldBack, Judged
from cmb_bidsapp.train.held_back import Trial

RNG = np.random.default_rng(0)


def trial(marks, implants):
    """Marks at given distances (mm) along x, whose views hold nothing but what they are worth."""
    points = np.zeros((len(marks), 3))
    points[:, 0] = marks
    drawn = np.zeros((len(implants), 3))
    drawn[:, 0] = implants
    views = np.zeros((len(marks), 1), np.float32)
    return Trial(
        views=views, voxel=np.zeros(2), mark=np.arange(len(marks)), marks=points, implants=drawn
    )


@pytest.fixture
def judged(monkeypatch):
    """A second look that says what it is told of each trial, in turn."""
    monkeypatch.setattr(Trial, "scores", lambda _, told: np.array(next(told), np.float32))
    return lambda held_back, scores: Judged(iter(scores), held_back)


@pytest.mark.parametrize("threshold", [0.001, 0.2, 0.5, 0.9, 0.999])
def test_as_many_candidates_reach_the_threshold_that_was_moved(threshold):
    before, after = RNG.random(50).astype(np.float32), RNG.random(50).astype(np.float32) ** 3
    moved = EqualMarks.of(before, after)(threshold)
    assert (after >= moved).sum() == (before >= threshold).sum()


def test_nothing_moves_where_nothing_changed():
    scores = RNG.random(30).astype(np.float32)
    way = EqualMarks.of(scores, scores)
    levels = np.array([1e-4, 0.3, 0.97, 0.9999])
    np.testing.assert_allclose(way(levels), levels, rtol=1e-5)
    nothing = np.zeros(0, np.float32)
    np.testing.assert_allclose(EqualMarks.of(nothing, nothing)(levels), levels, rtol=1e-5)


def test_equal_scores_of_before_get_the_highest_of_after():
    way = EqualMarks.of(np.array([0.5, 0.5, 0.5]), np.array([0.2, 0.9, 0.4]))
    assert way(0.5) == pytest.approx(0.9)


def test_probabilities_stay_probabilities():
    way = EqualMarks.of(np.array([0.001]), np.array([1 - 1e-6]))
    assert 0 < way(0.9999) < 1


def test_a_candidate_of_the_same_rank_is_as_likely_as_before():
    before = np.linspace(0.1, 0.99, 40)
    after = before**2
    knots = ((0.05, 0.01), (0.999, 0.95))
    way = EqualMarks.of(before, after)
    carried = way.carried(knots)
    assert is_calibration({"knots": carried})
    middle = before[3:-3]
    expected = calibrate(middle, knots)
    assert calibrate(way(middle), carried) == pytest.approx(expected, abs=0.03)


def test_a_calibration_rests_on_enough_candidates():
    few = RNG.random(LEAST_CANDIDATES - 1)
    assert EqualMarks.of(few, few).carried(((0.1, 0.1), (0.9, 0.9))) == ()
    assert EqualMarks.of(RNG.random(50), RNG.random(50)).carried(()) == ()


def test_of_many_trials_the_first_is_the_scan_and_the_others_take_turns():
    first, second = (list(range(n, n + 5)) for n in (0, 10))
    held_back = HeldBack.of([first, second])
    assert held_back.scans == [0, 10]
    assert held_back.choosing == [1, 3, 11, 13]
    assert held_back.checking == [2, 4, 12, 14]


def test_what_is_gained_is_counted_at_as_many_marks(judged):
    scan, drawn = trial([0, 50], []), trial([0, 100, 200], [0, 100, 200, 300])
    held_back = HeldBack([scan], [drawn], [drawn])
    start = judged(held_back, [[0.9, 0.2], [0.9, 0.3, 0.3], [0.9, 0.3, 0.3]])
    # Another mark of the scan is the strongest now, and two more of the drawn ones pass it.
    own = judged(held_back, [[0.1, 0.6], [0.7, 0.7, 0.1], [0.7, 0.7, 0.7]])
    assert start.share(start, [0.5]) == 1 / 4
    assert own.share(start, [0.5]) == 2 / 4
    assert own.marks(start, [0.5, 0.1]) == (1 + 2) / 2
    gain = own.gain_over(start, 0.5, seed=0)
    assert (gain.scans, gain.implants, gain.marks_per_scan) == (1, 4, 1)
    assert (gain.before, gain.after) == (1 / 4, 3 / 4)
    assert gain.same_marks == 0
    assert 0.1 < gain.threshold < 0.6
    assert gain.low <= 0.5 <= gain.high


def test_the_same_judges_gain_nothing(judged):
    scan, drawn = trial([0], []), trial([0, 100], [0, 100])
    held_back = HeldBack([scan], [drawn], [drawn])
    scores = [[0.9], [0.9, 0.3], [0.9, 0.3]]
    start, own = (judged(held_back, scores) for _ in range(2))
    gain = own.gain_over(start, 0.5, seed=0)
    assert not gain.better
    assert (gain.low, gain.high) == (0, 0)
    assert gain.same_marks == 1
    assert "50.0% of 2 simulated microbleeds are found, before 50.0%" in str(gain)
