"""Microbleeds through time after readers have decided on the lesions.

Tracks and decisions in, tracks out; counts, classes and rates are made of tracks alone, whoever
decided. See docs/review.md for the rules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType

import numpy as np

from cmb_bidsapp.bids.protocol import Protocol
from cmb_bidsapp.bids.typed import decode, encode
from cmb_bidsapp.clinical.judged import Judgments, judge, told_there
from cmb_bidsapp.clinical.tracks import FOUND, KEPT, TrackRow, track_rows
from cmb_bidsapp.core.arrays import Points
from cmb_bidsapp.lesions.lesion import Lesion, Reason, Status
from cmb_bidsapp.lesions.longitudinal import Track, TrackPoint, Visit, pair, tracks
from cmb_bidsapp.lesions.presence import Evidence, State, at_place, history_of

#: Looks at the images at the places of tracks: what is seen, by track and session.
EvidenceFor = Callable[[Sequence[Track]], Mapping[tuple[int, int], Evidence]]

#: What a session has of a microbleed that it does not count; in other states nothing dark is there.
SEEN_THERE = (State.BELOW_THRESHOLD, State.NOT_COVERED)


@dataclass(frozen=True, kw_only=True)
class Decided:
    """A session that was compared, after its readers.

    Attributes
    ----------
    name
        ``ses-A``.
    lesions
        All of them, as decided: candidates, and those that readers added.
    visit
        Where they are, in the same order; ``None`` where no lesion has to be placed.
    """

    name: str
    lesions: Sequence[Lesion]
    protocol: Protocol
    visit: Visit | None = None


@dataclass(kw_only=True)
class _Followed:
    """A microbleed, by session: where it is, what was seen, what is there, and who denies it."""

    points: list[TrackPoint] = field(default_factory=list)
    seen: list[Evidence] = field(default_factory=list)
    there: list[State | None] = field(default_factory=list)
    denied: set[int] = field(default_factory=set)

    def find(self, session: int, lesion: int, place: Points) -> None:
        """Take a reader's yes to a lesion at its place."""
        distance = float(np.linalg.norm(place - self.points[session].place))
        self.points[session] = TrackPoint(
            lesion=lesion, place=place, covered=True, distance=distance
        )
        self.there[session] = State.PRESENT
        self.denied.discard(session)

    def deny(self, session: int) -> None:
        """Take a reader's no."""
        self.there[session] = None
        self.denied.add(session)

    def judge(self, said: Mapping[int, bool]) -> None:
        """Take readers' words on the sessions that do not count it."""
        self.there = judge(self.there, said)
        for session, yes in said.items():
            if self.there[session] is not State.PRESENT:
                (self.denied.discard if yes else self.denied.add)(session)


def lesions_of(rows: Iterable[TrackRow], session: str) -> list[Lesion]:
    """Counted lesions of a session as the tracks know them, where its own table cannot be read.

    Parameters
    ----------
    rows
        Of the table of tracks.
    session
        Its name.
    """
    return [
        Lesion(status=Status.KEPT, **{name: getattr(row, name) for name in (*KEPT, *FOUND)})
        for row in rows
        if row.session_id == session and row.state is State.PRESENT
    ]


def loose(rows: Iterable[TrackRow], session: Decided) -> list[int]:
    """Positions of the lesions that readers decided on and that are in no track.

    Those that readers say yes to are to be placed; what they say no to is not at the place of a
    microbleed of another session.

    Parameters
    ----------
    rows
        Of the table of tracks.
    session
        What readers decided in it.
    """
    known = {row.lesion_id for row in rows if row.session_id == session.name}
    return [
        position
        for position, lesion in enumerate(session.lesions)
        if lesion.reason is Reason.READER
        and (lesion.lesion_id is None or lesion.lesion_id not in known)
    ]


def decide_tracks(
    rows: Sequence[TrackRow],
    sessions: Sequence[Decided],
    order: Sequence[str],
    look: EvidenceFor = lambda _: {},
    judgments: Judgments = MappingProxyType({}),
) -> list[TrackRow]:
    """Carry readers' decisions into the tracks.

    Parameters
    ----------
    rows
        Of all tracks, as the algorithm made them.
    sessions
        Those that were compared, in their order. Loose lesions are placed where all have a visit.
    order
        Names of all sessions, those among them that could not be registered.
    look
        For the places that only readers know.
    judgments
        What readers say of the tracks at follow-ups, over what the lesions tell.

    Returns
    -------
    rows
        Tracks keep their numbers, new ones come after them. One that no session counts any more is
        left out.

    Raises
    ------
    ValueError
        The tracks are not of these lesions.
    """
    followed = _by_own_lesions(rows, sessions)
    visits = [session.visit for session in sessions if session.visit is not None]
    if len(visits) == len(sessions):
        apart = [loose(rows, session) for session in sessions]
        _place(followed, sessions, visits, apart, look)
    positions = {session.name: n for n, session in enumerate(sessions)}
    for number, said in judgments.items():
        if number in followed:
            own = {positions[name]: word for name, word in said.items() if name in positions}
            followed[number].judge(told_there(own))
    left = {number: one for number, one in followed.items() if State.PRESENT in one.there}
    protocols = [session.protocol for session in sessions]
    histories = [history_of(one.points, one.seen, one.there, protocols) for one in left.values()]
    lesions = {session.name: session.lesions for session in sessions}
    decided = []
    for row in track_rows(histories, lesions, order, list(left)):
        no = positions.get(row.session_id) in left[row.track_id].denied
        # As in the lesion table, what a reader decided is certain; numbers are those of a table.
        known = replace(row, calibrated_probability=0.0) if no else row
        decided.append(decode(TrackRow, encode(known)))
    return decided


