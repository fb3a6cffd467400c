"""Microbleeds through time, on made-up places."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from cmb_bidsapp.bids.protocol import Protocol, SequenceKind
from cmb_bidsapp.lesions.longitudinal import (
    REACH_MM,
    Visit,
    pair,
    protocol_changes,
    tracks,
)
from cmb_bidsapp.preprocess.resampling import IDENTITY, Grid

UP = np.array([0.0, 0.0, 1.0])
A, B, C = (10.0, 20.0, 30.0), (40.0, 20.0, 30.0), (40.0, 60.0, 70.0)


def grid_of(thick=1.0, shape=(100, 100, 100)):
    slices = int(shape[2] / thick)
    return Grid((shape[0], shape[1], slices), np.diag([1.0, 1.0, thick, 1.0]))


def beside(place, *gap):
    return tuple(np.add(place, gap))


def visit(*centers, thick=1.0, pull=IDENTITY, grid=None):
    return Visit(np.reshape(centers, (-1, 3)), grid or grid_of(thick), pull)


def lesions(made):
    return [[seen.lesion for seen in track] for track in made]


points = st.lists(st.tuples(*[st.floats(0, 60, allow_nan=False)] * 3), max_size=8, unique=True).map(
    lambda found: np.reshape(found, (-1, 3))
)


@given(points, points)
def test_lesions_are_paired_one_to_one_and_within_reach(known, found):
    partners = pair(known, found, UP, 1.0)
    assert len(partners) == len(known)
    taken = [partner for partner in partners if partner is not None]
    assert len(set(taken)) == len(taken)
    for place, partner in zip(known, partners, strict=True):
        if partner is not None:
            assert np.linalg.norm(place - found[partner]) < REACH_MM


@given(points, points, st.randoms())
def test_the_order_of_lesions_does_not_matter(known, found, random):
    partners = pair(known, found, UP, 1.0)
    order = random.sample(range(len(found)), len(found))
    shuffled = pair(known, found[order], UP, 1.0)

    def total(chosen, places):
        """What is minimized; equally good choices may differ."""
        alone = sum(partner is None for partner in chosen)
        gaps = [
            np.linalg.norm(known[i] - places[partner])
            for i, partner in enumerate(chosen)
            if partner is not None
        ]
        return sum(gaps) + alone * REACH_MM

    assert total(partners, found) == pytest.approx(total(shuffled, found[order]))


@given(points)
def test_identical_sessions_are_as_many_tracks_as_lesions(found):
    made = tracks([visit(*found), visit(*found), visit(*found)])
    assert len(made) == len(found)
    for one, two, three in lesions(made):
        assert one is not None
        for partner in (two, three):
            np.testing.assert_array_equal(found[partner], found[one])


@given(points, points, points)
def test_every_lesion_of_every_session_is_in_one_track(one, two, three):
    found = (one, two, three)
    made = tracks([visit(*places) for places in found])
    seen = sorted(
        (order, entry.lesion)
        for track in made
        for order, entry in enumerate(track)
        if entry.lesion is not None
    )
    assert seen == [(order, n) for order, places in enumerate(found) for n in range(len(places))]
    assert {len(track) for track in made} <= {3}


def test_a_near_pair_is_not_parted_so_that_two_more_find_partners():
    known = np.array([[0.0, 0, 0], [4.5, 0, 0]])
    found = np.array([[0.1, 0, 0], [-4.4, 0, 0]])
    # Two pairs of 4.4 and 4.5 mm would be possible.
    assert pair(known, found, UP, 1.0) == [0, None]


def test_across_thick_slices_a_center_may_be_a_slice_away_in_plane_it_may_not():
    here, above, along = np.array([[A], [beside(A, 0, 0, 6)], [beside(A, 6, 0, 0)]])
    assert pair(here, above, UP, 6.5) == [0]
    assert pair(here, above, UP, 3.0) == [None]
    assert pair(here, along, UP, 6.5) == [None]


def test_a_lesion_that_is_missing_and_found_again_keeps_its_track():
    (track,) = tracks([visit(A), visit(), visit(A)])
    assert [seen.lesion for seen in track] == [0, None, 0]
    np.testing.assert_array_equal(track[1].place, A)


def test_sessions_before_the_first_that_finds_a_lesion_know_its_place():
    made = tracks([visit(A), visit(B, A), visit(A, B, C)])
    assert lesions(made) == [[0, 1, 0], [None, 0, 1], [None, None, 2]]
    np.testing.assert_array_equal(made[2][0].place, C)


def test_what_an_image_does_not_reach_is_not_covered():
    low = grid_of(shape=(100, 100, 50))
    high = beside(A, 0, 0, 40)
    made = tracks([visit(A, grid=low), visit(A, high), visit(A, grid=low)])
    assert [[seen.covered for seen in track] for track in made] == [
        [True, True, True],
        [False, True, False],
    ]


def test_sessions_are_compared_in_the_world_of_the_first():
    pull = IDENTITY.copy()
    pull[:3, :3] = Rotation.from_euler("xyz", (4, -6, 9), degrees=True).as_matrix()
    pull[:3, 3] = (3, -8, 5)
    moved = np.array([A, B]) @ pull[:3, :3].T + pull[:3, 3]
    later = visit(*moved, pull=pull, thick=5.0)
    made = tracks([visit(A, B), later])
    assert lesions(made) == [[0, 0], [1, 1]]
    for track, place in zip(made, (A, B), strict=True):
        np.testing.assert_allclose(track[1].place, place)
        assert track[1].distance == pytest.approx(0, abs=1e-9)
    # Slices that lie askew: across them is where they are in the first session.
    np.testing.assert_allclose(pull[:3, :3] @ later.across, UP, atol=1e-12)
    np.testing.assert_array_equal(later.shows(np.array([A, (-500, 0, 0)])), [True, False])


def test_distances_are_told_to_the_last_known_place():
    one, two, three = (beside(A, shift, 0, 0) for shift in (0, 3, 4))
    (track,) = tracks([visit(one), visit(two), visit(three)])
    assert np.isnan(track[0].distance)
    assert [seen.distance for seen in track[1:]] == pytest.approx([3, 1])


def test_the_thickest_slices_so_far_say_how_well_a_place_is_known():
    above = beside(A, 0, 0, 6)
    assert len(tracks([visit(A, thick=6.5), visit(above)])) == 1
    assert len(tracks([visit(A), visit(above)])) == 2


PROTOCOL = Protocol(
    sequence=SequenceKind.T2STARW, field_strength=3.0, echo_time=0.02, slice_distance=6.5
)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({}, []),
        ({"field_strength": 2.893, "echo_time": 0.0205, "slice_distance": 6.3}, []),
        ({"sequence": SequenceKind.SWI}, ["sequence T2starw -> swi"]),
        ({"field_strength": 1.5}, ["field strength 3 -> 1.5 T"]),
        ({"echo_time": 0.04}, ["echo time 0.02 -> 0.04 s"]),
        ({"slice_distance": 1.75}, ["slice distance 6.5 -> 1.75 mm"]),
    ],
)
def test_what_changed_of_a_protocol_is_said(other, said):
    changed, unknown = protocol_changes(PROTOCOL, replace(PROTOCOL, **other))
    assert (changed, unknown) == (said, [])


def test_what_is_not_known_of_a_protocol_is_not_compared():
    unsaid = replace(PROTOCOL, echo_time=None, sequence=SequenceKind.UNKNOWN)
    for pair_ in ((PROTOCOL, unsaid), (unsaid, PROTOCOL)):
        assert protocol_changes(*pair_) == ([], ["sequence", "echo time"])
