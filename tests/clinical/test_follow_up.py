"""Counts of follow-ups, from rows of tracks that are written out."""

import numpy as np
import pytest

from cmb_bidsapp.clinical.follow_up import (
    CHANGE_COLUMNS,
    ChangeRow,
    FollowUp,
    change_row,
    known_summary,
    notes_of,
)
from cmb_bidsapp.clinical.tracks import TrackRow
from cmb_bidsapp.lesions.lesion import Grade, Region, Side
from cmb_bidsapp.lesions.presence import Change, State

#: From 0.5 on, what the network sees is a microbleed in two of five cases.
KNOTS = ((0.5, 0.4), (1.0, 0.4))
SESSIONS = ("ses-A", "ses-B", "ses-C")


def row(track, session, state, change=None, probability=0.0, calibrated=None, region="thalamus"):
    return TrackRow(
        track_id=track,
        session_id=session,
        state=state,
        change=change,
        grade=Grade.DEFINITE,
        region=Region.DEEP if region == "thalamus" else Region.LOBAR,
        mars_region=region,
        side=Side.LEFT,
        probability_max=probability,
        calibrated_probability=calibrated,
    )


def found(track, session, change, calibrated=0.8, **more):
    return row(track, session, State.PRESENT, change, 0.9999, calibrated, **more)


TRACKS = [
    found(1, "ses-A", Change.BASELINE),
    found(1, "ses-B", Change.PERSISTENT),
    row(1, "ses-C", State.BELOW_THRESHOLD, probability=0.998),
    row(2, "ses-A", State.NOT_YET, probability=0.1),
    found(2, "ses-B", Change.NEW, 0.6),
    found(2, "ses-C", Change.PERSISTENT, 0.6),
    row(3, "ses-A", State.NOT_COVERED),
    found(3, "ses-B", Change.OPEN),
    row(3, "ses-C", State.NOT_COVERED),
    row(4, "ses-A", State.BELOW_THRESHOLD, probability=0.8),
    row(4, "ses-B", State.NOT_COMPARABLE),
    found(4, "ses-C", Change.ALREADY_THERE, 0.9),
    found(5, "ses-A", Change.BASELINE, region="frontal"),
    row(5, "ses-B", State.GONE, region="frontal"),
    row(5, "ses-C", State.GONE, region="frontal"),
]


def about(session, registration="good", **more):
    told = {"protocol_changed": False, "processing_changed": False, "order": "labels"}
    return FollowUp(
        session_id=session,
        baseline_session_id="ses-A",
        registration=registration,
        **{**told, **more},
    )


def row_of(session, tracks=TRACKS, knots=KNOTS):
    return change_row(about(session), tracks, knots)


@pytest.mark.parametrize(
    ("session", "counts"),
    [
        (
            "ses-B",
            {"count": 3, "persistent": 1, "new": 1, "already_there": 0, "open": 1}
            | {"below_threshold": 0, "gone": 1, "not_covered": 0, "not_comparable": 0},
        ),
        (
            "ses-C",
            {"count": 2, "persistent": 1, "new": 0, "already_there": 1, "open": 0}
            | {"below_threshold": 1, "gone": 1, "not_covered": 1, "not_comparable": 0},
        ),
    ],
)
def test_a_follow_up_is_counted(session, counts):
    told = vars(row_of(session))
    assert {name: told[name] for name in counts} == counts
    assert told["baseline_count"] == 2
    assert list(CHANGE_COLUMNS)[:2] == ["session_id", "baseline_session_id"]
    assert set(told) == set(CHANGE_COLUMNS)


def test_what_is_found_is_the_sum_of_its_changes():
    for session in SESSIONS[1:]:
        told = row_of(session)
        assert told.count == told.persistent + told.new + told.already_there + told.open


def test_new_since_baseline_is_what_nothing_dark_was_there_for():
    assert row_of("ses-B").new_since_baseline == 1
    # The fourth was below the threshold at baseline, the third not in its image.
    assert row_of("ses-C").new_since_baseline == 1
    assert (row_of("ses-C").aria_h, row_of("ses-C").aria_h_code) == ("mild", "RDES291")


def test_what_is_new_since_baseline_keeps_its_probability_below_the_threshold():
    tracks = [
        row(1, "ses-A", State.NOT_YET, probability=0.1),
        found(1, "ses-B", Change.NEW, 0.6),
        row(1, "ses-C", State.BELOW_THRESHOLD, probability=0.9),
    ]
    told = [row_of(session, tracks) for session in ("ses-B", "ses-C")]
    assert [one.new_since_baseline for one in told] == [1, 1]
    assert [one.aria_h for one in told] == ["mild", "mild"]
    assert told[1].new_at_least_1_probability == told[0].new_at_least_1_probability > 0


