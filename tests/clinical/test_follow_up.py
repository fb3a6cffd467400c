"""Tables of microbleeds through time, from tracks that are written out."""

import numpy as np
import pytest

from cmb_bidsapp.clinical.follow_up import (
    CHANGE_COLUMNS,
    TRACK_COLUMNS,
    change_row,
    notes_of,
    track_rows,
)
from cmb_bidsapp.lesions.lesion import Grade, Lesion, Region, Side, Status
from cmb_bidsapp.lesions.longitudinal import (
    BASELINE,
    FIRST_SHOWN,
    LOST,
    NEW,
    NOT_SHOWN,
    PERSISTENT,
    TrackPoint,
)

PLACE = np.array([1.0, 2.0, 3.0])
SESSIONS = ("ses-A", "ses-B", "ses-C")
#: From 0.5 on, what the network sees is a microbleed in two of five cases.
KNOTS = ((0.5, 0.4), (1.0, 0.4))


def lesion(number, calibrated=0.8):
    return Lesion(
        lesion_id=number,
        status=Status.KEPT,
        grade=Grade.DEFINITE,
        region=Region.DEEP,
        mars_region="thalamus",
        side=Side.LEFT,
        diameter=4.0,
        calibrated_probability=calibrated,
        probability_max=0.9999,
    )


def seen(visit, lesion, change, distance=float("nan")):
    return TrackPoint(visit, lesion, change, PLACE, distance)


TRACKS = (
    (seen(0, 0, BASELINE), seen(1, 1, PERSISTENT, 0.5), seen(2, None, LOST)),
    (seen(1, 0, NEW), seen(2, 0, PERSISTENT, 1.5)),
    (seen(1, 2, FIRST_SHOWN), seen(2, None, NOT_SHOWN)),
    (seen(2, 1, NEW),),
)
LESIONS = (
    [lesion(7)],
    [lesion(1, 0.6), lesion(2), lesion(3)],
    [lesion(1, 0.6), lesion(2, 0.9)],
)
#: By track and session, where it was not found.
HEIGHTS = {
    (0, 2): 0.6,
    (1, 0): 0.1,
    (2, 0): float("nan"),
    (2, 2): float("nan"),
    (3, 0): 0.8,
    (3, 1): 0.2,
}


def row_of(visit, lesions=LESIONS, knots=KNOTS):
    return change_row(TRACKS, visit, lesions, HEIGHTS, knots)


@pytest.mark.parametrize(
    ("visit", "counts"),
    [
        (
            1,
            {
                "count": 3,
                "persistent": 1,
                "new": 1,
                "new_doubtful": 0,
                "lost": 0,
                "lost_doubtful": 0,
                "not_shown": 0,
            },
        ),
        (
            2,
            {
                "count": 2,
                "persistent": 1,
                "new": 1,
                "new_doubtful": 1,
                "lost": 1,
                "lost_doubtful": 1,
                "not_shown": 1,
            },
        ),
    ],
)
def test_a_follow_up_is_counted(visit, counts):
    row = row_of(visit)
    assert {name: row[name] for name in counts} == counts
    assert row["baseline_count"] == 1
    assert set(row) <= set(CHANGE_COLUMNS)


def test_new_since_baseline_are_those_found_now_that_the_baseline_could_have_shown():
    assert row_of(1)["new_since_baseline"] == 1
    assert row_of(2)["new_since_baseline"] == 2
    assert (row_of(2)["aria_h"], row_of(2)["aria_h_code"]) == ("mild", "RDES291")


def test_what_may_have_been_there_before_is_less_likely_new():
    row = row_of(2)
    # Of the second track nothing was there; of the fourth something as likely as 0.4.
    assert row["new_at_least_1_probability"] == pytest.approx(1 - (1 - 0.6) * (1 - 0.5))
    assert row["new_at_least_5_probability"] == 0


def test_without_a_calibration_there_are_no_probabilities():
    bare = [[lesion(1, None) for _ in rows] for rows in LESIONS]
    row = row_of(2, bare, ())
    assert np.isnan(row["new_at_least_1_probability"])
    assert row["aria_h"] == "mild"


def test_rows_of_tracks():
    rows = list(track_rows(TRACKS, SESSIONS, LESIONS, HEIGHTS))
    assert [(row["track_id"], row["session_id"], row["lesion_id"]) for row in rows] == [
        (1, "ses-A", 7),
        (1, "ses-B", 2),
        (1, "ses-C", None),
        (2, "ses-B", 1),
        (2, "ses-C", 1),
        (3, "ses-B", 3),
        (3, "ses-C", None),
        (4, "ses-C", 2),
    ]
    assert all(set(row) <= set(TRACK_COLUMNS) for row in rows)
    assert rows[1]["distance"] == 0.5
    assert [row["x"] for row in rows] == [1.0] * 8


def test_only_new_ones_tell_an_earlier_probability():
    rows = list(track_rows(TRACKS, SESSIONS, LESIONS, HEIGHTS))
    assert {
        k: row["earlier_probability"] for k, row in enumerate(rows) if "earlier_probability" in row
    } == {
        3: 0.1,
        7: 0.8,
    }


def test_the_probability_is_that_of_the_lesion_or_of_its_place():
    rows = list(track_rows(TRACKS, SESSIONS, LESIONS, HEIGHTS))
    assert rows[0]["probability_max"] == 0.9999
    assert rows[2]["probability_max"] == 0.6
    assert "grade" not in rows[2]


def test_tables_of_times_that_cannot_be_read_are_told_once():
    change = {"order": "labels", "registration": "good", "protocol_changed": "false"}
    change["processing_changed"] = "false"
    rows = [change | {"order_note": "scans.tsv cannot be read"}] * 2
    assert notes_of(rows)[0] == "scans.tsv cannot be read"
    assert len(notes_of(rows)) == 2
    assert notes_of([change | {"order_note": "n/a"}]) == notes_of([change]) == notes_of(rows)[1:]
