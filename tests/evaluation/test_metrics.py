"""Figures with known values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmb_bidsapp.evaluation.metrics import Counts, Overlap, bootstrap_interval

masks = st.lists(st.booleans(), min_size=6, max_size=6).map(np.array)


def test_ratios_of_known_counts():
    counts = Counts(tp=3, fp=1, fn=2, ignored=7)
    assert (counts.reference, counts.predicted) == (5, 4)
    assert (counts.precision, counts.recall) == (0.75, 0.6)
    assert counts.f1 == pytest.approx(2 / 3)
    assert counts + Counts(1, 2, 3, 4) == Counts(4, 3, 5, 11)


@pytest.mark.parametrize(
    ("counts", "pooled", "of_session"),
    [
        (Counts(), np.nan, np.nan),
        (Counts(fp=2), 0.0, np.nan),
        (Counts(fn=2), 0.0, 0.0),
        (Counts(tp=1), 1.0, 1.0),
        (Counts(ignored=3), np.nan, np.nan),
    ],
)
def test_an_empty_reference_has_no_f1_of_its_own(counts, pooled, of_session):
    np.testing.assert_equal((counts.f1, counts.session_f1), (pooled, of_session))


def test_dice_of_known_masks():
    a, b = np.array([1, 1, 1, 0], bool), np.array([0, 1, 1, 1], bool)
    assert Overlap.of(a, b).dice == pytest.approx(2 / 3)
    assert Overlap.of(a, ~a).dice == 0
    assert np.isnan(Overlap.of(a & ~a, a & ~a).dice)


@given(masks, masks)
def test_dice_is_symmetric_and_one_only_for_equal_masks(a, b):
    dice = Overlap.of(a, b).dice
    np.testing.assert_equal(dice, Overlap.of(b, a).dice)
    if a.any() or b.any():
        assert 0 <= dice <= 1
        assert (dice == 1) == (a == b).all()


def interval(values, people=None, seed=0):
    people = people or [str(n) for n in range(len(values))]
    return bootstrap_interval(values, np.ones(len(values)), people, seed)


def test_the_interval_is_that_of_the_normal_approximation_for_many_sessions():
    values = np.random.default_rng(1).normal(3, 1, 400)
    low, high = interval(values)
    half = 1.96 * values.std() / np.sqrt(400)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)


def test_the_seed_decides_the_interval():
    values = np.random.default_rng(1).normal(3, 1, 12)
    assert interval(values) == interval(values)
    assert interval(values) != interval(values, seed=1)


def test_sessions_of_one_participant_are_drawn_together():
    values = [0.0] * 10 + [1.0] * 10
    alone = interval(values)
    together = interval(values, ["a"] * 10 + ["b"] * 10)
    assert together == (0.0, 1.0)
    assert 0.2 < alone[0] < alone[1] < 0.8


def test_sessions_without_a_value_do_not_move_the_interval_of_equal_ones():
    low, high = bootstrap_interval([2.0, 0.0, 4.0], [1, 0, 2], ["a", "b", "c"], 0)
    assert (low, high) == (2.0, 2.0)


@pytest.mark.parametrize(("values", "below"), [([1.0], [1]), ([], []), ([0.0, 0.0], [0, 0])])
def test_there_is_no_interval_of_one_participant_or_of_nothing(values, below):
    people = [str(n) for n in range(len(values))]
    assert np.isnan(bootstrap_interval(values, below, people, 0)).all()
