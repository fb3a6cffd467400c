"""Borders of structures follow the brightness of the image; no network is run."""

import numpy as np
import pytest

from cmb_bidsapp.anatomy import refine
from cmb_bidsapp.anatomy.network import AnatomySegmentation
from cmb_bidsapp.anatomy.refine import refined_structures
from cmb_bidsapp.core.arrays import Volume
from cmb_bidsapp.core.labels import STRUCTURES
from cmb_bidsapp.preprocess.resampling import Grid

CORTEX, FLUID, WHITE = (STRUCTURES.index(n) for n in ("cerebral-cortex", "csf", "cerebral-wm"))
COARSE = Grid((24, 20, 20), np.diag([2.0, 2.0, 2.0, 1.0]))
FINE = Grid((47, 39, 39), np.eye(4))
#: Truth on the fine grid: cortex up to 20 mm, fluid from there to 40 mm, then background.
X = np.arange(FINE.shape[0])[:, None, None]
TRUTH = np.broadcast_to(np.where(X < 20, CORTEX, np.where(X < 40, FLUID, 0)), FINE.shape)


def unsure(width=3):
    """A network that sees cortex end and fluid begin gradually, 4 mm too far to the right."""
    x = 2 * np.arange(COARSE.shape[0])[:, None, None]
    fluid = np.clip((x - 24) / (2 * width) + 0.5, 0, 1)
    probabilities = np.zeros((len(STRUCTURES), *COARSE.shape), np.float32)
    outside = np.broadcast_to(x >= 40, COARSE.shape)
    probabilities[CORTEX] = np.where(outside, 0, 1 - fluid)
    probabilities[FLUID] = np.where(outside, 0, fluid)
    probabilities[0] = outside
    return AnatomySegmentation(probabilities, COARSE)


def picture(dark=20.0, bright=80.0, noise=5.0):
    rng = np.random.default_rng(0)
    clean = np.where(TRUTH == CORTEX, bright, np.where(TRUTH == FLUID, dark, 0))
    return np.where(TRUTH > 0, clean + rng.normal(0, noise, FINE.shape), 0).astype(np.float32)


def wrong(found):
    return (found != TRUTH)[5:35].mean()


def plain(anatomy):
    return refined_structures(anatomy, Volume(np.zeros(FINE.shape, np.float32), FINE.affine), FINE)


def test_a_border_moves_to_where_the_brightness_changes():
    anatomy = unsure()
    found = refined_structures(anatomy, Volume(picture(), FINE.affine), FINE)
    assert wrong(plain(anatomy)) > 0.1
    assert wrong(found) < wrong(plain(anatomy)) / 3


def test_an_image_without_contrast_changes_nothing():
    anatomy = unsure()
    found = refined_structures(anatomy, Volume(picture(dark=80.0), FINE.affine), FINE)
    assert wrong(found) == pytest.approx(wrong(plain(anatomy)), abs=0.03)


def test_brightness_is_learnt_in_the_neighborhood(monkeypatch):
    # The image gets three times as bright from one side to the other: one mean would not do.
    ramp = np.linspace(0.5, 1.5, FINE.shape[1], dtype=np.float32)[None, :, None]
    image = picture(dark=35.0) * ramp
    monkeypatch.setattr(refine, "NEIGHBORHOOD_MM", 1000.0)
    everywhere = refined_structures(unsure(), Volume(image, FINE.affine), FINE)
    monkeypatch.setattr(refine, "NEIGHBORHOOD_MM", 8.0)
    nearby = refined_structures(unsure(), Volume(image, FINE.affine), FINE)
    assert wrong(nearby) < 0.8 * wrong(everywhere)


def test_what_the_network_is_sure_of_stays():
    probabilities = np.zeros((len(STRUCTURES), *COARSE.shape), np.float32)
    probabilities[WHITE] = 1
    found = refined_structures(
        AnatomySegmentation(probabilities, COARSE), Volume(picture(), FINE.affine), FINE
    )
    assert (found == WHITE).all()


def test_background_stays_background_however_bright_it_is():
    found = refined_structures(unsure(), Volume(picture() + 50, FINE.affine), FINE)
    assert not found[42:].any()


def test_a_class_of_a_few_voxels_is_left_to_the_network():
    anatomy = unsure()
    anatomy.probabilities[:, 5, 5, 5] = 0
    anatomy.probabilities[WHITE, 5, 5, 5] = 1
    assert refined_structures(anatomy, Volume(picture(), FINE.affine), FINE)[10, 10, 10] == WHITE
