"""Training of the network that says what dark places look like."""

import dataclasses

import numpy as np

from cmb_bidsapp.lesions.lesion import LooksLike
from cmb_bidsapp.lesions.second_look import SLICES, name_views
from cmb_bidsapp.train.looks import FEWEST, train_namer
from cmb_bidsapp.train.places import MARGIN, UNKNOWN, Kind, Places
from tests.train.test_mixing import WIDTH, shadow

NAMES = list(LooksLike)
SHADOWS = [np.stack([shadow(depth) for depth in (0.5, 0.7, 0.9)]).astype(np.float16)]


def made_up(rng, count=40):
    """Clear tissue, lines through the middle, and tissue next to the outside of the brain."""
    tissue = rng.normal(0, 0.02, (3 * count, 2 * SLICES, WIDTH, WIDTH)).astype(np.float16)
    lines, edges = tissue[count : 2 * count], tissue[2 * count :]
    lines[:, :, WIDTH // 2 - 1 : WIDTH // 2 + 1] = -0.7
    edges[..., : WIDTH // 2] = -1
    looks = [UNKNOWN, NAMES.index(LooksLike.VESSEL), NAMES.index(LooksLike.EDGE)]
    return Places(
        tissue,
        np.zeros((3 * count, 2), np.float32),
        np.repeat([Kind.TISSUE, Kind.OTHER, Kind.OTHER], count).astype(np.int8),
        np.zeros(3 * count, np.int16),
        np.repeat(looks, count).astype(np.int8),
    )


def test_it_learns_what_vessels_and_edges_look_like():
    rng = np.random.default_rng(0)
    namer = train_namer(made_up(rng), SHADOWS, steps=40)
    unseen = made_up(np.random.default_rng(1), 10)
    views = unseen.views[..., MARGIN:-MARGIN, MARGIN:-MARGIN].astype(np.float32)
    shares = name_views(namer, views, (0.0, 0.0))
    assert np.allclose(shares.sum(axis=1), 1, atol=1e-5)
    assert (shares[10:].argmax(axis=1) == unseen.looks[10:]).mean() > 0.9
    bleeds = np.stack([shadow(0.8)] * 4)[..., MARGIN:-MARGIN, MARGIN:-MARGIN].copy()
    named = name_views(namer, bleeds, (0.0, 0.0)).argmax(axis=1)
    assert (named == NAMES.index(LooksLike.MICROBLEED)).all()


def test_a_look_of_few_places_is_not_learned():
    places = made_up(np.random.default_rng(0), FEWEST - 1)
    assert train_namer(places, SHADOWS, steps=1) is None
    unknown = np.full_like(places.looks, UNKNOWN)
    assert train_namer(dataclasses.replace(places, looks=unknown), SHADOWS, steps=1) is None
