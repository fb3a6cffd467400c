"""Candidates of scans held back, judged again and again."""

import numpy as np
import pytest

from cmb_bidsapp.core.decisions import Decisions
from cmb_bidsapp.lesions.views import CHANNELS, PIXELS
from cmb_bidsapp.sensitivity.measure import Chain, Drawn
from cmb_bidsapp.train.held_back import Trial, as_arrays, from_arrays, trial_of, trials_of
from tests.lesions.test_proposals import Verdict
from tests.sensitivity.scans import AFFINE, SHAPE, DarkSpots, plain_scan


def chain_of(network=None, **other):
    network = network or DarkSpots(0.3)
    return Chain(network=network, own_regions=True, decisions=Decisions(**other))


def with_spots(*places):
    scan = plain_scan()
    for x, y, z in places:
        scan.t2star[x : x + 3, y : y + 3, z] = 100
    return scan


def world(x, y, z):
    return (AFFINE @ [x, y, z, 1])[:3]


@pytest.fixture(scope="module")
def trials():
    return trials_of(with_spots((20, 20, 5), (50, 60, 9)), chain_of(), 2, (0, 0))


def test_every_candidate_has_its_views_and_a_mark(trials):
    own = trials[0]
    assert own.views.shape == (2, CHANNELS, PIXELS, PIXELS)
    assert own.voxel.tolist() == pytest.approx([0, np.log(3)])
    assert own.mark.tolist() == [0, 1]
    expected = [world(21, 21, 5), world(51, 61, 9)]
    np.testing.assert_allclose(own.marks, expected, atol=1)
    assert own.implants.shape == (0, 3)


def test_draws_have_microbleeds_most_of_which_are_candidates(trials):
    for drawn in trials[1:]:
        assert len(drawn.implants) >= 10
        certain = np.ones(len(drawn.marks), np.float32)
        assert drawn.found(certain, 0.5).mean() > 0.3
        assert not drawn.found(certain, 1.1).any()
    assert not np.array_equal(trials[1].implants, trials[2].implants)


def test_a_second_look_is_all_that_a_score_needs(trials):
    scores = trials[0].scores(Verdict(-20.0, 20.0))
    assert scores == pytest.approx([0, 1], abs=1e-3)


def test_of_candidates_of_one_mark_the_likeliest_counts():
    trial = Trial(
        views=np.zeros((3, CHANNELS, PIXELS, PIXELS), np.float32),
        voxel=np.zeros(2),
        mark=np.array([0, 1, 0]),
        marks=np.zeros((2, 3)),
        implants=np.zeros((0, 3)),
    )
    assert trial.scores(Verdict(-20.0, -20.0, 20.0)) == pytest.approx([1, 0], abs=1e-3)


def test_what_is_marked_already_finds_nothing():
    scan = with_spots((20, 20, 5), (50, 60, 9))
    scan.marks[20:23, 20:23, 5] = True
    instances = np.zeros(SHAPE, np.int16)
    instances[20:23, 20:23, 5], instances[50:53, 60:63, 9] = 1, 2
    around = np.array([[21, 21, 5], [51, 61, 9]], np.float64)
    drawn = trial_of(
        scan,
        chain_of(),
        Drawn(t2star=scan.t2star, instances=instances, rows=[{}, {}], around=around),
    )
    assert len(trial_of(scan, chain_of()).marks) == 2
    assert len(drawn.marks) == 1
    assert drawn.found(np.ones(1, np.float32), 0.5).tolist() == [False, True]


def test_what_false_positive_reduction_rejects_is_no_candidate():
    # No periphery can be brain beyond measure.
    trial = trial_of(with_spots((20, 20, 5)), chain_of(cfpr_ratio=1.1))
    assert len(trial.marks) == len(trial.views) == 0
    assert trial.scores(Verdict()).size == 0


def test_a_scan_without_tissue_has_nothing():
    scan = plain_scan()
    scan.t2star[:] = 0
    scan.regions[:] = 0
    (own,) = trials_of(scan, chain_of(), 2, (0,))
    assert len(own.marks) == 0


def test_they_can_be_kept_in_a_file(trials, tmp_path):
    np.savez(tmp_path / "trials.npz", other=np.ones(2), **as_arrays(trials))
    with np.load(tmp_path / "trials.npz") as arrays:
        read = from_arrays(dict(arrays))
    assert len(read) == len(trials)
    for one, other in zip(read, trials, strict=True):
        for name, value in vars(one).items():
            np.testing.assert_array_equal(value, getattr(other, name))
