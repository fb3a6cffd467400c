"""Microbleeds through time as a reader has them: as in the tables, and at once on the page."""

import numpy as np
import pytest

from cmb_bidsapp.bids.protocol import Protocol
from cmb_bidsapp.clinical.tracks import track_rows
from cmb_bidsapp.lesions.lesion import Grade, Lesion, Region, Side, Status
from cmb_bidsapp.lesions.longitudinal import TrackPoint
from cmb_bidsapp.lesions.presence import Evidence, State, history_of
from cmb_bidsapp.report.changes import badge
from tests.clinical.test_follow_up import SESSIONS, row_of
from tests.report.reviewing import write_page
from tests.report.test_review_counts import FOLLOW, all_found, tracks_data

GRE = Protocol(sequence="GRE")
LESION = Lesion(
    lesion_id=1,
    status=Status.KEPT,
    grade=Grade.DEFINITE,
    region=Region.LOBAR,
    mars_region="frontal",
    side=Side.LEFT,
)
#: Columns of the changes that the page counts as well.
COUNTED = ("persistent", "new", "already_there", "open", "new_since_baseline", "known")


@pytest.fixture
def bare(tmp_path, open_page):
    """A page whose functions are called."""
    return open_page(write_page(tmp_path))


def rows_of(*there):
    """A microbleed that has these states in the three sessions."""
    points = [
        TrackPoint(0 if one is State.PRESENT else None, np.zeros(3), covered=True) for one in there
    ]
    history = history_of(points, [Evidence()] * 3, there, [GRE] * 3)
    return list(track_rows([history], {name: [LESION] for name in SESSIONS}, SESSIONS))


@pytest.mark.parametrize("first", [State.NOT_YET, State.BELOW_THRESHOLD, State.NOT_COVERED])
@pytest.mark.parametrize("second", [State.NOT_YET, State.BELOW_THRESHOLD, State.NOT_COMPARABLE])
def test_what_is_new_is_that_of_the_tables_whatever_came_before(bare, first, second):
    tracks = rows_of(first, second, State.PRESENT)
    counts, rows = bare.evaluate(FOLLOW, [tracks_data(tracks), all_found(tracks)])
    assert [(r["state"], r["change"]) for r in rows] == [(r.state, r.change) for r in tracks]
    own = vars(row_of("ses-C", tracks))
    assert {name: counts["ses-C"][name] for name in COUNTED} == {
        name: own[name] for name in COUNTED
    }
    assert bare.evaluate("row => cmbTracks.badge(row)", rows[-1]) == badge(tracks[-1])
