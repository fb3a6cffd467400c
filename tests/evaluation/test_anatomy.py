"""Dice of regions and errors of side in hand-made MARS maps."""

import numpy as np
import pytest

from cmb_bidsapp.evaluation.anatomy import mars_dice, side_errors
from cmb_bidsapp.evaluation.results import ANATOMY

#: Thalamus is 4, basal ganglia 3; 114 and 214 are lobar, the lobe is not known.
REFERENCE = np.array([104, 104, 204, 204, 114, 214, 0, 103])
PREDICTED = np.array([104, 204, 204, 103, 109, 109, 112, 103])


def test_regions_have_one_dice_for_both_sides():
    # Thalamus: 4 and 3 voxels, 3 shared; basal ganglia: 1 and 2, 1 shared.
    dice = mars_dice(REFERENCE, PREDICTED)
    assert dice == pytest.approx({"mars_thalamus": 6 / 7, "mars_basal_ganglia": 2 / 3})


def test_a_region_that_the_prediction_lacks_has_a_dice_of_0():
    assert mars_dice(REFERENCE, np.where(PREDICTED == 103, 107, PREDICTED)) == pytest.approx(
        {"mars_thalamus": 6 / 7, "mars_basal_ganglia": 0}
    )


def test_every_region_of_the_form_is_a_structure():
    every = np.arange(101, 114)
    assert mars_dice(every, every) == dict.fromkeys(ANATOMY[-13:], 1.0)


def test_side_errors_are_a_share_of_what_both_maps_label():
    # Seven voxels have a label in both; the second, the fourth and the sixth change sides.
    assert side_errors(REFERENCE, PREDICTED) == pytest.approx(3 / 7)
    assert side_errors(REFERENCE, REFERENCE) == 0


def test_without_a_common_voxel_there_is_no_share():
    assert np.isnan(side_errors(np.array([0, 104]), np.array([104, 0])))
