"""Lesions one by one, each in the part of the image around it."""

import numpy as np
import pytest

from cmb_bidsapp.lesions.windows import windows


@pytest.fixture
def instances():
    image = np.zeros((10, 10, 5), np.uint8)
    image[2:4, 5, 2] = 1
    image[9, 9, 4] = 3
    image[4, 5, 2] = 3
    return image


def test_a_box_holds_its_lesion_and_the_margin_where_the_image_goes_on(instances):
    found = {number: (window, own) for number, window, own in windows(instances, (1, 2, 3))}
    assert list(found) == [1, 3]
    window, own = found[1]
    assert window == (slice(1, 5), slice(3, 8), slice(0, 5))
    assert own.shape == (4, 5, 5)
    assert found[3][0] == (slice(3, 10), slice(3, 10), slice(0, 5))


def test_voxels_of_others_in_the_box_are_not_its_own(instances):
    for number, window, own in windows(instances, (1, 1, 1)):
        assert own.sum() == (instances == number).sum()
        assert (instances[window][own] == number).all()


def test_without_lesions_there_are_no_windows():
    assert list(windows(np.zeros((3, 3, 3), np.int64), (1, 1, 1))) == []
