"""How candidates are judged."""

import numpy as np
import pytest
import scipy.special
import torch

from cmb_bidsapp.lesions.second_look import Judge, SecondLook, judge_views
from cmb_bidsapp.lesions.segment import with_lesions
from cmb_bidsapp.lesions.spots import darkest
from cmb_bidsapp.lesions.views import BRIGHTNESS, CHANNELS, PIXELS, SLICES, Viewer

VOXEL = (0.5, 0.5, 3.0)


def test_a_judge_without_tissues_sees_brightness_alone(scan):
    torch.manual_seed(0)
    network, place = SecondLook([Judge(BRIGHTNESS)]), np.array([[61, 61, 6]])
    sure = [
        judge_views(network, Viewer.of(scan, VOXEL, tissues).views(place), (0.0, 1.0))
        for tissues in (None, np.full(scan.shape, 3, np.uint8))
    ]
    assert sure[0] == sure[1]
    seeing = SecondLook([Judge()])
    sure = [
        judge_views(seeing, Viewer.of(scan, VOXEL, tissues).views(place), (0.0, 1.0))
        for tissues in (None, np.full(scan.shape, 3, np.uint8))
    ]
    assert sure[0] != sure[1]


def test_without_pieces_there_is_nothing_to_look_at():
    image = np.ones((4, 4, 4), np.float32)
    assert darkest(image, np.zeros((4, 4, 4), int), 0).shape == (0, 3)


def test_every_piece_is_looked_at_where_it_is_darkest(scan):
    pieces = np.zeros(scan.shape, int)
    pieces[58:64, 58:64, 6] = 1
    pieces[18:24, 28:33, 3] = 2
    first, second = darkest(scan, pieces, 2)
    assert scan[tuple(first)] == 100
    assert second.tolist() == [20, 30, 3]


def test_mirrored_views_are_judged_alike(scan):
    torch.manual_seed(0)
    viewer = Viewer.of(scan, VOXEL)
    views = viewer.views(np.array([[61, 61, 6]]))
    network = SecondLook()
    one, other = (
        judge_views(network, seen, viewer.log_voxel()) for seen in (views, views[..., ::-1].copy())
    )
    assert one == pytest.approx(other, abs=1e-5)


def test_other_classes_share_what_is_left():
    probabilities = np.array([[0.1], [0.2], [0.7]], np.float32)
    changed = with_lesions(probabilities, 2, np.array([0.1], np.float32))
    assert changed[:, 0] == pytest.approx([0.3, 0.6, 0.1])
    sure = with_lesions(np.array([[0.0], [1.0]], np.float32), 1, np.array([0.5], np.float32))
    assert np.isfinite(sure).all()


def test_without_views_there_is_nothing_to_judge():
    assert (
        judge_views(SecondLook(), np.zeros((0, CHANNELS, 32, 32), np.float32), (0.0, 1.0)).size == 0
    )


def test_mirrored_views_count_as_much_as_the_view_itself():
    class Corner(SecondLook):
        def forward(self, views, voxel):
            return views[:, 0, 0, 0]

    views = np.zeros((1, 2 * SLICES, PIXELS, PIXELS), np.float32)
    views[0, 0, 0, 0], views[0, 0, -1, -1] = 2, 6
    odds = [
        scipy.special.logit(judge_views(Corner(), views, (0.0, 1.0), mirrored=mirrored))
        for mirrored in (True, False)
    ]
    np.testing.assert_allclose(np.ravel(odds), [2, 2], rtol=1e-4)
    views[0, 0, -1, -1] = -2
    (all_ways,) = judge_views(Corner(), views, (0.0, 1.0))
    assert all_ways == pytest.approx(0.5)
