"""What the second look sees of a place, and what its verdict does to the probability."""

import numpy as np
import pytest
import torch

from cmb_bidsapp.lesions.second_look import (
    PIXELS,
    SLICES,
    SecondLook,
    Viewer,
    darkest,
    judge_views,
    look_again,
)
from cmb_bidsapp.lesions.segment import with_lesions

VOXEL = (0.5, 0.5, 3.0)


class Verdict(SecondLook):
    """Says what it is told, whatever it sees."""

    def __init__(self, *odds):
        super().__init__()
        self.odds = torch.tensor(odds)

    def forward(self, views, voxel):
        return self.odds[: len(views)]


@pytest.fixture
def scan():
    t2star = np.full((120, 120, 12), 400, np.float32)
    t2star[60:63, 60:63, 6] = 100
    t2star[20, 30, 3] = 150
    return t2star


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


def test_a_candidate_peaks_at_the_verdict(scan):
    probability = np.zeros(scan.shape, np.float32)
    probability[60:66, 61, 6] = 0.2
    probability[61, 61, 6] = 0.4
    probability[20, 30, 3] = 0.9
    probability[90, 90, 3] = 0.05  # never a candidate
    # Numbered in the order of the image: the place at 20, 30 is the first.
    again = look_again(Verdict(-20.0, 20.0), scan, probability, VOXEL)
    assert again[61, 61, 6] == pytest.approx(1, abs=1e-3)
    assert again[65, 61, 6] == pytest.approx(0.5, abs=1e-3), "it keeps its shape"
    assert (again[60:63, 60:63, 6] > 0.99).all(), "all of the dark spot belongs to it"
    assert again[20, 30, 3] == pytest.approx(0, abs=1e-3)
    assert again[90, 90, 3] == 0


def test_only_likely_candidates_reach_as_far_as_their_dark_spot(scan):
    scan[63, 60:63, 6] = 200
    scan[64, 60:63, 6] = 260  # less than half as deep
    probability = np.zeros(scan.shape, np.float32)
    probability[61, 61, 6] = 0.4
    likely = look_again(Verdict(2.0), scan, probability, VOXEL)
    sure = likely.max()
    assert (likely[60:63, 60:63, 6] == sure).all()
    # Two thirds of the depth are a third of the way from the border's 0.5 to the verdict.
    np.testing.assert_allclose(likely[63, 60:63, 6], 0.5 + (sure - 0.5) / 3, atol=1e-3)
    assert not likely[64].any()
    unlikely = look_again(Verdict(-0.1), scan, probability, VOXEL)
    assert np.count_nonzero(unlikely) == 1


def test_no_candidate_reaches_into_another(scan):
    probability = np.zeros(scan.shape, np.float32)
    probability[60, 60, 6] = probability[62, 62, 6] = 0.9
    again = look_again(Verdict(20.0, -20.0), scan, probability, VOXEL)
    assert again[60, 60, 6] > 0.99
    assert again[62, 62, 6] < 0.01


def test_there_is_no_candidate_beyond_the_brain(scan):
    scan[:20] = 0
    probability = np.zeros(scan.shape, np.float32)
    probability[10, 60, 6] = 0.9
    assert not look_again(Verdict(20.0), scan, probability, VOXEL).any()


def test_without_candidates_there_is_nothing_to_look_at(scan):
    nothing = np.zeros(scan.shape, np.float32)
    assert not look_again(SecondLook(), scan, nothing, VOXEL).any()
    assert judge_views(SecondLook(), np.zeros((0, 10, 32, 32), np.float32), (0.0, 1.0)).size == 0


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
