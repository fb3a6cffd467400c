"""Where a lesion lies."""

import numpy as np
import pytest

from cmb_bidsapp.evaluation.matching import lesions_of
from cmb_bidsapp.evaluation.places import place_of, place_on, row_of


@pytest.mark.parametrize(
    ("told", "region", "mars"),
    [
        (("lobar", "left", "frontal"), "lobar", "left-frontal"),
        (("lobar", "n/a", "frontal"), "lobar", None),
        (("deep", None, None), "deep", None),
        # What a table says and the form does not know.
        (("cortex", "left", "neocortex"), "unassigned", "unassigned"),
        (("unassigned", "unassigned", "unassigned"), "unassigned", "unassigned"),
    ],
)
def test_a_place_is_what_a_table_says_as_far_as_it_is_known(told, region, mars):
    place = place_of(*told, border=True)
    assert (place.region, place.mars_region, place.border) == (region, mars, True)


@pytest.fixture
def lesion():
    image = np.zeros((6, 3, 3), np.uint8)
    image[1:5, 1, 1] = 4
    (found,) = lesions_of(image, np.eye(4))
    return found


def test_the_class_of_most_voxels_counts(lesion):
    proxy = np.zeros((6, 3, 3), np.uint8)
    assert place_on(proxy, lesion).region == "unassigned"
    proxy[1] = 2
    assert place_on(proxy, lesion).region == "deep"
    proxy[2:] = 1
    assert place_on(proxy, lesion).region == "lobar"


def test_the_row_is_the_number_of_most_voxels(lesion):
    numbers = np.zeros((6, 3, 3), np.uint8)
    numbers[1, 1, 1], numbers[2:, 1, 1] = 7, 3
    assert row_of(lesion, numbers) == 3
