"""The map from the network's probability to the share that is right, on made candidates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmb_bidsapp.models.calibration import FOLDS, METHODS, calibrate, fit, log_odds

LEAST = 0.99
RISING = ((0.9, 0.2), (0.99, 0.5), (0.999, 0.95))


def candidates(seed, count, truth):
    """Probabilities above :data:`LEAST`, each a microbleed in the share that ``truth`` says."""
    rng = np.random.default_rng(seed)
    score = log_odds(LEAST) + rng.exponential(2.0, count)
    probability = 1 / (1 + np.exp(-score))
    true = rng.random(count) < truth(score - log_odds(LEAST))
    participant = np.array([f"sub-{n:03d}" for n in rng.integers(0, count // 3, count)])
    return probability, true, participant


def line(score):
    """Log-odds that rise in a straight line."""
    return 1 / (1 + np.exp(-(0.8 * score - 1)))


def step(score):
    """Wrong in nine of ten below one place, right in nine of ten above."""
    return np.where(score < 1.5, 0.1, 0.9)


def level(_):
    return 0.7


def test_knots_are_met_and_joined_by_lines_of_log_odds():
    known = [p for p, _ in RISING]
    assert calibrate(known, RISING) == pytest.approx([q for _, q in RISING])
    middle = (log_odds(0.99) + log_odds(0.999)) / 2
    expected = (log_odds(0.5) + log_odds(0.95)) / 2
    assert log_odds(calibrate(1 / (1 + np.exp(-middle)), RISING)) == pytest.approx(expected)


def test_beyond_the_last_knot_nothing_is_made_up():
    assert calibrate([0.9999, 1.0], RISING) == pytest.approx([0.95, 0.95])


def test_below_the_first_knot_and_without_knots_nothing_is_known():
    assert np.isnan(calibrate([0.89, 0.5], RISING)).all()
    assert np.isnan(calibrate(0.999, ()))


def test_a_candidate_at_the_threshold_is_known_in_single_precision():
    for threshold in (0.9, 0.99, 0.999, 0.1):
        assert calibrate(np.float32(threshold), ((threshold, 0.4),)) == pytest.approx(0.4)


@pytest.mark.parametrize("truth", [line, step, level])
def test_many_candidates_are_described_as_they_were_made(truth):
    probability, true, participant = candidates(1, 4000, truth)
    found = fit(probability, true, participant, LEAST)
    score = log_odds(probability) - log_odds(LEAST)
    off = np.abs(calibrate(probability, found.knots) - truth(score))
    assert off.mean() < 0.03
    assert found.brier[found.method] < found.brier["network"]
    for one in found.reliability:
        spread = np.sqrt(one["observed"] * (1 - one["observed"]) / one["candidates"])
        assert abs(one["probability"] - one["observed"]) < 4 * spread


def test_the_method_is_the_one_that_does_best_on_participants_left_out():
    for seed, truth, best in ((2, step, "isotonic"), (3, line, "logistic")):
        found = fit(*candidates(seed, 4000, truth), LEAST)
        assert found.method == best
        assert found.log_loss[best] == min(found.log_loss[name] for name in METHODS)


def test_a_probability_that_says_nothing_is_not_believed():
    probability, _, participant = candidates(4, 60, level)
    true = np.arange(60) % 3 > 0
    found = fit(np.random.default_rng(0).permutation(probability), true, participant, LEAST)
    assert found.method == "constant"
    assert found.knots == ((LEAST, round(41 / 62, 4)),)
    assert calibrate([0.99, 0.9999], found.knots) == pytest.approx([41 / 62] * 2, abs=1e-4)


def test_the_surest_of_few_microbleeds_are_not_certain():
    probability = np.concatenate([np.full(1000, 0.992), np.full(3, 0.999)])
    true = probability > 0.995
    ((_, low), *_, (_, high)) = METHODS["isotonic"](probability, true, LEAST)
    assert high == pytest.approx(4 / 5)
    assert low == pytest.approx(1 / 1002, abs=1e-4)


def test_what_is_held_out_does_not_help_itself():
    """Every participant has a probability of its own: no fit to others can know its truth."""
    rng = np.random.default_rng(5)
    participant = np.array([f"sub-{n:02d}" for n in range(40) for _ in range(5)])
    probability = np.repeat(rng.permutation(np.linspace(0.991, 0.999, 40)), 5)
    true = np.repeat(rng.random(40) < 0.5, 5)
    found = fit(probability, true, participant, LEAST)
    own = METHODS["isotonic"](probability, true, LEAST)
    fitted = ((calibrate(probability, own) - true) ** 2).mean()
    assert found.brier["isotonic"] > fitted + 0.02
    assert found.brier["isotonic"] > 0.24


def test_the_facts_are_counted_and_the_bins_hold_everybody():
    probability, true, participant = candidates(6, 90, line)
    found = fit(probability, true, participant, LEAST)
    assert (found.candidates, found.microbleeds) == (90, int(true.sum()))
    assert found.participants == len(set(participant))
    assert sum(one["candidates"] for one in found.reliability) == 90
    means = [one["probability"] for one in found.reliability]
    assert means == sorted(means)
    # The upper bins hold those that are definite.
    sure = [one for one in found.reliability if one["probability"] >= 0.75]
    assert sure
    assert abs(found.definite["candidates"] - sum(o["candidates"] for o in sure)) < 15
    assert 0.6 * found.definite["candidates"] < found.definite["microbleeds"]
    assert found.definite["microbleeds"] <= found.definite["candidates"]
    right = sum(one["observed"] * one["candidates"] for one in found.reliability)
    assert right == pytest.approx(true.sum(), abs=0.1)
    assert found.to_dict()["knots"] == found.knots


@settings(max_examples=40, derandomize=True, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0.99, 0.992, 0.999, 0.99999, 1.0]), st.booleans()),
             min_size=2, max_size=40),
    st.sampled_from(list(METHODS)),
)  # fmt: skip
def test_every_method_gives_knots_that_rise_and_are_never_sure(made, method):
    probability, true = (np.array(values) for values in zip(*made, strict=True))
    knots = METHODS[method](probability, true, LEAST)
    known, levels = np.array(knots).T
    assert known[0] == LEAST
    assert (np.diff(known) > 0).all()
    assert (np.diff(levels) >= 0).all()
    assert ((levels > 0) & (levels < 1)).all()
    assert len(knots) <= 2 * len(set(probability)) + 1


def test_there_are_fewer_folds_where_there_are_fewer_participants():
    probability, true, _ = candidates(7, 30, line)
    participant = np.array(["a", "b", "c"] * 10)
    assert fit(probability, true, participant, LEAST).participants == 3 < FOLDS
