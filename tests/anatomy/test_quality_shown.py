"""How much of a brain another image shows."""

import numpy as np
import pytest

from cmb_bidsapp.anatomy.quality import share_shown
from cmb_bidsapp.core.arrays import Volume
from cmb_bidsapp.preprocess.resampling import IDENTITY, Grid

#: A turn about an oblique axis, and a shift, mm.
PULL = np.array([[0.36, 0.48, -0.8, 7], [-0.8, 0.6, 0, -4], [0.48, 0.64, 0.6, 12], [0, 0, 0, 1]])
HEAD = np.array([[-1.0, 0, 0, 30], [0, 0, 1, -20], [0, -1, 0, 25], [0, 0, 0, 1]])


def cube():
    brain = np.zeros((40, 40, 40), bool)
    brain[10:30, 10:30, 10:30] = True
    return Volume(brain, HEAD)


def image_over(first, shape, pull=IDENTITY, spacing=(1.0, 1.0, 1.0)):
    """Grid whose first corner lies on that of a voxel of the head, with the head's directions."""
    affine = HEAD @ np.diag([*spacing, 1.0])
    corner = np.array(first) - 0.5 + np.array(spacing) / 2
    affine[:3, 3] = HEAD[:3, :3] @ corner + HEAD[:3, 3]
    return Grid(shape, np.linalg.inv(pull) @ affine)


@pytest.mark.parametrize(
    ("first", "shape", "share"),
    [
        ((5, 5, 5), (30, 30, 30), 1.0),
        ((10, 10, 10), (20, 20, 20), 1.0),
        ((10, 10, 10), (20, 20, 10), 0.5),
        ((10, 25, 10), (20, 20, 20), 0.25),
        ((20, 20, 20), (20, 20, 20), 0.125),
        ((30, 10, 10), (10, 20, 20), 0.0),
    ],
)
@pytest.mark.parametrize("pull", [IDENTITY, PULL])
def test_the_share_that_another_image_shows_follows_the_registration(first, shape, share, pull):
    image = image_over(first, shape, pull)
    assert share_shown(cube(), image, pull=pull) == pytest.approx(share)


def test_the_registration_is_not_taken_the_wrong_way_round():
    image = image_over((10, 10, 10), (20, 20, 20), PULL)
    assert share_shown(cube(), image, pull=np.linalg.inv(PULL)) < 0.5
    assert share_shown(cube(), image, pull=IDENTITY) < 0.5


def test_thick_slices_reach_half_their_thickness_beyond_their_centers():
    image = image_over((10, 10, 10), (20, 20, 2), spacing=(1.0, 1.0, 5.0))
    assert share_shown(cube(), image, pull=IDENTITY) == pytest.approx(0.5)


def test_large_brains_are_sampled_and_empty_ones_are_not_shown():
    brain = np.ones((60, 60, 60), bool)
    image = image_over((0, 0, 0), (60, 15, 60))
    assert share_shown(Volume(brain, HEAD), image, pull=IDENTITY) == pytest.approx(0.25, abs=0.01)
    empty = Volume(np.zeros((4, 4, 4), bool), HEAD)
    assert share_shown(empty, image, pull=IDENTITY) == 0
