"""Intervals and agreement of counts, against formulas and published examples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmb_bidsapp.core.statistics import (
    LEAST_PEOPLE,
    Agreement,
    interval,
    ratios,
    resample,
    rising_line,
)

counts = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=3, max_size=12)


def interval_of(values, people=None, seed=0, below=None):
    """Interval of a mean, or of the ratio of two sums, over sessions."""
    people = people or [str(n) for n in range(len(values))]
    below = np.ones(len(values)) if below is None else np.asarray(below, float)
    sums = np.stack([np.asarray(values, float), below], axis=1)
    return interval(ratios(*resample(sums, people, seed).T))


def test_the_interval_is_that_of_the_normal_approximation_for_many_sessions():
    values = np.random.default_rng(1).normal(3, 1, 400)
    low, high = interval_of(values)
    half = 1.96 * values.std() / np.sqrt(400)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)


def test_the_seed_decides_the_interval():
    values = np.random.default_rng(1).normal(3, 1, 12)
    assert interval_of(values) == interval_of(values)
    assert interval_of(values) != interval_of(values, seed=1)


def test_sessions_of_one_participant_are_drawn_together():
    values = [0.0] * 50 + [1.0] * 50
    alone = interval_of(values)
    together = interval_of(values, [str(n // 10) for n in range(100)])
    assert 0.4 <= alone[0] < alone[1] <= 0.6
    assert together[0] <= 0.2
    assert together[1] >= 0.8


def test_sessions_without_a_value_do_not_move_the_interval_of_equal_ones():
    low, high = interval_of([2.0, 0.0, 4.0] * 4, below=[1, 0, 2] * 4)
    assert (low, high) == (2.0, 2.0)


@pytest.mark.parametrize(("values", "below"), [([1.0], [1]), ([], []), ([0.0] * 20, [0] * 20)])
def test_there_is_no_interval_of_one_participant_or_of_nothing(values, below):
    assert np.isnan(interval_of(values, below=below)).all()


@pytest.mark.parametrize(("number", "known"), [(LEAST_PEOPLE - 1, False), (LEAST_PEOPLE, True)])
def test_few_participants_have_no_interval_however_many_sessions(number, known):
    people = [str(n % number) for n in range(60)]
    assert np.isfinite(interval_of(range(60), people)).all() == known


def agreement(own, found, people=None, seed=0):
    return Agreement.of(own, found, people or [str(n) for n in range(len(own))], seed)


def anova_icc(ratings):
    """ICC(2,1) from the mean squares of a two-way analysis of variance (Shrout and Fleiss)."""
    n, k = ratings.shape
    grand = ratings.mean()
    rows = k * ((ratings.mean(axis=1) - grand) ** 2).sum() / (n - 1)
    columns = n * ((ratings.mean(axis=0) - grand) ** 2).sum() / (k - 1)
    left = ratings - ratings.mean(axis=1, keepdims=True) - ratings.mean(axis=0) + grand
    error = (left**2).sum() / ((n - 1) * (k - 1))
    return (rows - error) / (rows + (k - 1) * error + k * (columns - error) / n)


def test_the_formula_of_the_tests_gives_the_published_example():
    # Shrout and Fleiss 1979, tables 2 and 4: four judges of six targets.
    ratings = np.array(
        [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    )
    assert anova_icc(ratings) == pytest.approx(0.29, abs=0.005)


@given(counts)
def test_the_icc_is_that_of_the_analysis_of_variance(pairs):
    ratings = np.array(pairs, float)
    if len(np.unique(ratings)) > 1:
        icc = agreement(*ratings.T).icc
        np.testing.assert_allclose(icc, anova_icc(ratings), rtol=1e-6, atol=1e-6)


def test_equal_counts_agree_fully_and_shifted_ones_less():
    own = [0, 1, 2, 3, 10]
    assert agreement(own, own).icc == pytest.approx(1)
    shifted = agreement(own, [n + 2 for n in own])
    assert shifted.icc < 0.95
    assert (shifted.bias, shifted.limit_low, shifted.limit_high) == (2, 2, 2)


def test_limits_of_agreement_are_those_of_bland_and_altman():
    found = agreement([1, 2, 3, 4], [2, 2, 2, 6])
    # Differences 1, 0, -1, 2: mean 0.5, standard deviation 1.2910.
    assert found.bias == 0.5
    assert (found.limit_low, found.limit_high) == pytest.approx((-2.0303, 3.0303), abs=1e-3)


def test_the_interval_of_the_icc_holds_it_and_follows_the_seed():
    rng = np.random.default_rng(3)
    own = rng.integers(0, 12, 40)
    found = np.maximum(own + rng.integers(-2, 3, 40), 0)
    first = agreement(own, found)
    assert first.icc_low < first.icc < first.icc_high
    assert first == agreement(own, found)
    assert first.icc_low != agreement(own, found, seed=1).icc_low


@pytest.mark.parametrize("values", [([], []), ([2], [3])])
def test_one_session_has_no_agreement(values):
    found = agreement(*values)
    assert np.isnan([found.limit_low, found.icc, found.icc_low]).all()


def test_counts_that_are_all_equal_have_no_icc():
    assert np.isnan(agreement([0, 0, 0], [0, 0, 0]).icc)


@pytest.mark.parametrize(("slope", "offset"), [(1.5, -9.0), (0.2, 1.0)])
def test_a_rising_line_is_found_in_the_shares_that_it_makes(slope, offset):
    x = np.linspace(4, 9, 40)
    share = 1 / (1 + np.exp(-(slope * x + offset)))
    assert rising_line(x, share) == pytest.approx((slope, offset), abs=1e-3)


def test_a_line_that_would_fall_is_level():
    x, share = np.array([0.0, 1, 2, 3]), np.array([1.0, 1, 0, 1])
    assert rising_line(x, share) == pytest.approx((0, np.log(3)))
    assert rising_line(np.full(4, 5.0), share) == pytest.approx((0, np.log(3)), abs=1e-3)


def test_a_prior_keeps_a_slope_finite():
    x, share = np.array([-1.0, -1, 1, 1]), np.array([0.0, 0, 1, 1])
    weak, strong = (rising_line(x, share, spread=spread)[0] for spread in (5, 1))
    assert 0 < strong < weak < 10
