"""Places that the second look learns from, and microbleeds mixed into them."""

from dataclasses import replace

import numpy as np
import pytest

from cmb_bidsapp.lesions.lesion import Mimic
from cmb_bidsapp.lesions.views import PIXELS, SLICES
from cmb_bidsapp.sensitivity.background import Background
from cmb_bidsapp.train.places import (
    CLEAR_TISSUE,
    LEAST_CONTRAST,
    MARGIN,
    UNKNOWN,
    Acquisition,
    Kind,
    places_of,
    shadows_of,
    with_ratings,
)

VOXEL = (0.8, 0.8, 3.0)
SHAPE = (90, 90, 12)
WIDTH = PIXELS + 2 * MARGIN
MIDDLE = slice(WIDTH // 2 - 2, WIDTH // 2 + 2)


def background(*, labeled: bool) -> Background:
    """A flat brain with two rows of spots: lesions at x = 20, what is suspected at x = 60."""
    t2star = np.zeros(SHAPE, np.float32)
    t2star[5:-5, 5:-5, 1:-1] = 400 + np.random.default_rng(0).normal(0, 8, (80, 80, 10))
    lesions, suspected = (np.zeros(SHAPE, bool) for _ in range(2))
    for y in range(15, 80, 12):
        lesions[20:23, y : y + 3, 5] = True
        suspected[60:63, y : y + 3, 7] = True
    t2star[lesions | suspected] = 120
    return Background(
        t2star=t2star,
        t1w=np.zeros(SHAPE, np.float32),
        affine=np.diag([*VOXEL, 1.0]),
        regions=(t2star > 0).astype(np.uint8),
        tissues=np.where(np.indices(SHAPE)[0] < 30, 2, 3).astype(np.uint8),
        suspected=suspected,
        marks=np.zeros(SHAPE, bool),
        lesions=lesions if labeled else None,
        doubtful=np.zeros(SHAPE, bool),
        mimics=None,
        b0=3.0,
        te_ms=20.0,
    )


def darkest_in_the_middle(views):
    return 1 + views[:, SLICES // 2, MIDDLE, MIDDLE].astype(float).min(axis=(1, 2))


def test_lesions_what_is_none_and_clear_tissue():
    places = places_of(background(labeled=True), 3, np.random.default_rng(0))
    assert places.brightness.shape[1:] == (2 * SLICES, WIDTH, WIDTH)
    assert set(places.acquisition) == {3}
    lesions = places.tissues[places.kind == Kind.LESION]
    assert (lesions[:, :, WIDTH // 2, WIDTH // 2] == 2).all()
    assert set(np.unique(lesions)) == {0, 2, 3}, "the far view reaches beyond the image"
    lesions, others, tissue = (
        places.brightness[places.kind == kind] for kind in (Kind.LESION, Kind.OTHER, Kind.TISSUE)
    )
    assert len(lesions) == 6
    assert (darkest_in_the_middle(lesions) < 0.4).all()
    assert (darkest_in_the_middle(others) < 0.4).sum() >= 6, "what is suspected is none"
    assert len(tissue) > 50
    assert (darkest_in_the_middle(tissue) > CLEAR_TISSUE).all()


def test_where_nobody_has_labeled_what_is_suspected_may_be_either():
    seen = background(labeled=False)
    # Unlabeled and not suspected: nothing tells the first row from vessels.
    places = places_of(seen, 0, np.random.default_rng(0))
    assert not (places.kind == Kind.LESION).any()
    suspected = places.brightness[places.kind == Kind.SUSPECTED]
    assert len(suspected) == 6
    assert (darkest_in_the_middle(suspected) < 0.4).all()
    dark = darkest_in_the_middle(places.brightness[places.kind == Kind.OTHER]) < 0.4
    everything = places_of(background(labeled=True), 0, np.random.default_rng(0))
    assert not (everything.kind == Kind.SUSPECTED).any()
    known = darkest_in_the_middle(everything.brightness[everything.kind != Kind.TISSUE]) < 0.4
    assert 0 < dark.sum() < known.sum()


def test_what_readers_rated_is_learned_as_they_say():
    seen = background(labeled=False)
    before = places_of(seen, 0, np.random.default_rng(0))
    # Points a voxel beside the darkest one: readers and masks are never quite in the middle.
    yes = np.array([[20.0, y, 5.0] for y in (15, 27)]) * VOXEL
    no = np.array([[62.0, 15.0, 7.0]]) * VOXEL
    places = with_ratings(seen, yes, no, 2, np.random.default_rng(0))
    assert set(places.acquisition) == {2}
    lesions = places.brightness[places.kind == Kind.LESION]
    assert len(lesions) == 2
    assert (darkest_in_the_middle(lesions) < 0.4).all()
    rated = places.brightness[places.kind == Kind.OTHER][-1:]
    assert (darkest_in_the_middle(rated) < 0.4).all(), "suspected, but rated as none"
    assert (places.kind == Kind.SUSPECTED).sum() == 5
    dark = [
        (darkest_in_the_middle(one.brightness[one.kind == Kind.OTHER]) < 0.4).sum()
        for one in (before, places)
    ]
    assert dark[1] < dark[0], "the two microbleeds are no longer among what is none"


def test_a_point_beyond_the_image_is_looked_for_inside():
    nothing = np.zeros((0, 3))
    places = with_ratings(
        background(labeled=False), nothing, np.array([[-9.0, 30, 99]]), 0, np.random.default_rng(0)
    )
    assert (places.kind == Kind.LESION).sum() == 0


@pytest.fixture(scope="module")
def shadows():
    return shadows_of(Acquisition(VOXEL, 3.0, 20.0), 10, np.random.default_rng(0))


def test_shadows_are_dark_in_the_middle_and_nothing_far_away(shadows):
    assert len(shadows) >= 10
    assert (darkest_in_the_middle(shadows) < 1 - 0.8 * LEAST_CONTRAST).all()
    assert np.median(np.abs(shadows[:, :, 0])) < 0.02


def test_an_acquisition_that_shows_hardly_any_gives_none(monkeypatch):
    monkeypatch.setattr("cmb_bidsapp.train.places.BLOCKS", 4)
    weak = Acquisition(VOXEL, 0.01, 1.0)
    assert len(shadows_of(weak, 1, np.random.default_rng(0))) == 0


def test_mimics_are_known_where_the_truth_says_so():
    mimics = np.full(SHAPE, list(Mimic).index(Mimic.OTHER), np.int8)
    mimics[55:70] = list(Mimic).index(Mimic.VESSEL)
    seen = replace(background(labeled=True), mimics=mimics)
    places = places_of(seen, 0, np.random.default_rng(0))
    assert set(places.mimic[places.kind == Kind.LESION]) == {UNKNOWN}
    assert set(places.mimic[places.kind == Kind.TISSUE]) == {UNKNOWN}
    dark = (places.kind == Kind.OTHER) & (darkest_in_the_middle(places.brightness) < 0.4)
    assert set(places.mimic[dark]) == {list(Mimic).index(Mimic.VESSEL)}
    nobody = places_of(background(labeled=True), 0, np.random.default_rng(0))
    assert set(nobody.mimic[nobody.kind == Kind.OTHER]) == {UNKNOWN}
