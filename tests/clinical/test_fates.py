"""What became of microbleeds at a follow-up."""

import pytest

from cmb_bidsapp.clinical.fates import KINDS, TrackFate, by_kind, fates, place_of_track
from cmb_bidsapp.clinical.tracks import TrackRow
from cmb_bidsapp.lesions.lesion import Grade, Region, Side
from cmb_bidsapp.lesions.presence import Change, State


def track(number, *states, region="thalamus"):
    """Rows of a microbleed in ``ses-1``, ``ses-2``, ...: state, or change where it is there."""
    return [
        TrackRow(
            track_id=number,
            session_id=f"ses-{session}",
            state=State.PRESENT if isinstance(one, Change) else one,
            change=one if isinstance(one, Change) else None,
            grade=Grade.DEFINITE,
            region=Region.DEEP if region == "thalamus" else Region.LOBAR,
            mars_region=region,
            side=Side.LEFT,
        )
        for session, one in enumerate(states, 1)
    ]


@pytest.fixture
def rows():
    return [
        *track(1, Change.BASELINE, Change.PERSISTENT, State.GONE),
        *track(2, State.NOT_YET, Change.NEW, Change.PERSISTENT),
        *track(3, State.NOT_YET, State.NOT_YET, Change.NEW, region="frontal"),
        *track(4, Change.BASELINE, State.BELOW_THRESHOLD, State.GONE),
        # Below the threshold from the start: nobody had counted it, so it is not lost.
        *track(5, State.BELOW_THRESHOLD, State.GONE, State.GONE),
    ]


def numbers(rows, session):
    found = fates(rows, session, "ses-1")
    return {fate.value: [row.track_id for row in own] for fate, own in found.items()}


def test_what_is_new_since_the_last_session_is_told_from_what_is_new_since_baseline(rows):
    assert numbers(rows, "ses-2") == {
        "new": [2],
        "new_since_baseline": [2],
        "below_threshold": [4],
        "gone": [],
    }
    assert numbers(rows, "ses-3") == {
        "new": [3],
        "new_since_baseline": [2, 3],
        "below_threshold": [],
        "gone": [1, 4],
    }


@pytest.mark.parametrize(
    ("state", "stays"),
    [
        (State.BELOW_THRESHOLD, True),
        (State.NOT_COVERED, True),
        (State.NOT_COMPARABLE, True),
        (State.GONE, False),
    ],
)
def test_what_was_new_stays_so_until_it_is_gone(state, stays):
    rows = [
        *track(1, State.NOT_YET, Change.NEW, state),
        # Nobody has found it yet.
        *track(2, State.NOT_YET, State.BELOW_THRESHOLD, State.BELOW_THRESHOLD),
    ]
    assert numbers(rows, "ses-2")["new_since_baseline"] == [1]
    assert numbers(rows, "ses-3")["new_since_baseline"] == ([1] if stays else [])


def test_kinds_are_groups_and_grades_zeros_among_them(rows):
    counts = by_kind(fates(rows, "ses-3", "ses-1")[TrackFate.NEW_SINCE_BASELINE])
    assert set(counts) == set(KINDS)
    assert {kind: count for kind, count in counts.items() if count} == {
        "deep": 1,
        "lobar": 1,
        "definite": 2,
    }


def test_a_track_lies_where_its_lesion_does():
    (row,) = track(1, Change.NEW)
    place = place_of_track(row)
    assert (place.group, place.region, place.side) == ("deep", "thalamus", "left")
