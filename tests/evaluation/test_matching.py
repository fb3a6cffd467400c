"""Lesions of images, and what hits what: by distance, by the nearest, by a common voxel."""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from cmb_bidsapp.evaluation.matching import (
    HIT_MM,
    Mark,
    centers_of,
    in_common,
    lesions_of,
    match,
    match_by_rank,
    nearest,
    pieces_of,
    voxels_of,
)

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
def test_five_millimeters_are_within_reach(gap, hit):
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


def test_centers_are_world_coordinates_of_an_oblique_anisotropic_image():
    affine = oblique((0.5, 0.5, 6.5))
    instances = np.zeros((12, 12, 6), np.int32)
    instances[2:4, 5, 1:3] = 3
    instances[8, 8, 4] = 7
    lesions = lesions_of(instances, affine)
    assert [(lesion.number, len(lesion.voxels)) for lesion in lesions] == [(3, 4), (7, 1)]
    expected = nib.affines.apply_affine(affine, [[2.5, 5, 1.5], [8, 8, 4]])
    np.testing.assert_allclose(centers_of(lesions), expected)


def test_distances_are_millimeters_not_voxels():
    affine = oblique((0.5, 0.5, 6.5))
    reference, beside, above = (np.zeros((30, 12, 6), np.int32) for _ in range(3))
    reference[5, 5, 2] = 1
    beside[14, 5, 2] = 1  # nine voxels, 4.5 mm
    above[5, 5, 3] = 1  # one voxel, 6.5 mm
    center, near, far = (
        centers_of(lesions_of(image, affine)) for image in (reference, beside, above)
    )
    assert match(center, near)[0].distance == pytest.approx(4.5)
    assert match(center, far) == []


def test_an_image_without_lesions_has_no_centers():
    assert centers_of(lesions_of(np.zeros((4, 4, 4), np.int32), np.eye(4))).shape == (0, 3)


SHAPE = (8, 8, 1)
#: Lesions as boxes of voxels: first corner and size.
boxes = st.lists(
    st.tuples(*[st.integers(0, 5)] * 2, *[st.integers(1, 3)] * 2), max_size=6
)  # fmt: skip


def box_lesions(found):
    """Lesions of boxes; they may share voxels, as boxes of a detector do."""
    lesions = []
    for number, (x, y, width, height) in enumerate(found, 1):
        voxels = np.argwhere(np.ones((width, height, 1))) + np.array([x, y, 0])
        lesions.append(
            Mark(number=number, center=tuple(voxels.mean(axis=0).tolist()), voxels=voxels)
        )
    return lesions


def shared(own, found):
    """Dice of two lesions by sets of voxels."""
    a, b = ({tuple(voxel) for voxel in lesion.voxels.tolist()} for lesion in (own, found))
    return 2 * len(a & b) / (len(a) + len(b))


def greedy_overlap(own, found):
    """Most Dice first."""
    pairs = sorted(
        ((shared(a, b), i, j) for i, a in enumerate(own) for j, b in enumerate(found)), reverse=True
    )
    left, right, taken = set(), set(), []
    for dice, i, j in pairs:
        if dice > 0 and i not in left and j not in right:
            taken.append(dice)
            left.add(i)
            right.add(j)
    return taken


@given(boxes, boxes)
def test_common_voxels_never_give_fewer_pairs_than_greedy_nor_less_dice_with_as_many(one, other):
    own, found = box_lesions(one), box_lesions(other)
    pairs = in_common(own, found, SHAPE).pairs
    ours = [shared(own[pair.reference], found[pair.predicted]) for pair in pairs]
    theirs = greedy_overlap(own, found)
    assert all(dice > 0 for dice in ours)
    for side in ("reference", "predicted"):
        taken = [getattr(pair, side) for pair in pairs]
        assert len(set(taken)) == len(taken)
    assert len(ours) >= len(theirs)
    if len(ours) == len(theirs):
        assert sum(ours) >= sum(theirs) - 1e-9


def test_common_voxels_count_and_near_ones_do_not():
    own = box_lesions([(0, 0, 3, 3), (5, 0, 3, 3)])
    found = box_lesions([(2, 2, 2, 2), (4, 0, 1, 3), (5, 2, 3, 3)])
    pairs = in_common(own, found, SHAPE).pairs
    assert [(pair.reference, pair.predicted) for pair in pairs] == [(0, 0), (1, 2)]


