"""Bias correction of a slab with thin slices that an even object runs right through."""

import numpy as np
import pytest

from cmb_bidsapp.preprocess.bias import correct_bias
from cmb_bidsapp.preprocess.brain import BrainImage
from tests.preprocess.test_resampling import Grid, world

SPACING = (3.0, 3.0, 1.0)
SHAPE = (32, 32, 30)


def slab():
    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = -(np.array(SHAPE) - 1) / 2 * SPACING
    points = world(Grid(SHAPE, affine))
    mask = np.hypot(points[..., 0], points[..., 1]) < 40
    field = np.exp(0.5 * points[..., 0] / 40 + 0.2 * (points[..., 1] / 40) ** 2)
    noise = np.random.default_rng(0).normal(0, 1, SHAPE)
    image = np.where(mask, 100 * field + noise, 0).astype(np.float32)
    return image, affine, mask


@pytest.fixture(scope="module")
def corrected():
    image, affine, mask = slab()
    return image, correct_bias(BrainImage(image, affine, mask)), mask


def variation(image, mask):
    return image[mask].std() / image[mask].mean()


def test_a_smooth_field_is_taken_away(corrected):
    before, after, mask = (a[:, :, 3:-3] for a in corrected)
    assert variation(before, mask) > 0.2
    assert variation(after, mask) < 0.1 * variation(before, mask)


def test_the_outermost_slices_are_corrected_as_well(corrected):
    before, after, mask = (a[:, :, [0, -1]] for a in corrected)
    assert variation(after, mask) < 0.2 * variation(before, mask)


def test_the_scale_of_the_image_stays(corrected):
    before, after, mask = corrected
    assert after[mask].mean() == pytest.approx(before[mask].mean(), rel=0.1)


def test_zero_stays_zero_and_all_values_are_finite(corrected):
    before, after, mask = corrected
    assert np.isfinite(after).all()
    assert not after[~mask].any()
    assert after.shape == before.shape
    assert after.dtype == np.float32


def test_hardly_any_brain_leaves_the_image_alone():
    image, affine, mask = slab()
    few = np.zeros_like(mask)
    few[10:12, 10:12] = True
    np.testing.assert_array_equal(correct_bias(BrainImage(image, affine, few)), image)
