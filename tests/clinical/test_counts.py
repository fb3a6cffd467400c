"""The Poisson-binomial distribution, held against enumeration and against the binomial."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from cmb_bidsapp.clinical.counts import at_least, distribution

PROBABILITIES = st.lists(st.floats(0, 1), max_size=8)


def enumerated(probabilities):
    """Probability of each count, by all outcomes one after the other."""
    chances = np.zeros(len(probabilities) + 1)
    for outcome in itertools.product((False, True), repeat=len(probabilities)):
        factors = (p if real else 1 - p for p, real in zip(probabilities, outcome, strict=True))
        chances[sum(outcome)] += math.prod(factors)
    return chances


@given(PROBABILITIES)
def test_it_is_the_sum_over_all_outcomes(probabilities):
    np.testing.assert_allclose(distribution(probabilities), enumerated(probabilities), atol=1e-12)


@given(st.integers(0, 200), st.integers(0, 1000).map(lambda thousandth: thousandth / 1000))
def test_equal_probabilities_make_it_binomial(number, p):
    expected = binom.pmf(np.arange(number + 1), number, p)
    np.testing.assert_allclose(distribution([p] * number), expected, atol=1e-10)


@given(PROBABILITIES)
def test_the_order_does_not_matter_and_the_mean_is_the_sum(probabilities):
    chances = distribution(probabilities)
    np.testing.assert_allclose(chances, distribution(probabilities[::-1]), atol=1e-12)
    assert chances.sum() == pytest.approx(1)
    assert chances @ np.arange(len(chances)) == pytest.approx(sum(probabilities), abs=1e-9)


@given(PROBABILITIES, st.integers(0, 10))
def test_at_least_is_the_tail(probabilities, count):
    expected = enumerated(probabilities)[count:].sum()
    found = at_least(probabilities, count)
    assert found == pytest.approx(expected, abs=1e-12)
    assert 0 <= found <= 1


def test_of_certain_events_the_number_is_certain():
    assert [at_least([1, 0, 1, 1], count) for count in range(5)] == [1, 1, 1, 1, 0]


def test_without_events_there_are_none():
    assert distribution([]).tolist() == [1]
    assert (at_least([], 0), at_least([], 1)) == (1, 0)


def test_a_probability_that_is_not_known_makes_all_unknown():
    assert np.isnan(distribution([0.2, math.nan, 1])).all()
    assert math.isnan(at_least([math.nan], 5))


@pytest.mark.parametrize("wrong", [-0.1, 1.0001, math.inf])
def test_what_is_no_probability_is_refused(wrong):
    with pytest.raises(ValueError, match=f"{wrong} is no probability"):
        distribution([0.5, wrong])
