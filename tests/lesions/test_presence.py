"""What is at the place of a microbleed that a session does not count, on made-up images."""

from dataclasses import replace

import numpy as np
import pytest

from cmb_bidsapp.bids.protocol import Protocol, SequenceKind
from cmb_bidsapp.lesions.longitudinal import TrackPoint
from cmb_bidsapp.lesions.presence import (
    SEEN,
    Change,
    Evidence,
    State,
    VisitImages,
    histories_of,
    look,
)
from cmb_bidsapp.preprocess.resampling import Grid

GRID = Grid((40, 40, 12), np.diag([1.0, 1.0, 3.0, 1.0]))
CENTER = (20, 20, 6)
PLACE = np.array([[20.0, 20.0, 18.0]])
RIGHT = np.array([[3.0, 0, 0]])
RADIUS = 2.0
TISSUE, NOISE = 100.0, 4.0

GRE = Protocol(
    sequence=SequenceKind.T2STARW, field_strength=3.0, echo_time=0.02, slice_distance=3.0
)
SWI = replace(GRE, sequence=SequenceKind.SWI)


def scan(contrast=0.0, probability=0.0, *, at=CENTER, seed=0):
    """Noisy tissue with a dark spot of 4 mm, and what the network says in its middle."""
    image = TISSUE + np.random.default_rng(seed).normal(0, NOISE, GRID.shape)
    x, y, z = np.indices(GRID.shape)
    spot = ((x - at[0]) ** 2 + (y - at[1]) ** 2 <= RADIUS**2) & (z == at[2])
    image[spot] *= 1 - contrast
    seen = np.zeros(GRID.shape, np.float32)
    seen[at] = probability
    return VisitImages(
        t2star=image.astype(np.float32),
        brain=np.ones(GRID.shape, bool),
        probability=seen,
        counted=np.zeros(GRID.shape, np.int16),
        grid=GRID,
    )


def counted(of, number=1, at=CENTER):
    """The same scan, the voxels around ``at`` a counted lesion."""
    marked = of.counted.copy()
    marked[at[0] - 1 : at[0] + 2, at[1] - 1 : at[1] + 2, at[2]] = number
    return replace(of, counted=marked)


def seen_in(of, place=PLACE, own=0):
    (evidence,) = look(of, place, [RADIUS], [own])
    return evidence


def states(*sessions, protocols=None):
    """States and changes of one microbleed: of each session the scan, and whether it is found."""
    track = [
        TrackPoint(lesion=0 if found else None, place=PLACE[0], covered=True)
        for _, found in sessions
    ]
    evidence = {(0, n): seen_in(image) for n, (image, _) in enumerate(sessions)}
    (history,) = histories_of([track], evidence, protocols or [GRE] * len(track))
    return [(one.state, one.change) for one in history]


CLEAR = (scan(0.4, 0.998), True)
FAINT = (scan(0.3, 0.9, seed=1), False)
DARK = (scan(0.3, 0.0, seed=2), False)
NOTHING = (scan(0.0, 0.0, seed=3), False)


def test_found_in_every_session_is_present():
    assert states(CLEAR, CLEAR) == [
        (State.PRESENT, Change.BASELINE),
        (State.PRESENT, Change.PERSISTENT),
    ]


@pytest.mark.parametrize("there", [FAINT, DARK])
def test_what_is_found_and_then_under_the_threshold_is_not_lost(there):
    assert states(CLEAR, there) == [
        (State.PRESENT, Change.BASELINE),
        (State.BELOW_THRESHOLD, None),
    ]


@pytest.mark.parametrize("there", [FAINT, DARK])
def test_what_was_under_the_threshold_and_is_found_now_is_not_new(there):
    assert states(there, CLEAR) == [
        (State.BELOW_THRESHOLD, None),
        (State.PRESENT, Change.ALREADY_THERE),
    ]


def test_where_nothing_dark_is_left_it_is_gone():
    assert states(CLEAR, NOTHING)[1] == (State.GONE, None)


def test_where_nothing_dark_was_it_is_new():
    assert states(NOTHING, NOTHING, CLEAR, CLEAR) == [
        (State.NOT_YET, None),
        (State.NOT_YET, None),
        (State.PRESENT, Change.NEW),
        (State.PRESENT, Change.PERSISTENT),
    ]


@pytest.mark.parametrize("there", [FAINT, DARK])
def test_what_comes_up_under_the_threshold_is_new_where_it_is_found(there):
    assert states(NOTHING, there, CLEAR, CLEAR) == [
        (State.NOT_YET, None),
        (State.BELOW_THRESHOLD, None),
        (State.PRESENT, Change.NEW),
        (State.PRESENT, Change.PERSISTENT),
    ]


def test_the_first_session_that_can_show_it_decides():
    assert states(FAINT, NOTHING, CLEAR)[2][1] is Change.ALREADY_THERE
    # What could not be compared or is not in the image tells nothing.
    protocols = [SWI, GRE, GRE, GRE]
    assert states(NOTHING, NOTHING, FAINT, CLEAR, protocols=protocols) == [
        (State.NOT_COMPARABLE, None),
        (State.NOT_YET, None),
        (State.BELOW_THRESHOLD, None),
        (State.PRESENT, Change.NEW),
    ]
    outside = replace(scan(), brain=np.zeros(GRID.shape, bool))
    assert states((outside, False), FAINT, NOTHING, CLEAR)[3][1] is Change.ALREADY_THERE


