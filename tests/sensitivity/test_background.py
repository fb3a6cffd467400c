"""Processed scans as backgrounds."""

import numpy as np

from cmb_bidsapp.sensitivity.background import suspected_places, without_lesions


def test_a_place_is_suspected_by_its_peak():
    probability = np.zeros((10, 10, 3), np.float32)
    probability[1:4, 1, 1] = 0.04, 0.5, 0.04
    probability[6:9, 6, 1] = 0.035, 0.045, 0.035
    places = suspected_places(probability, None)
    assert places[1:4, 1, 1].all()
    assert places.sum() == 3
    assert not suspected_places(probability, probability >= 0.5).any()


def test_where_nothing_is_seen_nothing_is_suspected():
    assert not suspected_places(np.zeros((4, 4, 4), np.float32), None).any()


def test_a_lesion_gets_the_region_around_it():
    classes = np.ones((9, 9, 3), np.uint8)
    classes[5:] = 2
    classes[7, 7, 1] = 4
    regions = without_lesions(classes, np.ones(classes.shape, bool))
    assert regions[7, 7, 1] == 2
    assert set(np.unique(regions)) == {1, 2}
