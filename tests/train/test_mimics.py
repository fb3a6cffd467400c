"""Training of the network that says what dark places are that are no microbleeds."""

import dataclasses

import numpy as np

from cmb_bidsapp.lesions.lesion import Mimic
from cmb_bidsapp.lesions.second_look import name_views
from cmb_bidsapp.lesions.views import SLICES
from cmb_bidsapp.train.mimics import FEWEST, train_namer
from cmb_bidsapp.train.places import MARGIN, UNKNOWN, Kind, Places
from tests.train.test_mixing import WIDTH

NAMES = list(Mimic)


def made_up(rng, count=FEWEST):
    """Clear tissue, lines through the middle, and tissue next to the outside of the brain."""
    tissue = rng.normal(0, 0.02, (3 * count, 2 * SLICES, WIDTH, WIDTH)).astype(np.float16)
    lines, edges = tissue[count : 2 * count], tissue[2 * count :]
    lines[:, :, WIDTH // 2 - 1 : WIDTH // 2 + 1] = -0.7
    edges[..., : WIDTH // 2] = -1
    mimic = [UNKNOWN, NAMES.index(Mimic.VESSEL), NAMES.index(Mimic.EDGE)]
    return Places(
        brightness=tissue,
        tissues=np.zeros((3 * count, 2, WIDTH, WIDTH), np.uint8),
        voxel=np.zeros((3 * count, 2), np.float32),
        kind=np.repeat([Kind.TISSUE, Kind.OTHER, Kind.OTHER], count).astype(np.int8),
        acquisition=np.zeros(3 * count, np.int16),
        mimic=np.repeat(mimic, count).astype(np.int8),
    )


def test_it_learns_to_tell_vessels_from_edges():
    told = []
    namer = train_namer(
        made_up(np.random.default_rng(0)), steps=40, progress=lambda *step: told.append(step)
    )
    assert [step for step, _ in told] == list(range(1, 41))
    unseen = made_up(np.random.default_rng(1), 10)
    views = unseen.views(slice(10, None))[..., MARGIN:-MARGIN, MARGIN:-MARGIN]
    shares = name_views(namer, views, (0.0, 0.0))
    assert np.allclose(shares.sum(axis=1), 1, atol=1e-5)
    assert (shares.argmax(axis=1) == unseen.mimic[10:]).mean() > 0.9


def test_mimics_of_few_places_are_not_learned():
    assert train_namer(made_up(np.random.default_rng(0), FEWEST - 1), steps=1) is None
    places = made_up(np.random.default_rng(0))
    one = np.where(places.mimic == NAMES.index(Mimic.EDGE), UNKNOWN, places.mimic)
    assert train_namer(dataclasses.replace(places, mimic=one), steps=1) is None