def marks(*centers):
    voxel = np.zeros((1, 3), np.intp)
    return [Mark(number=n, center=center, voxels=voxel) for n, center in enumerate(centers, 1)]


def taken(own, found):
    matching = nearest(marks(*own), marks(*found), SHAPE)
    pairs = [(pair.reference, pair.predicted) for pair in matching.pairs]
    return pairs, {i: list(js) for i, js in matching.claims.items()}


def test_every_prediction_takes_its_nearest_lesion_though_that_leaves_another_alone():
    own, found = [(0, 0, 0), (4, 0, 0)], [(1, 0, 0), (1.5, 0, 0)]
    assert taken(own, found) == ([(0, 0)], {0: [0, 1]})


@pytest.mark.parametrize(("gap", "hit"), [(4.99, True), (5.0, False), (5.01, False)])
def test_the_nearest_must_be_closer_than_five_millimeters(gap, hit):
    assert bool(taken([(0, 0, 0)], [(gap, 0, 0)])[0]) is hit


def test_of_equally_near_ones_the_first_counts():
    assert taken([(0, 0, 0), (2, 0, 0)], [(1, 0, 0)])[0] == [(0, 0)]
    assert taken([(0, 0, 0)], [(1, 0, 0), (-1, 0, 0)]) == ([(0, 0)], {0: [0, 1]})


@pytest.mark.parametrize("rule", [nearest, in_common])
@pytest.mark.parametrize("sizes", [(0, 0), (0, 2), (2, 0)])
def test_nothing_hits_nothing(rule, sizes):
    own, found = (marks(*[(0, 0, 0)] * n) for n in sizes)
    assert list(rule(own, found, SHAPE).pairs) == []


def test_pieces_meet_at_faces_or_also_at_edges_and_corners():
    mask = np.zeros((4, 4, 4), bool)
    mask[0, 0, 0] = mask[1, 0, 0] = mask[2, 1, 0] = mask[3, 2, 1] = True
    assert [len(one.voxels) for one in pieces_of(mask, np.eye(4), 26)] == [4]
    assert [len(one.voxels) for one in pieces_of(mask, np.eye(4), 6)] == [2, 1, 1]


@pytest.mark.parametrize(("connectivity", "kind"), [(6, 1), (26, 3)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_pieces_are_those_of_an_independent_labeling(connectivity, kind, order):
    mask = np.asarray(np.random.default_rng(4).random((9, 8, 7)) < 0.18, order=order)
    structure = ndimage.generate_binary_structure(3, kind)
    expected, count = ndimage.label(np.ascontiguousarray(mask), structure)
    pieces = pieces_of(mask, np.eye(4), connectivity)
    assert [piece.number for piece in pieces] == list(range(1, count + 1))
    for piece in pieces:
        np.testing.assert_array_equal(piece.voxels, np.argwhere(expected == piece.number))
        np.testing.assert_allclose(piece.center, piece.voxels.mean(axis=0))


def test_a_mask_without_voxels_has_no_pieces():
    assert pieces_of(np.zeros((4, 5, 6), bool), np.eye(4)) == []


def test_a_voxel_of_two_lesions_is_one_voxel():
    own = box_lesions([(0, 0, 2, 2), (1, 1, 2, 2)])
    assert voxels_of(own, SHAPE).tolist() == [0, 1, 8, 9, 10, 17, 18]
    assert voxels_of([], SHAPE).tolist() == []


def test_the_surest_chooses_first():
    reference = np.array([[0.0, 0, 0], [4, 0, 0]])
    predicted = np.array([[1.0, 0, 0], [2.5, 0, 0], [40, 0, 0]])
    pairs = match_by_rank(reference, predicted, np.array([0.5, 0.9, 1.0]))
    assert [(one.reference, one.predicted, one.distance) for one in pairs] == [
        (1, 1, 1.5),
        (0, 0, 1.0),
    ]
    (alone,) = match_by_rank(reference[:1], predicted, np.array([0.5, 0.9, 1.0]))
    assert alone.predicted == 1, "the nearer one comes too late"
    assert match_by_rank(reference[:0], predicted, np.ones(3)) == []
    assert match_by_rank(reference, predicted[:0], np.ones(0)) == []
