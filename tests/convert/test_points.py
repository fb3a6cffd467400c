"""Masks grown from points in an image of known dark spots."""

import numpy as np
import pytest

from cmb_bidsapp.convert.points import grow

VOXEL = (0.5, 0.5, 2.0)


@pytest.fixture
def image():
    x, y, z = np.meshgrid(*(np.arange(n) for n in (60, 60, 12)), indexing="ij")
    distance = np.linalg.norm((np.stack([x, y, z], -1) - (30, 31, 6)) * VOXEL, axis=-1)
    data = np.where(distance <= 1.5, 100, 400).astype(np.float32)
    data[30, 31, 6] = 90
    return data, distance


def test_the_dark_spot_is_the_mask(image):
    data, distance = image
    mask = grow(data, VOXEL, (30, 31, 6), volume_mm3=4 / 3 * np.pi * 1.5**3)
    np.testing.assert_array_equal(mask, distance <= 1.5)


def test_a_point_beside_the_spot_finds_it(image):
    data, distance = image
    mask = grow(data, VOXEL, (31.6, 30.2, 6.3), volume_mm3=14)
    assert mask[30, 31, 6]
    assert not mask[distance > 1.5].any()


def test_a_second_spot_nearby_stays_outside(image):
    data, _ = image
    data[40:43, 31, 6] = 90
    mask = grow(data, VOXEL, (30, 31, 6), volume_mm3=14)
    assert not mask[40:].any()


def test_a_point_in_the_first_slice_is_no_problem(image):
    data, _ = image
    data[5, 5, 0] = 50
    mask = grow(data, VOXEL, (5, 5, 0), volume_mm3=5)
    assert mask[5, 5, 0]
    assert mask.sum() == 1


def test_a_point_outside_the_brain_still_marks_its_voxel():
    mask = grow(np.zeros((20, 20, 4), np.float32), VOXEL, (10, 10, 2), volume_mm3=10)
    assert np.argwhere(mask).tolist() == [[10, 10, 2]]
