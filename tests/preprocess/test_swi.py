"""The filtered phase, and what it darkens."""

import numpy as np
import pytest
from scipy import ndimage

from cmb_bidsapp.preprocess.swi import homodyne, susceptibility_weighted


def test_the_filter_keeps_what_is_narrow_and_takes_the_rest_away():
    steps = np.indices((60, 60, 6), np.float32)
    spot = np.exp(-((steps[0] - 30) ** 2 + (steps[1] - 30) ** 2) / 8)
    # Slopes that wrap, slices that do not fit together.
    phase = 0.3 * steps[0] + 2.5 * steps[2] + spot
    wrapped = np.angle(np.exp(1j * phase)).astype(np.float32)
    passed = homodyne(np.ones(phase.shape, np.float32), wrapped, np.diag([1, 1, 4.0, 1]))
    assert passed[30, 30] == pytest.approx(np.full(6, 0.65), abs=0.05)
    far = ndimage.distance_transform_edt(spot < 0.01) > 8
    inner = np.s_[16:44, 16:44]
    assert np.abs(passed[inner][far[inner]]).max() < 0.1


@pytest.mark.parametrize("convention", [1, -1])
def test_raised_phase_darkens_by_the_fourth_power(convention):
    passed = convention * np.array([[[-np.pi / 2, 0, np.pi / 2, np.pi]]], np.float32)
    weighted = susceptibility_weighted(np.full(passed.shape, 80, np.float32), passed, convention)
    assert weighted.ravel() == pytest.approx([80, 80, 5, 0])


def test_without_a_convention_nothing_darkens():
    passed = np.full((2, 2, 2), 2.0, np.float32)
    assert (susceptibility_weighted(np.ones_like(passed), passed, 0) == 1).all()
