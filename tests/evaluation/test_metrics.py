"""Figures with known values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmb_bidsapp.evaluation.metrics import Counts, Overlap

masks = st.lists(st.booleans(), min_size=6, max_size=6).map(np.array)


def test_ratios_of_known_counts():
    counts = Counts(tp=3, fp=1, fn=2, ignored=7)
    assert (counts.reference, counts.predicted) == (5, 4)
    assert (counts.precision, counts.recall) == (0.75, 0.6)
    assert counts.f1 == pytest.approx(2 / 3)
    assert counts + Counts(tp=1, fp=2, fn=3, ignored=4) == Counts(tp=4, fp=3, fn=5, ignored=11)


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


def test_doubtful_reference_lesions_count_by_their_weight():
    # One of two found lesions and the missed one were marked by one of two raters.
    counts = Counts(tp=2, fp=1, fn=1, tp_doubt=0.5, fn_doubt=0.5)
    assert counts.f1 == pytest.approx(2 * 1.5 / (0.5 + 1 + 2 * 1.5))
    assert (counts + Counts(fn=1)).f1 == pytest.approx(3 / (1.5 + 1 + 3))
    assert (counts.precision, counts.recall) == (2 / 3, 2 / 3)


def test_sets_of_voxels_overlap_as_their_masks_do():
    a, b = np.array([1, 1, 1, 0, 0], bool), np.array([0, 1, 1, 1, 0], bool)
    assert Overlap.of_places(np.flatnonzero(a), np.flatnonzero(b)) == Overlap.of(a, b)
    assert Overlap.of(a, b) + Overlap(1, 0, 0) == Overlap(4, 3, 2)
    assert np.isnan((Overlap.of(a, b) + Overlap(1, np.nan, np.nan)).dice)
