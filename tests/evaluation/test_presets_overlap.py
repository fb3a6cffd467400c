"""The overlap preset where every lesion meets one other at most: by hand, and by panoptica."""

import numpy as np
import pytest

from cmb_bidsapp.evaluation.comparison import Surroundings, compare
from cmb_bidsapp.evaluation.matching import lesions_of
from cmb_bidsapp.evaluation.metrics import Counts
from cmb_bidsapp.evaluation.presets import PRESETS

SHAPE = (40, 30, 8)


def one_to_one(seed):
    """Instances of both sides, a lesion or none in each cell of a grid, here and there shifted."""
    rng = np.random.default_rng(seed)
    reference, predicted = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    cells = [(x, y, z) for x in range(0, 40, 10) for y in range(0, 30, 10) for z in (0, 4)]
    numbers = rng.permutation(len(cells)) + 1
    for cell, number in zip(cells, numbers, strict=True):
        size = rng.integers(1, 4, 3)
        for image, there, shift in ((reference, 0.6, (0, 0, 0)), (predicted, 0.7, None)):
            if rng.random() < there:
                first = np.add(cell, rng.integers(0, 4, 3) if shift is None else shift)
                image[tuple(slice(a, a + n) for a, n in zip(first, size, strict=True))] = number
    return reference, predicted


def ours(reference, predicted):
    """Hits, misses, false ones, and mean Dice of the hits."""
    own, found = (lesions_of(image, np.eye(4)) for image in (reference, predicted))
    fates = compare(own, found, Surroundings(SHAPE), PRESETS["overlap"].match)
    counts = Counts.of(fates)
    dice = [fate.dice for fate in fates if fate.fate == "found"]
    return counts.tp, counts.fp, counts.fn, np.mean(dice) if dice else np.nan


@pytest.mark.parametrize("seed", range(30))
def test_lesions_that_meet_are_hits(seed):
    reference, predicted = one_to_one(seed)
    meeting = np.unique(reference[(reference > 0) & (predicted > 0)])
    dice = []
    for number in meeting:
        own = reference == number
        found = predicted == predicted[own & (predicted > 0)][0]
        dice.append(2 * (own & found).sum() / (own.sum() + found.sum()))
    sides = [len(np.unique(image)) - 1 - len(meeting) for image in (predicted, reference)]
    expected = (len(meeting), *sides, np.mean(dice) if dice else np.nan)
    np.testing.assert_allclose(ours(reference, predicted), expected)


def test_panoptica_finds_the_same():
    panoptica = pytest.importorskip("panoptica", reason="panoptica is not installed")
    evaluator = panoptica.Panoptica_Evaluator(
        expected_input=panoptica.InputType.UNMATCHED_INSTANCE,
        instance_matcher=panoptica.NaiveThresholdMatching(matching_threshold=1e-6),
    )
    for seed in range(30):
        reference, predicted = one_to_one(seed)
        (result,) = evaluator.evaluate(predicted, reference, verbose=False).values()
        theirs = result.tp, result.fp, result.fn, result.sq_dsc if result.tp else np.nan
        np.testing.assert_allclose(ours(reference, predicted), theirs, rtol=1e-6, err_msg=f"{seed}")
