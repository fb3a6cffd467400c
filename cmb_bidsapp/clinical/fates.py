"""Outcome and place of a participant's microbleeds at one follow-up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum

from cmb_bidsapp.clinical.mars import GROUPS, MarsPlace, place_of
from cmb_bidsapp.clinical.tracks import KEPT, UNSEEN, TrackRow, known_before
from cmb_bidsapp.lesions.lesion import COUNTED, UNASSIGNED, Lesion, Status
from cmb_bidsapp.lesions.presence import Change, State


class TrackFate(StrEnum):
    """Outcome of a microbleed at a follow-up; the name of the column that counts it."""

    NEW = "new"
    NEW_SINCE_BASELINE = "new_since_baseline"
    BELOW_THRESHOLD = "below_threshold"
    GONE = "gone"


#: States in which a microbleed that was found before is still known.
STAYING = (State.BELOW_THRESHOLD, *UNSEEN)
#: What microbleeds of a fate are told apart by: groups of the MARS form, and grades.
KINDS = (*GROUPS, UNASSIGNED, *COUNTED)


def fates(
    tracks: Sequence[TrackRow], session: str, baseline: str
) -> Mapping[TrackFate, Sequence[TrackRow]]:
    """Microbleeds of a follow-up by outcome; a new one may be in two groups.

    What was found since the baseline stays new since then, whether or not it reaches the threshold
    now: only what is gone does not.

    Parameters
    ----------
    tracks
        Rows of all tracks, sessions in their order.
    session, baseline
        Names of the follow-up, and of the session it is compared with.
    """
    here = [row for row in tracks if row.session_id == session]
    unseen = {
        row.track_id for row in tracks if row.session_id == baseline and row.state is State.NOT_YET
    }
    before = {row.track_id for row in known_before(tracks, session)}
    found = [row for row in here if row.state is State.PRESENT]
    return {
        TrackFate.NEW: [row for row in found if row.change is Change.NEW],
        TrackFate.NEW_SINCE_BASELINE: [
            row
            for row in here
            if row.track_id in unseen
            and (row.state is State.PRESENT or (row.track_id in before and row.state in STAYING))
        ],
        TrackFate.BELOW_THRESHOLD: [row for row in here if row.state is State.BELOW_THRESHOLD],
        TrackFate.GONE: [row for row in here if row.state is State.GONE and row.track_id in before],
    }


def place_of_track(row: TrackRow) -> MarsPlace:
    """Where a microbleed counts in the MARS form."""
    return place_of(Lesion(status=Status.KEPT, **{name: getattr(row, name) for name in KEPT}))


def by_kind(rows: Sequence[TrackRow]) -> dict[str, int]:
    """Number of microbleeds of each of :data:`KINDS`."""
    found = Counter(place_of_track(row).group for row in rows)
    found += Counter(str(row.grade) for row in rows)
    return {kind: found[kind] for kind in KINDS}
