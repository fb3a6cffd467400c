"""Processed scans as backgrounds."""

import numpy as np
import pytest

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import write_image
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.core.labels import MARS, RIGHT
from cmb_bidsapp.lesions.lesion import Mimic
from cmb_bidsapp.models.registry import load_lesion_model
from cmb_bidsapp.sensitivity.background import (
    mimics_of,
    refuse_other_model,
    suspected_places,
    without_lesions,
)
from tests.models.toys import toy_bundle


def test_a_place_is_suspected_by_its_peak():
    probability = np.zeros((10, 10, 3), np.float32)
    probability[1:4, 1, 1] = 0.04, 0.5, 0.04
    probability[6:9, 6, 1] = 0.035, 0.045, 0.035
    places = suspected_places(probability, None)
    assert places[1:4, 1, 1].all()
    assert places.sum() == 3
    assert not suspected_places(probability, probability >= 0.5).any()


def test_what_is_dark_is_known_by_mimics_nuclei_and_the_edge():
    brain = np.zeros((20, 20, 5), bool)
    brain[2:-2, 2:-2] = True
    mimics, mars = np.zeros(brain.shape, np.uint8), np.zeros(brain.shape, np.int16)
    mimics[8, 8, 2], mimics[12, 8, 2] = 1, 2
    mars[6:14, 12:16] = RIGHT + MARS["basal-ganglia"]
    mars[6:14, 5:8] = RIGHT + MARS["frontal"]
    dark = mimics_of(mimics, mars, brain, (1.0, 1.0, 4.0))
    told = [list(Mimic)[dark[place]] for place in ((8, 8, 2), (9, 9, 2), (12, 8, 2))]
    assert told == [Mimic.VESSEL, Mimic.VESSEL, Mimic.CALCIFICATION]
    told = [list(Mimic)[dark[place]] for place in ((10, 14, 2), (2, 10, 2), (10, 6, 2))]
    assert told == [Mimic.IRON, Mimic.EDGE, Mimic.OTHER]


def test_where_nothing_is_seen_nothing_is_suspected():
    assert not suspected_places(np.zeros((4, 4, 4), np.float32), None).any()


def test_a_lesion_gets_the_region_around_it():
    classes = np.ones((9, 9, 3), np.uint8)
    classes[5:] = 2
    classes[7, 7, 1] = 4
    regions = without_lesions(classes, np.ones(classes.shape, bool))
    assert regions[7, 7, 1] == 2
    assert set(np.unique(regions)) == {1, 2}


def test_a_model_that_did_not_make_the_results_is_refused(tmp_path):
    files = SessionFiles(tmp_path, "01", "A")
    model = load_lesion_model(str(toy_bundle(tmp_path / "bundle")))
    image = np.zeros((2, 2, 2), np.float32)
    write_image(files.probability, image, np.eye(4), {"Model": "other-1", "ModelSHA256": "00"})
    with pytest.raises(DataError, match=r"other-1.*--model"):
        refuse_other_model(model, files)
    write_image(files.probability, image, np.eye(4), {"ModelSHA256": model.sha256})
    refuse_other_model(model, files)
