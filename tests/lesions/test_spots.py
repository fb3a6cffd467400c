"""Dark spots of a brain."""

import numpy as np
import pytest

from cmb_bidsapp.lesions.spots import dark_places, relative_brightness

VOXEL = (0.8, 0.8, 3.0)


@pytest.fixture
def brain():
    t2star = np.zeros((60, 60, 6), np.float32)
    t2star[5:-5, 5:-5, 1:-1] = 400
    return t2star


def test_brightness_is_relative_to_what_is_around(brain):
    brain[30:, 5:-5, 1:-1] *= 2
    brain[15, 15, 2] = 200
    relative = relative_brightness(brain, VOXEL)
    assert relative[15, 15, 2] == pytest.approx(0.5, abs=0.05)
    assert relative[45, 30, 3] == pytest.approx(1, abs=0.01)
    assert (relative[brain == 0] == 1).all()
    np.testing.assert_allclose(relative, relative_brightness(3 * brain, VOXEL), rtol=1e-5)


def test_spots_are_the_darkest_first(brain):
    brain[15, 15, 2], brain[40, 20, 3], brain[30, 30, 4] = 200, 100, 360
    places = dark_places(relative_brightness(brain, VOXEL), VOXEL, 0.8)
    assert places.tolist() == [[40, 20, 3], [15, 15, 2]]


def test_of_near_places_in_a_slice_the_darkest_is_the_spot(brain):
    brain[30, 30, 3], brain[31, 30, 3], brain[30, 30, 2] = 100, 150, 120
    places = dark_places(relative_brightness(brain, VOXEL), VOXEL, 0.8)
    assert places.tolist() == [[30, 30, 3], [30, 30, 2]]
