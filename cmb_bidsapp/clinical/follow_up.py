"""Microbleeds through time as tables: a row per microbleed and session, and one per follow-up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from cmb_bidsapp.bids.tables import describe
from cmb_bidsapp.clinical.aria import NEW_COLUMNS, new_lesions
from cmb_bidsapp.core.defaults import THRESHOLD
from cmb_bidsapp.lesions.lesion import Lesion
from cmb_bidsapp.lesions.longitudinal import (
    BASELINE,
    FIRST_SHOWN,
    LOST,
    NEW,
    NOT_SHOWN,
    PERSISTENT,
    REACH_MM,
    TOLERANCES,
    Track,
    TrackPoint,
)
from cmb_bidsapp.lesions.table import COLUMNS
from cmb_bidsapp.models.calibration import Knots, calibrate

#: From this probability on the network has seen something, if not enough to tell it.
SEEN = THRESHOLD
#: Columns that a track takes over from the lesion tables.
FROM_LESIONS = ("grade", "region", "mars_region", "side", "diameter", "calibrated_probability")
_LEVELS = {
    BASELINE: "found in the first session",
    NEW: "found here, in no session before",
    FIRST_SHOWN: "found here; no session before shows the place",
    PERSISTENT: "found here and in a session before",
    LOST: "found before, not here",
    NOT_SHOWN: "found before; this session does not show the place",
}
TRACK_COLUMNS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "track_id": describe("Number of the microbleed through all sessions of the participant"),
        "session_id": describe("Session"),
        "change": {
            "Description": "What became of the microbleed in this session",
            "Levels": _LEVELS,
        },
        "lesion_id": describe("Its number in the session's lesion table; n/a where not found"),
        "distance": describe(
            f"To its last known place; at most {REACH_MM:g}, across thicker slices one slice", "mm"
        ),
        "x": describe("Where it is, or was last; world of the baseline T2*w, to the right", "mm"),
        "y": describe("Where it is, or was last; world of the baseline T2*w, to the front", "mm"),
        "z": describe("Where it is, or was last; world of the baseline T2*w, upwards", "mm"),
        **{name: COLUMNS[name] for name in FROM_LESIONS},
        "probability_max": describe(
            "Highest CMB probability of the network (not calibrated): of the lesion, or, where it "
            "is not found, at its place"
        ),
        "earlier_probability": describe(
            "Of new ones: highest CMB probability of the network at this place in any session "
            "before; where it is high, the lesion was there and stayed under the threshold"
        ),
    }
)
CHANGE_COLUMNS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "session_id": describe("Session"),
        "baseline_session_id": describe("First session, which it is compared with"),
        "order": describe(
            "What the order of sessions rests on",
            **{
                "sessions.tsv": "acq_time in sub-*_sessions.tsv",
                "scans.tsv": "acq_time of the earliest scan in sub-*_ses-*_scans.tsv",
                "labels": "session labels; no table tells all times",
            },
        ),
        "order_note": describe("Tables of times that are there and could not be read"),
        "days": describe("Since the baseline, where the times are known", "d"),
        "registration": describe(
            "Whether the session may be compared",
            good="yes",
            poor="no: registration to the baseline failed, and nothing is counted",
        ),
        "mask_dice": describe("Overlap of the brain masks after registration, 0 to 1"),
        "residual": describe(
            "Mean distance in the brain between the registration to the baseline and that from it",
            "mm",
        ),
        "rotation": describe("How far the head has turned in the scanner since baseline", "deg"),
        "shift": describe("How far the middle of the brain has moved since baseline", "mm"),
        "protocol_changed": describe(
            "Whether the images were acquired otherwise at baseline or in the session before, so "
            "that a change may be one of the scanner: sequence, field strength (by more than "
            f"{TOLERANCES['field_strength']:g} T), echo time ({TOLERANCES['echo_time']:g} s) or "
            f"slice distance ({TOLERANCES['slice_distance']:g} mm)"
        ),
        "protocol_note": describe("What of the protocol changed, and what cannot be compared"),
        "processing_changed": describe(
            "Whether lesions were found by another model or other decisions than at baseline"
        ),
        "processing_note": describe("What of the processing changed"),
        "baseline_count": describe("Microbleeds at baseline"),
        "count": describe("Microbleeds in this session"),
        "persistent": describe("Of them, found in a session before"),
        "new": describe("Of them, found in no session before that shows the place"),
        "new_doubtful": describe(
            f"Of the new ones, those whose earlier_probability is at least {SEEN:g}: most likely "
            "there before, under the threshold"
        ),
        "lost": describe("Microbleeds of any session before that are not found here"),
        "lost_doubtful": describe(
            f"Of the lost ones, those whose probability_max is at least {SEEN:g} here: most likely "
            "still there, under the threshold"
        ),
        "not_shown": describe("Microbleeds of any session before whose place is not shown here"),
        "new_since_baseline": describe(
            "Microbleeds in this session that were not found at baseline, which shows the place"
        ),
        **NEW_COLUMNS,
    }
)


#: Highest network probability at the place of a track, by its position and that of the session.
ProbabilityAt = Mapping[tuple[int, int], float]


def track_rows(
    tracks: Sequence[Track],
    sessions: Sequence[str],
    lesions: Sequence[Sequence[Lesion]],
    heights: ProbabilityAt,
) -> Iterator[dict[str, Any]]:
    """Rows of the table of tracks, by track and session.

    Parameters
    ----------
    sessions
        Names of the sessions, in their order.
    lesions
        Counted lesions of each session, as in its :class:`Visit`.
    """
    for position, track in enumerate(tracks):
        for seen in track:
            x, y, z = seen.place.tolist()
            row: dict[str, Any] = {
                "track_id": position + 1,
                "session_id": sessions[seen.visit],
                "change": seen.change,
                "lesion_id": None,
                "distance": seen.distance,
                **{"x": x, "y": y, "z": z},
                "probability_max": heights.get((position, seen.visit)),
            }
            if seen.lesion is not None:
                lesion = lesions[seen.visit][seen.lesion]
                taken = ("lesion_id", "probability_max", *FROM_LESIONS)
                row |= {name: getattr(lesion, name) for name in taken}
            if seen.change == NEW:
                row["earlier_probability"] = _before(position, seen, heights)
            yield row


def _before(position: int, seen: TrackPoint, heights: ProbabilityAt) -> float:
    """Highest network probability at the place of a new microbleed in the sessions before."""
    return float(np.nanmax([heights[position, order] for order in range(seen.visit)]))


def change_row(
    tracks: Sequence[Track],
    visit: int,
    lesions: Sequence[Sequence[Lesion]],
    heights: ProbabilityAt,
    knots: Knots,
) -> dict[str, Any]:
    """Counts of one follow-up; the columns from ``baseline_count`` on.

    The probability that a lesion is new is that of being a microbleed now, less that of having
    been one at baseline, as microbleeds stay: what was just below the threshold is not growth.

    Parameters
    ----------
    visit, lesions
        Position of the session, and the lesions of all as in :func:`track_rows`.
    knots
        Calibration of the lesion model.
    """
    begun = {k: track for k, track in enumerate(tracks) if track[0].visit <= visit}
    here = {k: track[visit - track[0].visit] for k, track in begun.items()}
    count = Counter(seen.change for seen in here.values())
    new = [_before(k, seen, heights) for k, seen in here.items() if seen.change == NEW]
    lost = [heights[k, visit] for k, seen in here.items() if seen.change == LOST]
    since = []
    for position, seen in here.items():
        at_baseline = heights.get((position, 0), np.nan)
        if seen.lesion is None or tracks[position][0].visit == 0 or np.isnan(at_baseline):
            continue
        told = lesions[visit][seen.lesion].calibrated_probability
        now = np.nan if told is None else told
        since.append(float(np.maximum(0, now - np.nan_to_num(calibrate(at_baseline, knots)))))
    return {
        "baseline_count": len(lesions[0]),
        "count": len(lesions[visit]),
        "persistent": count[PERSISTENT],
        "new": len(new),
        "new_doubtful": sum(height >= SEEN for height in new),
        "lost": len(lost),
        "lost_doubtful": sum(height >= SEEN for height in lost),
        "not_shown": count[NOT_SHOWN],
        "new_since_baseline": len(since),
        **new_lesions(since),
    }


def notes_of(changes: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a person must be told, from rows of the table of changes, just made or read again."""
    notes = [
        note
        for note in dict.fromkeys(row.get("order_note") for row in changes)
        if note not in (None, "n/a")
    ]
    if any(row["order"] == "labels" for row in changes):
        notes.append("sessions are in the order of their labels: no table tells all times")
    notes += [
        f"{row['session_id']} could not be registered to {row['baseline_session_id']} (overlap of "
        f"the brains {float(row['mask_dice']):.2f}, two ways {float(row['residual']):.1f} mm "
        "apart): its microbleeds are not compared"
        for row in changes
        if row["registration"] == "poor"
    ]
    notes += [
        f"{row['session_id']}: the {kind} changed ({row[f'{kind}_note']}); what looks new or lost "
        "may come from that"
        for row in changes
        for kind in ("protocol", "processing")
        if row[f"{kind}_changed"] in (True, "true")
    ]
    return notes