def test_crossing_the_threshold_is_neither_new_nor_lost():
    tracks = [
        found(1, "ses-A", Change.BASELINE),
        row(1, "ses-B", State.BELOW_THRESHOLD, probability=0.9),
        row(2, "ses-A", State.BELOW_THRESHOLD, probability=0.9),
        found(2, "ses-B", Change.ALREADY_THERE),
    ]
    told = row_of("ses-B", tracks)
    assert (told.new, told.gone, told.aria_h) == (0, 0, "none")
    assert (told.already_there, told.below_threshold, told.known) == (1, 1, 2)


def test_what_may_have_been_a_microbleed_at_baseline_is_less_likely_new():
    suspected = row(2, "ses-A", State.NOT_YET, probability=0.5)
    tracks = [suspected, found(2, "ses-B", Change.NEW, 0.6)]
    assert row_of("ses-B", tracks).new_at_least_1_probability == pytest.approx(0.6 - 0.4)
    assert row_of("ses-B").new_at_least_1_probability == pytest.approx(0.6)
    assert row_of("ses-B").new_at_least_5_probability == 0


def test_what_readers_denied_at_baseline_was_none_whatever_the_network_saw():
    denied = row(2, "ses-A", State.NOT_YET, probability=0.9999, calibrated=0.0)
    tracks = [denied, found(2, "ses-B", Change.NEW, 0.6)]
    assert row_of("ses-B", tracks).new_at_least_1_probability == pytest.approx(0.6)


def test_without_a_calibration_there_are_no_probabilities():
    tracks = [row(1, "ses-A", State.NOT_YET), found(1, "ses-B", Change.NEW, None)]
    told = row_of("ses-B", tracks, ())
    assert np.isnan(told.new_at_least_1_probability)
    assert told.aria_h == "mild"


def test_what_is_known_stays_in_count_category_and_boston_line():
    told = row_of("ses-C")
    # Found: two deep ones; below the threshold and not covered: two more; the lobar one is gone.
    assert (told.known, told.known_deep, told.known_lobar) == (4, 4, 0)
    assert (told.known_category, told.known_boston_deep) == ("strictly deep", True)


def test_a_deep_one_below_the_threshold_does_not_make_the_pattern_lobar():
    tracks = [
        found(1, "ses-A", Change.BASELINE),
        row(1, "ses-B", State.BELOW_THRESHOLD, probability=0.998),
        found(2, "ses-A", Change.BASELINE, region="frontal"),
        found(2, "ses-B", Change.PERSISTENT, region="frontal"),
    ]
    told = row_of("ses-B", tracks)
    assert (told.known_category, told.known_boston_lobar) == ("mixed", 0)


def test_what_a_later_session_finds_is_known_where_it_was_below_the_threshold():
    summary = known_summary(TRACKS, "ses-A")
    assert (summary.count, summary.deep, summary.lobar) == (3, 2, 1)


def test_a_session_that_could_not_be_registered_has_no_counts():
    told = change_row(about("ses-B", "poor"), TRACKS, KNOTS)
    assert (told.compared, told.new, told.known, told.aria_h) == (False, None, None, None)


def test_sessions_without_microbleeds_have_none_new_and_none_gone():
    told = row_of("ses-B", [])
    assert (told.count, told.new, told.gone, told.known) == (0, 0, 0, 0)
    assert (told.known_category, told.aria_h) == ("none", "none")


def changes(**more):
    return [ChangeRow(**vars(about(session, **more))) for session in SESSIONS[1:]]


def test_tables_of_times_that_cannot_be_read_are_told_once():
    told = notes_of(changes(order_note="scans.tsv cannot be read"))
    assert told[0] == "scans.tsv cannot be read"
    assert len(told) == 2
    assert notes_of(changes()) == told[1:]


def test_a_changed_protocol_and_a_failed_registration_are_told():
    (note,) = notes_of(
        [*changes(order="sessions.tsv", protocol_changed=True, protocol_note="3 -> 1.5 T")][:1]
    )
    assert note.startswith("ses-B: the protocol changed (3 -> 1.5 T)")
    poor = about("ses-B", "poor", order="sessions.tsv", mask_dice=0.5, residual=9.0)
    (note,) = notes_of([ChangeRow(**vars(poor))])
    assert "ses-B could not be registered to ses-A (overlap of the brains 0.50" in note
