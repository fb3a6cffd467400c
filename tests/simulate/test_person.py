"""A person between two sessions: what stays, what moves."""

import numpy as np
import pytest
from nibabel.affines import apply_affine

from cmb_bidsapp.simulate.person import Person, random_rigid
from cmb_bidsapp.simulate.physics import Source
from tests.simulate.heads import HEAD

POINT = np.array([20.0, 35.0, 40.0])
MICROBLEED = Source(kind="cmb", chi=1.3, semi_axes=(1.5, 1.2, 1.1), path=POINT[None])
VEIN = Source(
    kind="vein",
    chi=0.3,
    semi_axes=(0.5,) * 3,
    path=np.array([[20.0, 35.0, 30.0], [20.0, 35.0, 48.0]]),
)
LACUNE = Source(
    kind="lacune", chi=0.0, semi_axes=(3.0, 2.0, 2.0), path=np.array([[34.0, 30.0, 40.0]])
)
PERSON = Person.of(HEAD, [MICROBLEED], [VEIN], [LACUNE])


def test_random_motions_are_rigid_and_small():
    for seed in range(20):
        motion = random_rigid(np.random.default_rng(seed), degrees=4, mm=5)
        np.testing.assert_allclose(motion[:3, :3] @ motion[:3, :3].T, np.eye(3), atol=1e-12)
        assert np.linalg.det(motion) == pytest.approx(1)
        assert np.abs(motion[:3, 3]).max() <= 5
        angle = np.degrees(np.arccos((np.trace(motion[:3, :3]) - 1) / 2))
        assert angle <= 4 * np.sqrt(3) + 0.1


def test_the_brain_is_the_middle_of_the_world():
    np.testing.assert_allclose(np.argwhere(HEAD.brain).mean(axis=0), PERSON.origin)


def test_what_lies_in_a_head_moves_with_it():
    motion = random_rigid(np.random.default_rng(1), degrees=6, mm=3)
    moved = PERSON.moved(motion)
    (microbleed,), (vein,), (lacune,) = moved.microbleeds, moved.mimics, moved.inclusions
    for before, after in ((MICROBLEED, microbleed), (VEIN, vein), (LACUNE, lacune)):
        expected = apply_affine(motion, before.path - PERSON.origin) + PERSON.origin
        np.testing.assert_allclose(after.path, expected)
        assert (after.chi, after.semi_axes) == (before.chi, before.semi_axes)
    # Every structure is found where the motion puts it, but for the voxels at its surface.
    index = np.argwhere(HEAD.brain)
    there = np.round(apply_affine(motion, index - PERSON.origin) + PERSON.origin).astype(int)
    same = moved.head.dseg[tuple(there.T)] == HEAD.dseg[tuple(index.T)]
    assert same.mean() > 0.85
    assert moved.head.dseg.dtype == HEAD.dseg.dtype


def test_the_origin_of_the_world_stays_when_the_head_moves():
    motion = np.eye(4)
    motion[:3, 3] = (3.0, -2.0, 1.0)
    moved = PERSON.moved(motion)
    np.testing.assert_array_equal(moved.origin, PERSON.origin)
    middle = np.argwhere(moved.head.brain).mean(axis=0)
    np.testing.assert_allclose(middle - PERSON.origin, motion[:3, 3])
