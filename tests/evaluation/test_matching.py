"""One-to-one matching by world distance."""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmb_bidsapp.evaluation.matching import HIT_MM, centres_of, lesions_of, match

points = st.lists(st.tuples(*[st.integers(0, 12)] * 3), max_size=8).map(
    lambda rows: np.array(rows, float).reshape(-1, 3)
)


def pairs_of(reference, predicted, **options):
    found = match(
        np.array(reference, float).reshape(-1, 3), np.array(predicted, float).reshape(-1, 3),
        **options,
    )  # fmt: skip
    return [(pair.reference, pair.predicted, pair.distance) for pair in found]


def greedy(reference, predicted):
    """Nearest pair first, as many evaluations do it."""
    distance = np.linalg.norm(reference[:, None] - predicted[None], axis=-1)
    pairs = []
    while distance.size and distance.min() <= HIT_MM:
        i, j = np.unravel_index(distance.argmin(), distance.shape)
        pairs.append(float(distance[i, j]))
        distance[i] = np.inf
        distance[:, j] = np.inf
    return pairs


@given(points, points)
def test_never_fewer_pairs_than_greedy_and_never_farther_with_as_many(reference, predicted):
    ours = match(reference, predicted)
    theirs = greedy(reference, predicted)
    assert len(ours) >= len(theirs)
    if len(ours) == len(theirs):
        assert sum(pair.distance for pair in ours) <= sum(theirs) + 1e-9


@given(points, points)
def test_pairs_are_one_to_one_within_reach_and_leave_no_two_that_could_pair(reference, predicted):
    ours = match(reference, predicted)
    own, found = {pair.reference for pair in ours}, {pair.predicted for pair in ours}
    assert len(own) == len(found) == len(ours)
    for pair in ours:
        gap = np.linalg.norm(reference[pair.reference] - predicted[pair.predicted])
        assert pair.distance == pytest.approx(gap)
        assert gap <= HIT_MM + 1e-3
    for i in set(range(len(reference))) - own:
        for j in set(range(len(predicted))) - found:
            assert np.linalg.norm(reference[i] - predicted[j]) > HIT_MM


def test_more_pairs_win_over_a_nearer_one():
    # Greedy takes 4-5 (1 mm) and leaves 0 and 9 alone; both pairs of 4 mm or more are possible.
    assert pairs_of([[0, 0, 0], [5, 0, 0]], [[4, 0, 0], [9, 0, 0]]) == [(0, 0, 4.0), (1, 1, 4.0)]


@pytest.mark.parametrize(("gap", "hit"), [(4.9, True), (5.0, True), (5.01, False)])
def test_five_millimetres_are_within_reach(gap, hit):
    assert bool(pairs_of([[0, 0, 0]], [[gap, 0, 0]])) is hit


@pytest.mark.parametrize("sizes", [(0, 0), (0, 3), (3, 0)])
def test_nothing_matches_nothing(sizes):
    assert pairs_of(*(np.zeros((n, 3)) for n in sizes)) == []


def oblique(zooms, degrees=25):
    turn = np.radians(degrees)
    affine = np.eye(4)
    affine[:3, :3] = np.array(
        [[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]]
    ) @ np.diag(zooms)
    affine[:3, 3] = (-30, 12, 7)
    return affine


def test_centres_are_world_coordinates_of_an_oblique_anisotropic_image():
    affine = oblique((0.5, 0.5, 6.5))
    instances = np.zeros((12, 12, 6), np.int32)
    instances[2:4, 5, 1:3] = 3
    instances[8, 8, 4] = 7
    lesions = lesions_of(instances, affine)
    assert [(lesion.number, len(lesion.voxels)) for lesion in lesions] == [(3, 4), (7, 1)]
    expected = nib.affines.apply_affine(affine, [[2.5, 5, 1.5], [8, 8, 4]])
    np.testing.assert_allclose(centres_of(lesions), expected)


def test_distances_are_millimetres_not_voxels():
    affine = oblique((0.5, 0.5, 6.5))
    reference, beside, above = (np.zeros((30, 12, 6), np.int32) for _ in range(3))
    reference[5, 5, 2] = 1
    beside[14, 5, 2] = 1  # nine voxels, 4.5 mm
    above[5, 5, 3] = 1  # one voxel, 6.5 mm
    centre, near, far = (
        centres_of(lesions_of(image, affine)) for image in (reference, beside, above)
    )
    assert match(centre, near)[0].distance == pytest.approx(4.5)
    assert match(centre, far) == []


def test_an_image_without_lesions_has_no_centres():
    assert centres_of(lesions_of(np.zeros((4, 4, 4), np.int32), np.eye(4))).shape == (0, 3)
