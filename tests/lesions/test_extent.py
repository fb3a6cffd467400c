"""How far dark spots reach."""

import numpy as np
import pytest

from cmb_bidsapp.lesions.extent import depth

VOXEL = (1.0, 1.0, 4.0)


@pytest.fixture
def spot():
    """A spot whose depth falls by a fifth per millimeter in plane, within one slice."""
    x, y = np.meshgrid(np.arange(30), np.arange(30), indexing="ij")
    lost = np.clip(1 - np.hypot(x - 15, y - 15) / 5, 0, 1)
    image = np.full((30, 30, 5), 100.0, np.float32)
    image[..., 2] -= 80 * lost
    return image, lost


def test_a_spot_ends_half_way_to_its_surroundings(spot):
    image, lost = spot
    window, share = depth(image, VOXEL, (15, 15, 2), 4.0)
    whole = np.zeros(image.shape)
    whole[window] = share
    inside = lost > 0.5
    np.testing.assert_allclose(whole[..., 2][inside], lost[inside], atol=1e-3)
    assert not whole[..., 2][~inside].any()
    assert not whole[..., [0, 1, 3, 4]].any()


def test_it_ends_at_the_radius_and_at_the_brain(spot):
    image, _ = spot
    window, share = depth(image, VOXEL, (15, 15, 2), 1.0)
    assert np.count_nonzero(share) == 5
    image[:15] = 0
    window, share = depth(image, VOXEL, (15, 15, 2), 4.0)
    whole = np.zeros(image.shape)
    whole[window] = share
    assert not whole[:15].any()


def test_another_spot_nearby_is_not_part_of_it(spot):
    image, _ = spot
    image[18, 15, 2] = 30
    window, share = depth(image, VOXEL, (15, 15, 2), 4.0)
    assert share[np.isclose(image[window], 30)].item() > 0, "connected"
    image[17, 14:17, 2] = 90
    window, share = depth(image, VOXEL, (15, 15, 2), 4.0)
    assert share[np.isclose(image[window], 30)].item() == 0


def test_where_nothing_is_darker_the_voxel_is_alone():
    even = np.full((20, 20, 5), 7.0, np.float32)
    _, share = depth(even, VOXEL, (3, 3, 0), 3.0)
    assert np.count_nonzero(share) == 1
