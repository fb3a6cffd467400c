"""Motion, noise and interpolation."""

import numpy as np
import pytest

from cmb_bidsapp.simulate.artefacts import add_noise, ghost, interpolate


def square(size=64):
    image = np.zeros((size, size, 2), np.complex64)
    image[20:44, 20:44] = 1
    return image


def test_motion_makes_ghosts_along_the_phase_encoding_axis_only():
    still = square()
    moved = ghost(still, 0.5, np.random.default_rng(0))
    assert moved.shape == still.shape
    outside = np.abs(moved[20:44, :15]).max()
    assert outside > 0.01
    np.testing.assert_allclose(np.abs(moved[:20]), 0, atol=1e-5)
    energy = (np.abs(moved) ** 2).sum()
    assert energy == pytest.approx((np.abs(still) ** 2).sum(), rel=1e-4)


def test_noise_has_the_given_strength_and_makes_the_background_rician():
    noisy = add_noise(np.zeros((50, 50, 20), np.complex64), 2.0, np.random.default_rng(0))
    assert noisy.real.std() == pytest.approx(2.0, rel=0.03)
    assert np.abs(noisy).mean() == pytest.approx(2.0 * np.sqrt(np.pi / 2), rel=0.03)


def test_an_interpolated_image_has_nothing_beyond_what_was_acquired():
    image = np.random.default_rng(0).normal(size=(64, 48, 3)).astype(np.complex64)
    spectrum = np.abs(np.fft.fft2(interpolate(image, 0.5), axes=(0, 1)))
    outside = np.abs(np.fft.fftfreq(64)) > 0.25
    assert spectrum[outside].max() < 1e-3 * spectrum.max()
    flat = np.full((32, 32, 2), 5, np.complex64)
    np.testing.assert_allclose(interpolate(flat, 0.6), flat, atol=1e-4)
    assert interpolate(image, 1.0) is image


def test_noise_of_an_interpolated_image_is_coarse_but_as_strong():
    flat = np.zeros((128, 128, 4), np.complex64)
    fine, coarse = (add_noise(flat, 2.0, np.random.default_rng(0), share) for share in (1, 0.6))
    assert coarse.real.std() == pytest.approx(fine.real.std(), rel=0.25)
    neighbors = [np.corrcoef(n.real[1:].ravel(), n.real[:-1].ravel())[0, 1] for n in (fine, coarse)]
    assert abs(neighbors[0]) < 0.02
    assert neighbors[1] > 0.3
