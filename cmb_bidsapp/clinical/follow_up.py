"""Microbleeds from session to session: a row per follow-up, from the rows of the tracks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType

import numpy as np

from cmb_bidsapp.bids.typed import column, columns_of
from cmb_bidsapp.clinical.aria import NewLesions, new_lesions
from cmb_bidsapp.clinical.fates import TrackFate, fates
from cmb_bidsapp.clinical.summary import ClinicalSummary, summarize
from cmb_bidsapp.clinical.tracks import TrackRow, known_at, known_before
from cmb_bidsapp.core.defaults import NOT_A_DIAGNOSIS
from cmb_bidsapp.lesions.longitudinal import TOLERANCES
from cmb_bidsapp.lesions.presence import Change, State
from cmb_bidsapp.models.calibration import Knots, calibrate

_ORDER = MappingProxyType(
    {
        "sessions.tsv": "acq_time in sub-*_sessions.tsv",
        "scans.tsv": "acq_time of the earliest scan in sub-*_ses-*_scans.tsv",
        "labels": "session labels, because no table has the times of all sessions",
    }
)
_REGISTRATION = MappingProxyType(
    {"good": "yes", "poor": "no, registration to the baseline failed; nothing is counted"}
)
_KNOWN = (
    "Known: found here, below the threshold here, or found in an earlier session but not "
    "assessable here. Gone microbleeds do not count"
)


@dataclass(frozen=True, kw_only=True)
class FollowUp:
    """What is known of a follow-up beside its counts; each field is a column."""

    session_id: str = column("Session", required=True)
    baseline_session_id: str = column(
        "First session; the session is compared with it", required=True
    )
    order: str | None = column("Source of the order of the sessions", levels=_ORDER)
    order_note: str | None = column("Tables of times that could not be read")
    days: float | None = column("Days since the baseline, if the times are known", "d")
    registration: str = column(
        "Whether the session can be compared", levels=_REGISTRATION, required=True
    )
    mask_dice: float | None = column("Overlap of the brain masks after registration, 0 to 1")
    residual: float | None = column(
        "Mean distance in the brain between the registration to the baseline and that from it",
        "mm",
    )
    rotation: float | None = column("Rotation of the head in the scanner since baseline", "deg")
    shift: float | None = column("Shift of the brain center since baseline", "mm")
    protocol_changed: bool = column(
        "Whether the protocol differs from the baseline or the previous session: sequence, "
        f"field strength (by more than {TOLERANCES['field_strength']:g} T), echo time "
        f"({TOLERANCES['echo_time']:g} s) or slice distance ({TOLERANCES['slice_distance']:g} mm)",
        required=True,
    )
    protocol_note: str | None = column(
        "Which protocol parameters changed, and which cannot be compared"
    )
    processing_changed: bool = column(
        "Whether the lesion model or the decision settings differ from the baseline",
        required=True,
    )
    processing_note: str | None = column("Which processing settings changed")

    @property
    def compared(self) -> bool:
        """Whether the session could be registered, so that its microbleeds are counted."""
        return self.registration == "good"


@dataclass(frozen=True, kw_only=True)
class ChangeCounts:
    """Microbleeds of a follow-up by outcome; each field is a column."""

    baseline_count: int | None = column("Microbleeds found at baseline")
    count: int | None = column("Microbleeds found in this session")
    persistent: int | None = column("Of these, found in an earlier session")
    new: int | None = column(
        "Of these, new: found here first, and nothing dark at the place in the first session "
        "that can show it"
    )
    already_there: int | None = column(
        "Of these, found here first, but visible below the threshold in the first session that "
        "can show the place"
    )
    open: int | None = column(
        "Of these, found here first, and no earlier session covers the place with the same protocol"
    )
    below_threshold: int | None = column(
        "Microbleeds of other sessions that are visible here below the threshold, but not found"
    )
    gone: int | None = column(
        "Microbleeds of earlier sessions that left nothing dark here; only these are lost"
    )
    not_covered: int | None = column(
        "Microbleeds of earlier sessions whose place this image does not cover"
    )
    not_comparable: int | None = column(
        "Microbleeds of earlier sessions, not visible here, that no session with this protocol "
        "shows"
    )
    new_since_baseline: int | None = column(
        "Microbleeds found in this session or an earlier one and not gone, with nothing dark at "
        "the place at baseline"
    )
    known: int | None = column(f"Microbleeds known at this session. {_KNOWN}")
    known_lobar: int | None = column("Known microbleeds that are lobar")
    known_deep: int | None = column("Known microbleeds that are deep")
    known_infratentorial: int | None = column("Known microbleeds that are infratentorial")
    known_category: str | None = column(f"Distribution of the known microbleeds; {NOT_A_DIAGNOSIS}")
    known_boston_lobar: int | None = column(
        f"Boston criteria v2.0 of the known ones: lobar, 0 if one is deep; {NOT_A_DIAGNOSIS}"
    )
    known_boston_deep: bool | None = column(
        "Boston criteria v2.0 of the known ones: whether one is deep or in the brainstem; "
        f"{NOT_A_DIAGNOSIS}"
    )


# Columns are those of the last base first.
@dataclass(frozen=True, kw_only=True)
class ChangeRow(NewLesions, ChangeCounts, FollowUp):
    """A row of ``*_label-CMB_changes.tsv``; of a session that was not compared without counts.

    Each field is a column, which its metadata describe; ``None`` where it is not known.
    """


#: Columns of ``*_label-CMB_changes.tsv`` with their JSON dictionary.
CHANGE_COLUMNS = MappingProxyType(columns_of(ChangeRow))


def circumstances_of(row: ChangeRow) -> FollowUp:
    """What is known of a follow-up beside its counts."""
    return FollowUp(**{one.name: getattr(row, one.name) for one in fields(FollowUp)})


def known_summary(tracks: Sequence[TrackRow], session: str) -> ClinicalSummary:
    """Count, category and Boston line of the microbleeds known at a session.

    Parameters
    ----------
    tracks
        Of the participant, all sessions.
    session
        Its name.
    """
    return summarize(known_at(tracks, session))


def change_row(about: FollowUp, tracks: Sequence[TrackRow], knots: Knots) -> ChangeRow:
    """Count the microbleeds of one follow-up.

    The probability that a lesion is new is that of being a microbleed now, less that of having
    been one at baseline, as microbleeds stay.

    Parameters
    ----------
    about
        Everything known of the follow-up beside its counts.
    tracks
        Rows of all tracks, sessions in their order.
    knots
        Calibration of the lesion model.
    """
    if not about.compared:
        return ChangeRow(**vars(about))
    here = [row for row in tracks if row.session_id == about.session_id]
    first = {row.track_id: row for row in tracks if row.session_id == about.baseline_session_id}
    found = [row for row in here if row.state is State.PRESENT]
    changes = Counter(row.change for row in found)
    # The last session before that found it.
    before = {row.track_id: row for row in known_before(tracks, about.session_id)}
    missing = Counter(row.state for row in here if row.track_id in before)
    fate = fates(tracks, about.session_id, about.baseline_session_id)
    since = [
        _newness(
            row if row.state is State.PRESENT else before[row.track_id], first[row.track_id], knots
        )
        for row in fate[TrackFate.NEW_SINCE_BASELINE]
    ]
    known = known_summary(tracks, about.session_id)
    return ChangeRow(
        **vars(about),
        baseline_count=sum(row.state is State.PRESENT for row in first.values()),
        count=len(found),
        persistent=changes[Change.PERSISTENT],
        new=len(fate[TrackFate.NEW]),
        already_there=changes[Change.ALREADY_THERE],
        open=changes[Change.OPEN],
        below_threshold=len(fate[TrackFate.BELOW_THRESHOLD]),
        gone=len(fate[TrackFate.GONE]),
        not_covered=missing[State.NOT_COVERED],
        not_comparable=missing[State.NOT_COMPARABLE],
        new_since_baseline=len(since),
        known=known.count,
        known_lobar=known.lobar,
        known_deep=known.deep,
        known_infratentorial=known.infratentorial,
        known_category=known.category,
        known_boston_lobar=known.boston_lobar,
        known_boston_deep=known.boston_deep,
        **new_lesions(since),
    )


def _newness(row: TrackRow, baseline: TrackRow, knots: Knots) -> float:
    """Probability that a lesion is a microbleed that was none at baseline; NaN where unknown."""
    now = row.calibrated_probability
    then, was = baseline.probability_max, baseline.calibrated_probability
    if was is None:
        was = float(np.nan_to_num(calibrate(np.nan if then is None else then, knots)))
    return float(np.maximum(0, (np.nan if now is None else now) - was))


def notes_of(changes: Sequence[ChangeRow]) -> list[str]:
    """What a person must be told."""
    notes = [note for note in dict.fromkeys(row.order_note for row in changes) if note]
    if any(row.order == "labels" for row in changes):
        notes.append("acq_time is missing or incomplete; sessions are ordered by label")
    notes += [
        f"{row.session_id} could not be registered to {row.baseline_session_id} (overlap of "
        f"the brains {row.mask_dice:.2f}, the two directions {row.residual:.1f} mm apart), so its "
        "microbleeds are not compared"
        for row in changes
        if not row.compared
    ]
    notes += [
        f"{row.session_id}: the {kind} changed ({note}); {meant}"
        for row in changes
        for kind, changed, note, meant in (
            (
                "protocol",
                row.protocol_changed,
                row.protocol_note,
                "microbleeds that only one protocol shows count as neither new nor gone",
            ),
            (
                "processing",
                row.processing_changed,
                row.processing_note,
                "microbleeds may look new or gone because of this",
            ),
        )
        if changed
    ]
    return notes