def test_gone_and_back_again_is_persistent():
    assert [state for state, _ in states(CLEAR, NOTHING, CLEAR)] == [
        State.PRESENT,
        State.GONE,
        State.PRESENT,
    ]
    assert states(CLEAR, NOTHING, CLEAR)[2][1] is Change.PERSISTENT


def test_outside_the_image_it_is_not_covered_and_what_comes_then_is_open():
    track = [
        TrackPoint(lesion=None, place=PLACE[0], covered=False),
        TrackPoint(lesion=0, place=PLACE[0], covered=True),
    ]
    evidence = {(0, 1): seen_in(CLEAR[0])}
    (history,) = histories_of([track], evidence, [GRE, GRE])
    assert [(one.state, one.change) for one in history] == [
        (State.NOT_COVERED, None),
        (State.PRESENT, Change.OPEN),
    ]


def test_outside_the_brain_mask_it_is_not_covered():
    image = scan()
    brain = image.brain.copy()
    brain[:, :22] = False
    assert states(CLEAR, (replace(image, brain=brain), False))[1][0] is State.NOT_COVERED


def test_what_only_another_protocol_shows_is_neither_gone_nor_new():
    assert states(CLEAR, NOTHING, protocols=[SWI, GRE])[1] == (State.NOT_COMPARABLE, None)
    assert states(NOTHING, CLEAR, protocols=[GRE, SWI]) == [
        (State.NOT_COMPARABLE, None),
        (State.PRESENT, Change.OPEN),
    ]


def test_what_another_protocol_shows_too_is_below_the_threshold():
    assert states(CLEAR, FAINT, protocols=[SWI, GRE])[1][0] is State.BELOW_THRESHOLD


def test_one_session_of_the_same_protocol_is_enough():
    """Found on SWI and on GRE; the GRE between them can be compared with that one."""
    protocols = [SWI, GRE, GRE]
    assert states(CLEAR, NOTHING, CLEAR, protocols=protocols)[1][0] is State.GONE


def test_every_microbleed_and_session_has_a_state():
    track = [
        TrackPoint(lesion=None, place=PLACE[0], covered=True),
        TrackPoint(lesion=0, place=PLACE[0], covered=True),
    ]
    (history,) = histories_of([track], {}, [GRE, GRE])
    assert [one.state for one in history] == [State.NOT_COVERED, State.PRESENT]


def test_the_contrast_is_the_share_of_the_signal_that_is_missing():
    assert seen_in(scan(0.4)).contrast == pytest.approx(0.4, abs=0.05)
    assert abs(seen_in(scan(0.0)).contrast) < 0.05


def test_the_registration_may_be_off_by_a_millimeter_and_not_by_five():
    assert seen_in(scan(0.4), PLACE + RIGHT / 3).contrast > 0.3
    assert seen_in(scan(0.4), PLACE + 2 * RIGHT).contrast < 0.1


def test_a_dark_spot_much_fainter_than_the_microbleed_is_none():
    assert states(CLEAR, (scan(0.12, seed=5), False))[1][0] is State.GONE


def test_neighbors_that_are_counted_are_neither_seen_nor_dark():
    beside = (24, 20, 6)
    image = counted(scan(0.5, 1.0, at=beside), 2, beside)
    here = seen_in(image)
    assert (here.probability, abs(here.contrast) < 0.1) == (0, True)
    assert seen_in(image, own=2).probability == 1


def test_at_the_place_itself_a_neighbor_counts():
    assert seen_in(counted(scan(0.5, 1.0), 2)).probability == 1


def test_the_network_is_asked_within_the_reach_of_a_match():
    image = scan(probability=0.9, at=(23, 20, 6))
    assert seen_in(image).probability == pytest.approx(0.9)
    assert seen_in(image, PLACE - RIGHT).probability == 0


def test_just_below_the_lower_threshold_and_not_dark_is_nothing():
    assert states(CLEAR, (scan(0.0, SEEN - 0.01), False))[1][0] is State.GONE
    assert states(CLEAR, (scan(0.0, SEEN), False))[1][0] is State.BELOW_THRESHOLD


@pytest.mark.parametrize("place", [(-1, 0, 0), (0, 0, 36), (0, 41, 0)])
def test_there_is_nothing_to_see_outside_the_image(place):
    seen = seen_in(scan(), np.array([place], float))
    assert np.isnan([seen.probability, seen.contrast]).all()


def test_a_place_at_the_border_of_the_image_is_looked_at():
    seen = seen_in(scan(0.4, 0.3, at=(0, 0, 0)), np.zeros((1, 3)))
    assert seen.probability == pytest.approx(0.3)
    assert seen.contrast > 0.3


def test_evidence_is_unknown_until_looked_at():
    assert np.isnan(Evidence().probability)
