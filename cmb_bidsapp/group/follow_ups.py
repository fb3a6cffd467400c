"""Follow-ups of a participant after its readers: what their decisions need to be read, is read."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.images import UNREADABLE, open_image
from cmb_bidsapp.bids.protocol import protocol_of, read_protocol
from cmb_bidsapp.bids.typed import column
from cmb_bidsapp.clinical.decided import Decided, decide_tracks, lesions_of, loose
from cmb_bidsapp.clinical.follow_up import ChangeRow, change_row, circumstances_of
from cmb_bidsapp.clinical.judged import Judgments
from cmb_bidsapp.clinical.tracks import TRACK_COLUMNS, TrackRow
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.group.judgments import (
    TrackOpinion,
    contradictions,
    deciders,
    judgments_of,
    opinions_on,
)
from cmb_bidsapp.group.rating_rows import ALGORITHM
from cmb_bidsapp.group.session_records import Problem, Record
from cmb_bidsapp.lesions.lesion import Grade, Lesion
from cmb_bidsapp.lesions.longitudinal import Track, Visit
from cmb_bidsapp.lesions.presence import Evidence, State, VisitImages, evidence_at
from cmb_bidsapp.models.calibration import Knots
from cmb_bidsapp.preprocess.ants import read_linear
from cmb_bidsapp.preprocess.resampling import IDENTITY, Grid


@dataclass(frozen=True, kw_only=True)
class ReadTrack(TrackRow):
    """A row of ``group_tracks.tsv``: whose lesions may be readers'."""

    state: State = column(
        f"{TRACK_COLUMNS['state']['Description']}; a reader's no "
        "counts as nothing dark at the place",
        levels=State.levels,
        required=True,
    )
    lesion_id: int | None = column(
        f"{TRACK_COLUMNS['lesion_id']['Description']}, or if readers added it"
    )
    grade: Grade | None = column(
        f"{TRACK_COLUMNS['grade']['Description']}; the readers' grade if they decided",
        levels=Grade.levels,
    )
    calibrated_probability: float | None = column(
        f"{TRACK_COLUMNS['calibrated_probability']['Description']}; 1 or 0 if readers decided"
    )


@dataclass(frozen=True)
class DecisionSource:
    """Whose decisions follow-ups rest on, and how those read: of all sessions alike, or of each."""

    source: str = ALGORITHM
    mode: str | None = None


@dataclass(frozen=True, kw_only=True)
class FollowUps:
    """The sessions of a participant, followed.

    Attributes
    ----------
    changes
        A row per follow-up, in the order of time.
    tracks
        A row per microbleed and session; ``None`` where there is no table of them.
    source
        Whose decisions they rest on.
    opinions
        What readers say of the microbleeds through time.
    """

    changes: Sequence[ChangeRow]
    tracks: Sequence[TrackRow] | None
    source: DecisionSource = DecisionSource()
    opinions: Sequence[TrackOpinion] = ()

    @property
    def order(self) -> list[str]:
        """Names of the sessions."""
        first = [row.baseline_session_id for row in self.changes[:1]]
        return first + [row.session_id for row in self.changes]

    @property
    def compared(self) -> list[str]:
        """Names of those that could be registered, the baseline among them."""
        poor = {row.session_id for row in self.changes if not row.compared}
        return [name for name in self.order if name not in poor]


def after_readers(
    found: FollowUps, files: SessionFiles, sessions: Mapping[str | None, Record], knots: Knots
) -> tuple[FollowUps, list[Problem]]:
    """Carry the readers' decisions on all sessions into the follow-ups.

    Parameters
    ----------
    found
        As the algorithm has it.
    files
        Of the participant.
    sessions
        Those that could be read, by name, after their readers.
    knots
        Calibration of the lesion model.

    Returns
    -------
    decided, problems
        Follow-ups, as they were where no reader looked; and what could not be carried over.
    """
    records = {name: sessions.get(name) for name in found.compared}
    sources = {name: one.source if one else ALGORITHM for name, one in records.items()}
    opinions, unusable = opinions_on(found.tracks or (), sessions, files)
    if found.tracks is None or (set(sources.values()) <= {ALGORITHM} and not opinions):
        return found, unusable
    own = [_decided(name, files, sessions, found.tracks) for name in found.compared]
    try:
        tracks, problems = _decide(found.tracks, own, found.order, files, judgments_of(opinions))
    except ValueError as error:
        return found, [*unusable, Problem.of(error, files.tracks, files)]
    changes = [change_row(circumstances_of(row), tracks, knots) for row in found.changes]
    modes = {name: one.mode if one else None for name, one in records.items()}
    source = DecisionSource(str(_in_words(sources)), _in_words(modes))
    problems += [*unusable, *contradictions(tracks, opinions, files)]
    return FollowUps(
        changes=changes, tracks=tracks, source=_with_changes(source, opinions), opinions=opinions
    ), problems


