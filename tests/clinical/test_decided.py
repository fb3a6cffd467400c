"""Tracks after readers' decisions on the lesions, without images."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmb_bidsapp.bids.protocol import Protocol, SequenceKind
from cmb_bidsapp.bids.typed import decode, encode
from cmb_bidsapp.clinical.decided import Decided, decide_tracks, lesions_of
from cmb_bidsapp.clinical.tracks import TrackRow, track_rows
from cmb_bidsapp.lesions.lesion import Grade, Lesion, Reason, Region, Side, Status
from cmb_bidsapp.lesions.longitudinal import TrackPoint
from cmb_bidsapp.lesions.presence import Change, Evidence, State, histories_of

NAMES = ("ses-A", "ses-B", "ses-C")
GRE, SWI = (Protocol(sequence=kind) for kind in (SequenceKind.T2STARW, SequenceKind.SWI))
PLACE = np.array([1.0, 2.0, 3.0])
LESION = Lesion(
    lesion_id=1,
    status=Status.KEPT,
    grade=Grade.DEFINITE,
    region=Region.LOBAR,
    mars_region="frontal",
    side=Side.LEFT,
    diameter=4.0,
    probability_max=0.999,
    calibrated_probability=0.8,
)
REJECTED = replace(LESION, status=Status.REJECTED, reason=Reason.READER, calibrated_probability=0)
POSSIBLE = replace(LESION, reason=Reason.READER, grade=Grade.POSSIBLE, calibrated_probability=1)
FOUND, DARK, NOTHING, OUTSIDE = "found", (0.9, 0.3), (0.1, 0.0), (np.nan, np.nan)


def rows_of(*seen, protocols=(GRE,) * 3):
    """One microbleed in three sessions as the algorithm has it."""
    track = [
        TrackPoint(lesion=0 if one == FOUND else None, place=PLACE, covered=True) for one in seen
    ]
    evidence = {
        (0, n): Evidence(*((0.999, 0.4) if one == FOUND else one)) for n, one in enumerate(seen)
    }
    (history,) = histories_of([track], evidence, protocols)
    rows = track_rows([history], {name: [LESION] for name in NAMES}, NAMES)
    return [decode(TrackRow, encode(row)) for row in rows]


def sessions(*lesions, protocols=(GRE,) * 3):
    return [
        Decided(name=name, lesions=own, protocol=protocol)
        for name, own, protocol in zip(NAMES, lesions, protocols, strict=True)
    ]


def decided(rows, *lesions, **options):
    found = decide_tracks(rows, sessions(*lesions, **options), NAMES)
    return [(row.state, row.change) for row in found]


@given(
    st.lists(st.sampled_from([FOUND, DARK, NOTHING, OUTSIDE]), min_size=3, max_size=3).filter(
        lambda seen: FOUND in seen
    ),
    st.lists(st.sampled_from([GRE, SWI]), min_size=3, max_size=3),
)
def test_without_decisions_tracks_are_as_they_were(seen, protocols):
    rows = rows_of(*seen, protocols=protocols)
    own = sessions([LESION], [LESION], [LESION], protocols=protocols)
    assert decide_tracks(rows, own, NAMES) == rows


def test_a_no_at_baseline_makes_what_comes_again_new():
    rows = rows_of(FOUND, NOTHING, FOUND)
    assert decided(rows, [REJECTED], [], [LESION]) == [
        (State.NOT_YET, None),
        (State.NOT_YET, None),
        (State.PRESENT, Change.NEW),
    ]


def test_a_no_later_is_gone_and_says_nothing_of_other_sessions():
    rows = rows_of(FOUND, DARK, FOUND)
    assert decided(rows, [LESION], [], [REJECTED]) == [
        (State.PRESENT, Change.BASELINE),
        (State.BELOW_THRESHOLD, None),
        (State.GONE, None),
    ]


def test_a_no_where_only_another_protocol_shows_it_cannot_be_compared():
    protocols = (SWI, GRE, GRE)
    rows = rows_of(FOUND, FOUND, NOTHING, protocols=protocols)
    assert [row.state for row in rows][2] is State.GONE
    assert decided(rows, [LESION], [REJECTED], [], protocols=protocols) == [
        (State.PRESENT, Change.BASELINE),
        (State.NOT_COMPARABLE, None),
        (State.NOT_COMPARABLE, None),
    ]


def test_what_no_session_counts_any_more_is_left_out():
    assert decided(rows_of(NOTHING, FOUND, NOTHING), [], [REJECTED], []) == []


def test_grade_and_probability_are_those_of_the_reader_and_the_number_stays():
    rows = [replace(row, track_id=7) for row in rows_of(FOUND, FOUND, NOTHING)]
    found = decide_tracks(rows, sessions([POSSIBLE], [REJECTED], []), NAMES)
    assert {row.track_id for row in found} == {7}
    assert [row.grade for row in found] == [Grade.POSSIBLE] * 3
    assert [row.calibrated_probability for row in found] == [1, 0, None]
    assert [row.lesion_id for row in found] == [1, None, None]


def test_a_session_is_what_its_tracks_know_where_its_table_cannot_be_read():
    rows = rows_of(FOUND, FOUND, NOTHING)
    own = [lesions_of(rows, "ses-A"), [LESION], []]
    assert decide_tracks(rows, sessions(*own), NAMES)[0].grade is Grade.DEFINITE


@pytest.mark.parametrize("table", [[], [replace(LESION, status=Status.REJECTED)]])
def test_tracks_of_other_lesions_are_refused(table):
    with pytest.raises(ValueError, match="track 1 has lesion 1 of ses-B"):
        decided(rows_of(FOUND, FOUND, FOUND), [LESION], table, [LESION])


def test_tracks_that_lack_a_session_are_refused():
    with pytest.raises(ValueError, match="track 1 has no row of ses-C"):
        decided(rows_of(FOUND, FOUND, FOUND)[:2], [LESION], [LESION], [LESION])
