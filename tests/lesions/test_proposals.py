"""Candidates of the network and dark spots, and what a verdict does to the probability."""

import numpy as np
import pytest
import torch

from cmb_bidsapp.lesions.proposals import Proposals, likely, look_again
from cmb_bidsapp.lesions.second_look import Judge, SecondLook
from cmb_bidsapp.lesions.views import SLICES, Viewer

VOXEL = (0.5, 0.5, 3.0)


class Verdict(SecondLook):
    """Says what it is told, whatever it sees."""

    def __init__(self, *odds):
        super().__init__()
        self.odds = torch.tensor(odds)

    def forward(self, views, voxel):
        return self.odds[: len(views)]


class Darkness(Judge):
    """The darker the middle of the near view, the likelier; even tissue has odds of -20."""

    def forward(self, views, voxel):
        middle = views[:, SLICES // 2, 15:17, 15:17].mean(dim=(1, 2))
        return -20 - 60 * middle


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


@pytest.fixture
def second_look():
    return SecondLook([Darkness(), Darkness()])


def test_any_dark_spot_may_be_a_candidate(scan, second_look):
    nothing, brain = np.zeros(scan.shape, np.float32), scan > 0
    assert not look_again(second_look, scan, nothing, VOXEL).any(), "unless it is asked for"
    found = look_again(second_look, scan, nothing, VOXEL, brain)
    assert (found[60:63, 60:63, 6] > 0.99).all(), "all of the dark spot belongs to it"
    assert found[20, 30, 3] < 0.5, "one voxel is too little for this judge"
    brain[:, :, 6] = False
    assert not look_again(second_look, scan, nothing, VOXEL, brain).any()


def test_a_spot_that_the_network_proposed_is_one_candidate(scan, second_look):
    probability = np.zeros(scan.shape, np.float32)
    probability[60:64, 60:63, 6] = 0.3
    own = Proposals.of(scan, probability, VOXEL)
    both = own.with_spots(second_look, Viewer.of(scan, VOXEL), scan > 0)
    assert len(own.centers) == len(both.centers) == 1
    np.testing.assert_array_equal(own.pieces, both.pieces)


def test_near_spots_are_one_and_far_ones_two(scan, second_look):
    scan[66:69, 60:63, 6] = 90  # 3 mm away
    scan[61, 64, 6] = 95  # 1.5 mm from the first
    nothing = np.zeros(scan.shape, np.float32)
    viewer = Viewer.of(scan, VOXEL)
    spots = Proposals.of(scan, nothing, VOXEL).with_spots(second_look, viewer, scan > 0)
    assert len(spots.centers) == 2
    assert spots.pieces[tuple(spots.centers.T)].tolist() == [1, 2]
    assert sorted(spots.centers[:, 0].tolist())[0] < 64 < sorted(spots.centers[:, 0].tolist())[1]


def test_a_spot_likelier_than_the_candidate_beside_it_is_kept(scan, second_look):
    probability = np.zeros(scan.shape, np.float32)
    probability[56:58, 61, 6] = 0.6  # on even tissue, 2 mm beside the spot
    own = Proposals.of(scan, probability, VOXEL)
    both = own.with_spots(second_look, Viewer.of(scan, VOXEL), scan > 0)
    assert len(own.centers) == 1
    assert len(both.centers) == 2
    again = look_again(second_look, scan, probability, VOXEL, scan > 0)
    assert again[61, 61, 6] > 0.99
    assert again[56:58, 61, 6].max() < 0.01


def test_most_places_are_dismissed_at_one_glance(scan):
    class Counting(Darkness):
        seen = 0

        def forward(self, views, voxel):
            Counting.seen += len(views)
            return super().forward(views, voxel)

    places = np.array([[61, 61, 6], [90, 90, 6], [90, 30, 6], [30, 90, 6]])
    chosen, sure = likely(SecondLook([Darkness(), Counting()]), Viewer.of(scan, VOXEL), places)
    assert chosen.tolist() == [[61, 61, 6]]
    assert sure == pytest.approx([1], abs=1e-3)
    assert Counting.seen == 1
