"""What a participant's page is told of microbleeds through time."""

import numpy as np
import pytest

from cmb_bidsapp.bids.tables import write_table
from cmb_bidsapp.clinical.follow_up import CHANGE_COLUMNS
from cmb_bidsapp.clinical.tracks import TRACK_COLUMNS, TrackRow
from cmb_bidsapp.lesions.presence import Change, State
from cmb_bidsapp.report.changes import (
    FOR_CHANGES,
    ReportedChanges,
    TrackView,
    badge,
    read_changes,
)
from cmb_bidsapp.report.closeups import SIDE
from cmb_bidsapp.report.pages import SizeBudget
from cmb_bidsapp.report.painting import save
from tests.report.heads import finish_session


def row(state=State.PRESENT, change=None, **more):
    values = {"track_id": 1, "session_id": "ses-B", "since": "ses-A", **more}
    return TrackRow(state=state, change=change, **values)


@pytest.mark.parametrize(
    ("state", "change", "text"),
    [
        (State.PRESENT, Change.BASELINE, "baseline"),
        (State.PRESENT, Change.PERSISTENT, "since ses-A"),
        (State.PRESENT, Change.ALREADY_THERE, "since ses-A, below threshold until now"),
        (State.PRESENT, Change.OPEN, "new or not: open"),
        (State.BELOW_THRESHOLD, None, "below threshold"),
        (State.GONE, None, "gone"),
    ],
)
def test_a_badge_says_what_a_session_has_of_a_microbleed(state, change, text):
    assert badge(row(state, change)) == text


def test_a_badge_of_a_new_one_says_where_it_was_below_the_threshold():
    assert badge(row(change=Change.NEW, since="ses-B")) == "new"
    assert badge(row(change=Change.NEW)) == "new; below the threshold in ses-A"


def test_a_session_is_looked_at_with_the_one_before_and_what_is_new_with_the_baseline():
    changes = ReportedChanges(
        rows=(), tracks=(), order=("A", "C", "B"), known={}, notes=(), left_out=0
    )
    found = [changes.beside(f"ses-{label}") for label in "ACBX"]
    assert found == ["ses-C", "ses-A", "ses-C", None]
    assert changes.partner(row(change=Change.NEW)) == "ses-A"
    assert changes.partner(row(State.GONE)) == "ses-C"
    alone = ReportedChanges(rows=(), tracks=(), order=("A",), known={}, notes=(), left_out=0)
    assert alone.beside("ses-A") is None


def test_a_track_is_looked_at_where_it_first_changes():
    there = row(change=Change.BASELINE, session_id="ses-A")
    stays, gone = row(change=Change.PERSISTENT), row(State.GONE, session_id="ses-C")
    assert not TrackView([there, stays], None).changed
    assert TrackView([there, stays], None).turn == stays
    assert TrackView([there, stays, gone], None).changed
    assert TrackView([there, gone, gone], None).turn == gone


@pytest.fixture
def files(tmp_path):
    """Two sessions; a microbleed that stays, and one that is new."""
    files = finish_session(tmp_path, session="A")
    whole = type(files)(files.out_dir, files.participant, None)
    tracks = [
        {"track_id": 1, "session_id": "ses-A", "state": "present", "change": "baseline"},
        {"track_id": 1, "session_id": "ses-B", "state": "present", "change": "persistent"},
        {"track_id": 2, "session_id": "ses-A", "state": "not-yet"},
        {"track_id": 2, "session_id": "ses-B", "state": "present", "change": "new", "lesion_id": 7},
    ]
    place = {"grade": "definite", "region": "deep", "mars_region": "thalamus", "side": "left"}
    write_table(whole.tracks, list(TRACK_COLUMNS), [{**row, **place} for row in tracks])
    change = {
        **{"session_id": "ses-B", "baseline_session_id": "ses-A", "registration": "good"},
        **{"protocol_changed": False, "processing_changed": False, "aria_h": "mild"},
        **{"persistent": 1, "new": 1, "already_there": 0, "open": 0},
        **{"below_threshold": 0, "gone": 0},
    }
    write_table(whole.changes, list(CHANGE_COLUMNS), [change])
    return whole


def test_what_changed_comes_first(files):
    changes = read_changes(files, SizeBudget(1000))
    assert [track.number for track in changes.tracks] == [2, 1]
    assert list(changes.order) == ["A", "B"]
    assert changes.of_candidate("ses-B", "7").change is Change.NEW
    assert changes.of_candidate("ses-B", "8") is None
    assert changes.numbered("ses-B", [7]) == [(2, 7)]
    assert changes.numbered("ses-B", [7, 8]) == []


def test_pictures_take_a_part_of_the_room(files):
    noise = np.random.default_rng(0).integers(0, 255, (20, 40, 3), np.uint8)
    save(noise, files.figure("track001"))
    small, large = SizeBudget(2000), SizeBudget(int(2000 / FOR_CHANGES))
    assert [track.picture for track in read_changes(files, small).tracks] == [None, None]
    assert small.left == 2000
    tracks = read_changes(files, large).tracks
    assert tracks[0].picture is None
    assert tracks[1].columns == 40 / SIDE
    assert large.left == int(2000 / FOR_CHANGES) - len(tracks[1].picture)


def test_one_session_has_no_changes_and_a_broken_table_is_told(files):
    files.tracks.write_text("track_id\n1\n")
    (note,) = read_changes(files, SizeBudget(1000)).notes
    assert "run the participant level again" in note
    files.tracks.unlink()
    nothing = read_changes(files, SizeBudget(1000))
    assert (list(nothing.tracks), list(nothing.notes)) == ([], [])
