"""Microbleeds mixed into tissue, and views changed at random."""

import numpy as np
import pytest
import torch

from cmb_bidsapp.core.errors import NoInputError
from cmb_bidsapp.lesions.views import BRIGHTNESS, CHANNELS, PIXELS, SLICES
from cmb_bidsapp.train.mixing import Mixer, augmented, mixed
from cmb_bidsapp.train.places import MARGIN, UNKNOWN, Kind, Places

WIDTH = PIXELS + 2 * MARGIN


def shadow(depth):
    """What a microbleed in the middle multiplies with, less 1."""
    view = np.zeros((2 * SLICES, WIDTH, WIDTH), np.float32)
    view[:, WIDTH // 2 - 2 : WIDTH // 2 + 2, WIDTH // 2 - 2 : WIDTH // 2 + 2] = -depth
    return view


def places(kinds, acquisition):
    """Even views, each as bright as its number says."""
    count = len(kinds)
    bright = np.arange(count, dtype=np.float16)[:, None, None, None] / 100
    return Places(
        brightness=np.zeros((count, 2 * SLICES, WIDTH, WIDTH), np.float16) + bright,
        tissues=np.full((count, 2, WIDTH, WIDTH), 3, np.uint8),
        voxel=np.arange(2 * count, dtype=np.float32).reshape(count, 2),
        kind=np.array(kinds, np.int8),
        acquisition=np.array(acquisition, np.int16),
        mimic=np.full(count, UNKNOWN, np.int8),
    )


def test_mixing_multiplies_the_signal():
    shadows = np.stack([shadow(depth) for depth in (0.3, 0.6, 0.9)])
    views = mixed(np.full_like(shadows, 0.2), shadows, np.random.default_rng(1))
    for view, depth in zip((views + 1) / 1.2, (0.3, 0.6, 0.9), strict=True):
        assert view.min() == pytest.approx(1 - depth, abs=1e-3)
    outside = mixed(np.full_like(shadows, -1), shadows, np.random.default_rng(1))
    assert (outside == -1).all(), "nothing outside the brain changes"


def test_a_batch_has_what_is_mixed_in_first():
    known = places([Kind.TISSUE, Kind.TISSUE, Kind.OTHER], [0, 1, 0])
    nothing = np.zeros((0, 2 * SLICES, WIDTH, WIDTH), np.float16)
    shadows = [np.stack([shadow(0.5)]).astype(np.float16), nothing]
    mixer = Mixer(known, shadows, np.random.default_rng(0))
    assert mixer.tissue.tolist() == [0], "the other acquisition shows no microbleed"
    views, voxel = mixer.batch(4, [np.array([2])])
    assert views[:4, :BRIGHTNESS].min(axis=(1, 2, 3)) == pytest.approx(-0.5)
    assert views[4, :BRIGHTNESS].min() > 0
    assert voxel.tolist() == [[0, 1]] * 4 + [[4, 5]]


def test_some_places_are_shown_without_their_tissues():
    known = places([Kind.TISSUE, Kind.OTHER], [0, 0])
    mixer = Mixer(known, [np.stack([shadow(0.5)]).astype(np.float16)], np.random.default_rng(0))
    views, _ = mixer.batch(200, [np.ones(200, np.intp)])
    shown = (views[:, BRIGHTNESS + 2] == 0).all(axis=(1, 2))
    assert 0.6 < shown.mean() < 0.9
    assert (views[~shown, BRIGHTNESS:] == -1).all()


def test_tissues_move_with_the_views_and_are_not_otherwise_changed():
    views = torch.full((40, CHANNELS, WIDTH, WIDTH), -1.0)
    views[:, BRIGHTNESS + 2, :, WIDTH // 2 :] = 0
    changed = augmented(views, np.random.default_rng(0))
    tissues = changed[:, BRIGHTNESS:]
    assert changed.shape == (40, CHANNELS, PIXELS, PIXELS)
    assert tissues[:, [0, 1, 3, 4]].max() == -1
    assert tissues.min() == -1
    assert tissues.max() == pytest.approx(0, abs=1e-6)
    assert 0.3 < (tissues[:, 2] > -0.5).float().mean() < 0.7


def test_tissue_that_shows_no_microbleed_is_refused():
    nothing = np.zeros((0, 2 * SLICES, WIDTH, WIDTH), np.float16)
    with pytest.raises(NoInputError, match="no tissue"):
        Mixer(places([Kind.TISSUE], [0]), [nothing], np.random.default_rng(0))


def test_changed_views_are_as_wide_as_a_network_wants_and_differ():
    torch.manual_seed(0)
    views = torch.from_numpy(np.stack([shadow(0.8)] * 6))
    changed = augmented(views, np.random.default_rng(0))
    assert changed.shape == (6, 2 * SLICES, PIXELS, PIXELS)
    assert float(changed.min()) >= -1
    assert float(changed.max()) <= 2
    assert all(not torch.equal(changed[0], other) for other in changed[1:])
    middle = changed[:, :, PIXELS // 2 - 3 : PIXELS // 2 + 3, PIXELS // 2 - 3 : PIXELS // 2 + 3]
    assert (middle.amin(dim=(1, 2, 3)) < -0.3).all(), "what it shows stays near the middle"
