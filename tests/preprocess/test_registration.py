"""Rigid registration of small made-up heads of two contrasts."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from nibabel.affines import apply_affine

from cmb_bidsapp.preprocess.brain import BrainImage
from cmb_bidsapp.preprocess.registration import (
    GOOD_DICE,
    Registration,
    correlation,
    mutual_information,
    register_rigid,
)
from tests.preprocess.test_resampling import Grid, rigid, world

ROOT = Path(__file__).parents[2]
SIZE, STEP = 36, 3.0
SEMI_AXES = (38.0, 46.0, 34.0)
#: Center, width and brightness of blobs inside the head.
BLOBS = (
    ((14, 17, 7), 10, 60),
    ((-15, -7, 10), 9, -50),
    ((4, -24, -10), 11, 50),
    ((-10, 20, -13), 8, -40),
    ((0, 0, 20), 8, 70),
)
MOTION = rigid((6, -4, 8), (4, -6, 3))
#: Points on the surface of the head at which the motion is compared.
PROBES = np.concatenate([np.diag(SEMI_AXES), -np.diag(SEMI_AXES)])


def grid_at(shift=(0, 0, 0)):
    affine = np.diag([STEP, STEP, STEP, 1.0])
    affine[:3, 3] = -(SIZE - 1) / 2 * STEP + np.array(shift)
    return Grid((SIZE, SIZE, SIZE), affine)


def head(points):
    """Brightness and brain mask of the head at world points (mm)."""
    brain = np.linalg.norm(points / np.array(SEMI_AXES), axis=-1) < 1
    image = np.full(points.shape[:-1], 100.0)
    for center, width, value in BLOBS:
        image += value * np.exp(-0.5 * (np.linalg.norm(points - center, axis=-1) / width) ** 4)
    return image * brain, brain


def registered(shift):
    """Register a moved head of inverted contrast whose scanner coordinates are ``shift`` off."""
    rng = np.random.default_rng(0)
    true = MOTION.copy()
    true[:3, 3] += shift
    still = grid_at()
    fixed, fixed_mask = head(world(still))
    away = grid_at(shift)
    moving, moving_mask = head(apply_affine(np.linalg.inv(true), world(away)))
    moving = np.where(moving_mask, 250 - moving, 0)
    found = register_rigid(
        BrainImage(
            (fixed + rng.normal(0, 1, fixed.shape)).astype(np.float32), still.affine, fixed_mask
        ),
        BrainImage(
            (moving + rng.normal(0, 1, fixed.shape)).astype(np.float32), away.affine, moving_mask
        ),
        seed=0,
    )
    error = apply_affine(found.pull, PROBES) - apply_affine(true, PROBES)
    return found, np.linalg.norm(error, axis=1)


@pytest.fixture(scope="module")
def from_header():
    return registered((0, 0, 0))


def test_a_known_motion_is_recovered_within_1_mm(from_header):
    _, error = from_header
    before = np.linalg.norm(apply_affine(MOTION, PROBES) - PROBES, axis=1)
    assert before.max() > 8
    assert error.max() < 1


def test_on_one_thread_a_seed_decides_the_result():
    # ITK reads the number of threads once in a process; with several it ends a little elsewhere.
    code = """
from tests.preprocess.test_registration import registered
one, other = (registered((0, 0, 0))[0].pull for _ in range(2))
print(abs(one - other).max())
"""
    environment = os.environ | {"ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"}
    argv = [sys.executable, "-c", code]
    found = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, check=True)
    assert float(found.stdout) == 0


def test_the_result_is_rigid(from_header):
    rotation = from_header[0].pull[:3, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-5)
    assert np.linalg.det(rotation) == pytest.approx(1, abs=1e-5)


def test_a_good_start_needs_one_attempt(from_header):
    found, _ = from_header
    assert (found.start, found.attempts) == ("header", 1)
    assert found.good
    assert found.mask_dice > 0.95
    assert found.mutual_information > 0.3


def test_scanner_coordinates_of_another_place_are_overcome():
    """The heads lie 15 cm apart: the centers of the brains are the start that works."""
    found, error = registered((150, 0, 0))
    assert (found.start, found.attempts) == ("center", 2)
    assert found.good
    assert error.max() < 1.5


@pytest.mark.parametrize(("dice", "good"), [(GOOD_DICE, True), (GOOD_DICE - 0.01, False)])
def test_good_is_a_matter_of_mask_overlap(dice, good):
    made = Registration(
        pull=np.eye(4),
        mutual_information=0.0,
        correlation=-0.3,
        mask_dice=dice,
        start="header",
        attempts=1,
    )
    assert made.good is good


def test_a_contrast_turned_round_is_correlated_negatively():
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 20_000)).astype(np.float32)
    assert correlation(a, 3 * a + 7) == pytest.approx(1)
    assert correlation(a, 5 - 2 * a) == pytest.approx(-1)
    assert abs(correlation(a, b)) < 0.05
    spoilt = a.copy()
    spoilt[:20] = 1e6
    assert correlation(a, spoilt) > 0.9, "a few extreme values do not matter"
    assert np.isnan(correlation(a, np.ones_like(a)))


def test_mutual_information_of_independent_images_is_near_zero():
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 100_000)).astype(np.float32)
    assert 0 <= mutual_information(a, b) < 0.02


def test_mutual_information_does_not_depend_on_the_contrast():
    rng = np.random.default_rng(0)
    a = rng.random(20_000).astype(np.float32)
    own = mutual_information(a, a)
    assert own > 3
    assert mutual_information(a, 5 - 2 * a) == pytest.approx(own, rel=0.01)
    assert mutual_information(a, a + rng.normal(0, 0.1, a.size).astype(np.float32)) < own


def test_mutual_information_is_symmetric():
    rng = np.random.default_rng(1)
    a = rng.random(5_000).astype(np.float32)
    b = a + rng.normal(0, 0.2, a.size).astype(np.float32)
    assert mutual_information(a, b) == pytest.approx(mutual_information(b, a))
