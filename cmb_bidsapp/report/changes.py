"""What a participant's page shows of microbleeds through time, read from the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.bids.typed import decode
from cmb_bidsapp.clinical.follow_up import ChangeRow, known_summary, notes_of
from cmb_bidsapp.clinical.summary import ClinicalSummary
from cmb_bidsapp.clinical.tracks import TrackRow
from cmb_bidsapp.lesions.presence import Change, State
from cmb_bidsapp.report.pages import SizeBudget
from cmb_bidsapp.report.track_figures import columns_of

#: Part of the room that pictures of changes may take.
FOR_CHANGES = 0.25
#: What of a microbleed a reader looks for first.
TURNS = (Change.NEW, Change.ALREADY_THERE, Change.OPEN)
OUT_OF_SIGHT = (State.GONE, State.BELOW_THRESHOLD)


@dataclass(frozen=True)
class TrackView:
    """A microbleed through time.

    Attributes
    ----------
    rows
        One for each session.
    picture
        As a data URI.
    columns
        How wide a row of the picture is, as a multiple of its height.
    """

    rows: Sequence[TrackRow]
    picture: str | None
    columns: float = 1.0

    @property
    def number(self) -> int:
        """Its number through all sessions."""
        return self.rows[0].track_id

    @property
    def changed(self) -> bool:
        """Whether it is not simply there from the first session on."""
        return any(map(_turns, self.rows))

    @property
    def turn(self) -> TrackRow:
        """Where to look at it: the first follow-up in which it changes, else the last session."""
        return next(filter(_turns, self.rows[1:]), self.rows[-1])


@dataclass(frozen=True, kw_only=True)
class ReportedChanges:
    """What changed through the sessions of a participant.

    Attributes
    ----------
    rows
        Of the table of changes.
    tracks
        Each microbleed through time; those that changed come first.
    order
        Sessions in the order of time; empty where nothing was compared.
    known
        What is known of each session by all of them, by name.
    """

    rows: Sequence[ChangeRow]
    tracks: Sequence[TrackView]
    order: Sequence[str]
    known: Mapping[str, ClinicalSummary]
    notes: Sequence[str]
    left_out: int

    def of_candidate(self, session: str, lesion: str) -> TrackRow | None:
        """What a candidate is through time; ``None`` where it is not followed.

        Parameters
        ----------
        session
            Session as the rows of the tracks name it (``ses-A``).
        lesion
            Number of the candidate, as text.
        """
        found = (
            row
            for track in self.tracks
            for row in track.rows
            if row.session_id == session and str(row.lesion_id) == lesion
        )
        return next(found, None)

    def numbered(self, session: str, lesions: Sequence[int]) -> list[tuple[int, int]]:
        """Candidates in the order of the numbers that their microbleeds have in all sessions.

        Parameters
        ----------
        session
            Session as the rows of the tracks name it (``ses-A``).
        lesions
            Numbers of the candidates.

        Returns
        -------
        numbers
            Of microbleed and candidate; empty unless all of them are followed.
        """
        rows = {lesion: self.of_candidate(session, str(lesion)) for lesion in lesions}
        known = sorted((row.track_id, lesion) for lesion, row in rows.items() if row is not None)
        return known if len(known) == len(rows) else []

    def beside(self, session: str) -> str | None:
        """Session that another one is looked at with: the one before it, of the first one the next.

        Parameters
        ----------
        session
            As the rows of the tracks name it (``ses-A``).
        """
        names = [f"ses-{label}" for label in self.order]
        if session not in names or len(names) < 2:
            return None
        return names[abs(names.index(session) - 1)]

    def partner(self, row: TrackRow) -> str | None:
        """Session that a microbleed is looked at with where it changes.

        What no session showed before is looked at with the baseline.

        Parameters
        ----------
        row
            Of the microbleed in the session in which it changes.
        """
        new = row.change is Change.NEW and row.session_id != f"ses-{self.order[0]}"
        return f"ses-{self.order[0]}" if new else self.beside(row.session_id)


def _with_picture(track: TrackView, path: Path, room: SizeBudget) -> TrackView:
    picture = room.picture(path)
    return track if picture is None else replace(track, picture=picture, columns=columns_of(path))


def _turns(row: TrackRow) -> bool:
    return row.change in TURNS or row.state in OUT_OF_SIGHT


def badge(row: TrackRow) -> str:
    """What a session says of a microbleed, in a word or two."""
    if row.state is not State.PRESENT:
        return row.state.replace("-", " ")
    hidden = (
        f"; below the threshold in {row.since}" if row.since not in (None, row.session_id) else ""
    )
    words = {
        Change.NEW: f"new; below the threshold in {row.since}" if hidden else "new",
        Change.ALREADY_THERE: f"since {row.since}, below threshold until now",
        Change.OPEN: "new or not: open",
        Change.PERSISTENT: f"since {row.since}",
    }
    return words.get(row.change or Change.BASELINE, "baseline")


def read_changes(files: SessionFiles, room: SizeBudget) -> ReportedChanges:
    """Read what was compared; nothing where there is one session, or a comparison failed.

    A table that cannot be read, as of an earlier version, is told in ``notes``.

    Parameters
    ----------
    files
        Those of the participant.
    room
        What pictures may still take in the page.
    """
    if not (files.tracks.exists() and files.changes.exists()):
        return ReportedChanges(rows=(), tracks=(), order=(), known={}, notes=(), left_out=0)
    try:
        rows = [decode(TrackRow, row) for row in read_table(files.tracks)]
        changes = [decode(ChangeRow, row) for row in read_table(files.changes)]
    except ValueError as error:
        told = f"{files.tracks} or {files.changes.name}: {error}; run the participant level again"
        return ReportedChanges(rows=(), tracks=(), order=(), known={}, notes=(told,), left_out=0)
    own = SizeBudget(int(FOR_CHANGES * room.left))
    given = own.left
    own_rows = [list(track) for _, track in groupby(rows, key=lambda row: row.track_id)]
    views = [TrackView(track, None) for track in own_rows]
    views.sort(key=lambda track: not track.changed)
    tracks = [_with_picture(track, files.track_figure(track.number), own) for track in views]
    room.left -= given - own.left
    names = [row.baseline_session_id for row in changes[:1]]
    names += [row.session_id for row in changes]
    poor = {row.session_id for row in changes if not row.compared}
    known = {name: known_summary(rows, name) for name in names if name not in poor}
    order = [name.removeprefix("ses-") for name in names]
    return ReportedChanges(
        rows=changes,
        tracks=tracks,
        order=order,
        known=known,
        notes=notes_of(changes),
        left_out=own.left_out,
    )
