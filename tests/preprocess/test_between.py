"""Where a small made-up head lies in a later session."""

import numpy as np
import pytest
from nibabel.affines import apply_affine

from cmb_bidsapp.preprocess import between as module
from cmb_bidsapp.preprocess.between import SessionRegistration, register_between
from cmb_bidsapp.preprocess.brain import BrainImage
from cmb_bidsapp.preprocess.resampling import IDENTITY, Grid
from tests.preprocess.test_registration import MOTION, PROBES, grid_at, head
from tests.preprocess.test_resampling import world


def scanned(motion, seed, thick=3.0, gain=1.0):
    """The head, moved, on a grid of slices that are ``thick`` mm."""
    wide = grid_at()
    affine = wide.affine.copy()
    affine[2, 2] = thick
    grid = Grid((*wide.shape[:2], int(wide.shape[2] * 3 / thick)), affine)
    image, brain = head(apply_affine(np.linalg.inv(motion), world(grid)))
    noise = np.random.default_rng(seed).normal(0, 2, image.shape)
    return BrainImage((gain * (image + noise) * brain).astype(np.float32), affine, brain)


@pytest.mark.parametrize(("thick", "gain"), [(3.0, 1.0), (6.0, 3.0)])
def test_a_known_motion_is_found(thick, gain):
    found = register_between(scanned(IDENTITY, 0), scanned(MOTION, 1, thick, gain))
    gaps = apply_affine(found.pull, PROBES) - apply_affine(MOTION, PROBES)
    assert np.linalg.norm(gaps, axis=1).max() < 2
    assert found.good
    assert found.residual < 1
    angle = np.degrees(np.arccos((np.trace(MOTION[:3, :3]) - 1) / 2))
    assert found.rotation == pytest.approx(angle, abs=1.5)
    assert found.shift == pytest.approx(np.linalg.norm(MOTION[:3, 3]), abs=1.5)


def test_a_session_that_shows_a_part_of_the_head_is_registered_as_well():
    whole = scanned(MOTION, 1)
    low, high = 10, 24
    affine = whole.affine.copy()
    affine[:3, 3] += low * affine[:3, 2]
    part = BrainImage(whole.data[..., low:high], affine, whole.brain[..., low:high])
    found = register_between(scanned(IDENTITY, 0), part)
    gaps = apply_affine(found.pull, PROBES) - apply_affine(MOTION, PROBES)
    assert found.good
    assert np.linalg.norm(gaps, axis=1).max() < 3


def test_two_ways_that_disagree_are_not_good(monkeypatch):
    register = module.register_rigid
    calls = []

    def wrong_way_back(*arguments, **options):
        calls.append(arguments)
        found = register(*arguments, **options)
        if len(calls) == 2:
            found.pull[:3, 3] += (0, 3.0, 0)
        return found

    monkeypatch.setattr(module, "register_rigid", wrong_way_back)
    found = register_between(scanned(IDENTITY, 0), scanned(IDENTITY, 1))
    assert found.mask_dice > 0.95
    assert found.residual == pytest.approx(3.0, abs=0.5)
    assert not found.good


def test_another_head_is_not_good():
    first = scanned(IDENTITY, 0)
    half = first.brain.copy()
    half[: half.shape[0] // 2] = False
    other = BrainImage(first.data * half, first.affine, half)
    assert not register_between(first, other).good


@pytest.mark.parametrize(
    ("dice", "residual", "good"), [(0.95, 0.5, True), (0.85, 0.5, False), (0.95, 2.5, False)]
)
def test_overlap_and_agreement_are_both_needed(dice, residual, good):
    made = SessionRegistration(
        pull=IDENTITY, mask_dice=dice, residual=residual, rotation=0.0, shift=0.0
    )
    assert made.good == good