def _by_own_lesions(rows: Iterable[TrackRow], sessions: Sequence[Decided]) -> dict[int, _Followed]:
    """The tracks by number, as the decisions on their own lesions leave them."""
    followed: dict[int, _Followed] = {}
    by_place = {(row.track_id, row.session_id): row for row in rows}
    for number in dict.fromkeys(track for track, _ in by_place):
        followed[number] = one = _Followed()
        for n, session in enumerate(sessions):
            row = by_place.get((number, session.name))
            if row is None:
                raise ValueError(f"track {number} has no row of {session.name}")
            position, denied = _lesion_of(row, session)
            place = np.array([_number(row.x), _number(row.y), _number(row.z)])
            covered = row.state is not State.NOT_COVERED
            distance = _number(None if position is None else row.distance)
            one.points.append(
                TrackPoint(lesion=position, place=place, covered=covered, distance=distance)
            )
            one.seen.append(Evidence(_number(row.probability_max), _number(row.contrast)))
            counts = position is not None or row.state in SEEN_THERE
            one.there.append(row.state if counts else None)
            if denied:
                one.deny(n)
    return followed


def _lesion_of(row: TrackRow, session: Decided) -> tuple[int | None, bool]:
    """Position of the lesion of a track in a session, and whether readers say that it is none."""
    if row.state is not State.PRESENT:
        return None, False
    for position, lesion in enumerate(session.lesions):
        if row.lesion_id is not None and lesion.lesion_id == row.lesion_id:
            if lesion.counted:
                return position, False
            if lesion.reason is Reason.READER:
                return None, True
    raise ValueError(
        f"track {row.track_id} has lesion {row.lesion_id} of {session.name}, which its lesion "
        "table does not count"
    )


def _place(
    followed: dict[int, _Followed],
    sessions: Sequence[Decided],
    visits: Sequence[Visit],
    apart: Sequence[Sequence[int]],
    look: EvidenceFor,
) -> None:
    """Match loose lesions with tracks by their places; the others are new tracks."""
    # A center is known to a slice only in the session with the thickest ones.
    thickest = max(visits, key=lambda one: max(one.grid.spacing))
    match = partial(pair, across=thickest.across, slice_distance=max(thickest.grid.spacing))
    alone: list[list[int]] = []
    for n, (session, visit, own) in enumerate(zip(sessions, visits, apart, strict=True)):
        kept = [position for position in own if session.lesions[position].counted]
        met = _met(followed.values(), n, visit.places, kept, match)
        for one, position in met:
            one.find(n, position, visit.places[position])
        alone.append(sorted({*kept} - {position for _, position in met}))
    followed |= _new_tracks(max(followed, default=0) + 1, visits, alone, look)
    for n, (session, visit, own) in enumerate(zip(sessions, visits, apart, strict=True)):
        none = [position for position in own if not session.lesions[position].counted]
        for one, _ in _met(followed.values(), n, visit.places, none, match):
            one.deny(n)


def _met(
    followed: Iterable[_Followed],
    n: int,
    places: Points,
    own: Sequence[int],
    match: Callable[[Points, Points], list[int | None]],
) -> list[tuple[_Followed, int]]:
    """Microbleeds that a session has not found, with the lesions of ``own`` at their places."""
    known = [one for one in followed if not one.points[n].found]
    known = [one for one in known if np.isfinite(one.points[n].place).all()]
    before = np.array([one.points[n].place for one in known]).reshape(-1, 3)
    partners = zip(known, match(before, places[list(own)]), strict=True)
    return [(one, own[partner]) for one, partner in partners if partner is not None]


def _new_tracks(
    first: int, visits: Sequence[Visit], alone: Sequence[Sequence[int]], look: EvidenceFor
) -> dict[int, _Followed]:
    """Follow the lesions that only readers know, as all others; numbers from ``first`` on."""
    own = [
        replace(visit, centers=visit.centers[list(positions)])
        for visit, positions in zip(visits, alone, strict=True)
    ]
    made = [
        [
            point if point.lesion is None else replace(point, lesion=positions[point.lesion])
            for point, positions in zip(track, alone, strict=True)
        ]
        for track in tracks(own)
    ]
    evidence = look(made)
    new = {}
    for k, points in enumerate(made):
        seen = [evidence.get((k, n), Evidence()) for n in range(len(points))]
        new[first + k] = _Followed(points=points, seen=seen, there=at_place(points, seen))
    return new


def _number(value: float | None) -> float:
    return math.nan if value is None else value
