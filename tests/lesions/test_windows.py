"""Boxes of lesions, and what is in them, however the image lies in memory."""

import numpy as np
import pytest
from scipy import ndimage

from cmb_bidsapp.lesions.windows import boxes, voxels_in, windows


@pytest.fixture(params=["C", "F", "neither"])
def instances(request):
    """Lesions 1, 2, 4 and others in pieces; number 3 is missing."""
    rng = np.random.default_rng(3)
    image = np.where(rng.random((9, 7, 5)) < 0.2, rng.integers(1, 8, (9, 7, 5)), 0)
    image = np.where(image == 3, 0, image).astype(np.int16)
    if request.param == "neither":
        return image.transpose(1, 0, 2)
    return np.asarray(image, order=request.param)


def test_voxels_come_in_c_order(instances):
    np.testing.assert_array_equal(voxels_in(instances), np.argwhere(instances))


def test_boxes_just_fit_and_missing_numbers_are_passed_over(instances):
    expected = enumerate(ndimage.find_objects(instances), 1)
    assert list(boxes(instances)) == [(n, box) for n, box in expected if box is not None]


def test_a_window_reaches_beyond_its_lesion_as_far_as_the_image_goes(instances):
    for number, window, own in windows(instances, (1, 0, 9)):
        assert own.sum() == (instances == number).sum()
        assert window[2] == slice(0, instances.shape[2])
        first = np.argwhere(instances == number)[:, 0].min()
        assert window[0].start == max(0, first - 1)


def test_an_image_without_lesions_has_no_boxes():
    assert list(windows(np.zeros((3, 4, 5), np.int32), (1, 1, 1))) == []