def _with_changes(source: DecisionSource, opinions: Sequence[TrackOpinion]) -> DecisionSource:
    """The source, and whose words on the changes decide where it does not tell them."""
    if not opinions:
        return source
    who, mode = deciders(opinions)
    return DecisionSource(
        source.source if source.source == who else f"{source.source}; changes: {who}",
        source.mode if source.mode == mode else f"{source.mode or 'n/a'}; changes: {mode or 'n/a'}",
    )


def _in_words(told: Mapping[str, str | None]) -> str | None:
    """What the sessions tell, as one where they agree."""
    first, *others = set(told.values())
    return "; ".join(f"{name}: {one or 'n/a'}" for name, one in told.items()) if others else first


def _decided(
    name: str,
    files: SessionFiles,
    sessions: Mapping[str | None, Record],
    tracks: Sequence[TrackRow],
) -> Decided:
    """A session as its readers left it; as the tracks know it, where it cannot be read."""
    if name in sessions:
        return Decided(name=name, lesions=sessions[name].lesions, protocol=sessions[name].protocol)
    try:
        protocol = read_protocol(_files_of(name, files))
    except (OSError, ValueError):
        # That the session cannot be read is told with it.
        protocol = protocol_of({})
    return Decided(name=name, lesions=lesions_of(tracks, name), protocol=protocol)


def _decide(
    tracks: Sequence[TrackRow],
    own: Sequence[Decided],
    order: Sequence[str],
    files: SessionFiles,
    judgments: Judgments,
) -> tuple[list[TrackRow], list[Problem]]:
    """Decide on the tracks; images and transforms are read where a lesion has to be placed.

    Where they cannot be, what readers say of lesions in no track is left out.
    """
    decide = partial(decide_tracks, tracks, order=order, judgments=judgments)
    if not any(loose(tracks, session) for session in own):
        return decide(own), []
    paths = [_files_of(session.name, files) for session in own]
    try:
        placed = [
            dataclasses.replace(one, visit=_visit(one.lesions, path, paths[0].session))
            for one, path in zip(own, paths, strict=True)
        ]
        return decide(placed, look=partial(_look, placed, paths)), []
    except DataError as error:
        cause = (
            f"{error}: follow-ups do not use ratings of lesions that were not tracked; run the "
            "participant level again"
        )
        return decide(own), [Problem(path=files.changes, reason=cause, files=files)]


def _visit(lesions: Sequence[Lesion], files: SessionFiles, baseline: str | None) -> Visit:
    """Where the lesions of a session are, and how its head lies."""
    with _readable(files.t2star):
        grid = Grid.of_image(open_image(files.t2star))
    pull = IDENTITY
    if files.session != baseline:
        path = files.to_session(str(baseline))
        with _readable(path):
            pull = read_linear(path)
    return Visit(np.array([lesion.point for lesion in lesions]).reshape(-1, 3), grid, pull)


def _look(
    sessions: Sequence[Decided], paths: Sequence[SessionFiles], tracks: Sequence[Track]
) -> Mapping[tuple[int, int], Evidence]:
    """See what the images show at places that the algorithm did not look at."""

    def scan_of(n: int) -> VisitImages:
        with _readable(paths[n].t2star):
            return VisitImages.of(
                paths[n], [one.number for one in sessions[n].lesions if one.counted]
            )

    visits = [session.visit for session in sessions if session.visit is not None]
    return evidence_at(tracks, [session.lesions for session in sessions], visits, scan_of)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Name the file where an image or a transform cannot be read."""
    try:
        yield
    # SimpleITK raises RuntimeError.
    except (*UNREADABLE, RuntimeError) as error:
        name = getattr(error, "filename", None) or path
        raise DataError(f"{name} cannot be read ({error})") from error


def _files_of(name: str, files: SessionFiles) -> SessionFiles:
    return dataclasses.replace(files, session=name.removeprefix("ses-"))
