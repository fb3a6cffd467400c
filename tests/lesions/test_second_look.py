"""What the second look sees of a place, and how it judges."""

import numpy as np
import pytest
import scipy.special
import torch
from scipy import ndimage

from cmb_bidsapp.lesions.second_look import (
    PIXELS,
    SLICES,
    VIEWED,
    SecondLook,
    Viewer,
    judge_views,
)
from cmb_bidsapp.lesions.segment import with_lesions
from cmb_bidsapp.lesions.spots import darkest

VOXEL = (0.5, 0.5, 3.0)


def test_a_place_is_in_the_middle_of_both_views(scan):
    (views,) = Viewer.of(scan, VOXEL).views(np.array([[61, 61, 6]]))
    assert views.shape == (2 * SLICES, PIXELS, PIXELS)
    near, far = views[SLICES // 2], views[SLICES + SLICES // 2]
    middle = slice(PIXELS // 2 - 1, PIXELS // 2 + 1)
    assert near[middle, middle].max() < -0.7
    assert far[middle, middle].mean() < -0.1
    assert np.abs(near[:8]).max() < 1e-5, "as bright as what is around"
    assert np.abs(views[SLICES // 2 - 1]).max() < 1e-5, "the slice before has nothing"


def test_brightness_of_the_scan_does_not_matter(scan):
    place = np.array([[61, 61, 6]])
    one, other = (Viewer.of(scan * factor, VOXEL).views(place) for factor in (1, 7.5))
    np.testing.assert_allclose(one, other, atol=1e-4)


def test_beyond_the_image_there_is_nothing(scan):
    (views,) = Viewer.of(scan, VOXEL).views(np.array([[0, 0, 0]]))
    assert (views[0] == -1).all(), "a slice before the first"
    assert (views[SLICES // 2, :12, :12] == -1).all()


def test_thin_slices_are_averaged():
    t2star = np.full((60, 60, 20), 400, np.float32)
    t2star[30, 30, 10:12] = 0
    viewer = Viewer.of(t2star, (0.5, 0.5, 0.8))
    assert viewer.step == 2
    assert viewer.near[30, 30].min() == 0
    assert viewer.near[30, 30, 12] == pytest.approx(200)


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
    assert judge_views(SecondLook(), np.zeros((0, 10, 32, 32), np.float32), (0.0, 1.0)).size == 0


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


def test_many_places_are_seen_as_each_alone(scan):
    places = np.random.default_rng(0).integers(0, (120, 120, 12), (VIEWED + 3, 3))
    viewer = Viewer.of(scan, VOXEL)
    together = viewer.views(places)
    alone = np.concatenate([viewer.views(place[None]) for place in places])
    np.testing.assert_allclose(together, alone, atol=1e-6)


@pytest.mark.parametrize("voxel", [VOXEL, (0.8, 1.1, 0.8), (0.3, 0.45, 6.0)])
def test_pixels_are_interpolated_linearly_from_what_the_image_has_there(voxel):
    rng = np.random.default_rng(1)
    image = np.pad(rng.uniform(1, 2, (60, 48, 8)), ((10, 10), (10, 10), (2, 2))).astype(np.float32)
    viewer, places = Viewer.of(image, voxel), rng.integers(0, image.shape, (20, 3))
    offset, slices = np.arange(20) - 9.5, (np.arange(SLICES) - SLICES // 2) * viewer.step
    for place, seen in zip(places, viewer.views(places, 20), strict=True):
        expected = []
        for image_there, mm in ((viewer.near, 0.5), (viewer.far, 1.5)):
            z, x, y = np.meshgrid(
                slices, offset * mm / voxel[0], offset * mm / voxel[1], indexing="ij"
            )
            at = [middle + axis for middle, axis in zip(place, (x, y, z), strict=True)]
            expected.append(ndimage.map_coordinates(image_there, at, order=1))
        around = expected[1][expected[1] > 0]
        brightness = np.median(around) if around.size else 1
        expected = np.clip(np.concatenate(expected) / brightness, 0, 3) - 1
        np.testing.assert_allclose(seen, expected, atol=1e-5)
