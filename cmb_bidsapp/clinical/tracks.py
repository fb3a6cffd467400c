"""Table of microbleeds over time: a row per microbleed and session."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, groupby
from types import MappingProxyType

from cmb_bidsapp.bids.typed import column, columns_of
from cmb_bidsapp.lesions.lesion import Grade, Lesion, Region, Side, Status
from cmb_bidsapp.lesions.longitudinal import REACH_MM
from cmb_bidsapp.lesions.presence import Change, History, State

#: What a microbleed keeps in sessions that do not find it, as the nearest one that does tells it.
KEPT = ("grade", "region", "mars_region", "side")
#: Cells that are of a found lesion alone.
FOUND = ("lesion_id", "diameter", "calibrated_probability")
#: What a session has of microbleeds that are in its image.
THERE = (State.PRESENT, State.BELOW_THRESHOLD)
#: What says nothing of a microbleed: known from before, it stays.
UNSEEN = (State.NOT_COVERED, State.NOT_COMPARABLE)


_ELSEWHERE = "; if not found, from the last session that found it, else the next"


@dataclass(frozen=True, kw_only=True)
class TrackRow:
    """A row of ``*_label-CMB_tracks.tsv``.

    Each field is a column, which its metadata describe; ``None`` where it is not known.
    """

    track_id: int = column(
        "Number of the microbleed, the same in all sessions of the participant", required=True
    )
    session_id: str = column("Session", required=True)
    state: State = column(
        "State of the microbleed in the session", levels=State.levels, required=True
    )
    change: Change | None = column(
        "Change relative to earlier sessions; n/a if not found",
        levels=Change.levels,
    )
    since: str | None = column("First session that shows it, found or below the threshold")
    lesion_id: int | None = column("Number in the session's lesion table; n/a if not found")
    distance: float | None = column(
        f"Distance to the last known place; at most {REACH_MM:g}, or one slice if thicker",
        "mm",
    )
    x: float | None = column("Last known place in the baseline T2*w, x (right)", "mm")
    y: float | None = column("Last known place in the baseline T2*w, y (anterior)", "mm")
    z: float | None = column("Last known place in the baseline T2*w, z (superior)", "mm")
    grade: Grade | None = column(
        f"Grade by the algorithm, following MARS{_ELSEWHERE}", levels=Grade.levels
    )
    region: Region | None = column(f"Class of the place{_ELSEWHERE}", levels=Region.levels)
    mars_region: str | None = column(f"Region of the MARS form, or unassigned{_ELSEWHERE}")
    side: Side | None = column(f"Hemisphere{_ELSEWHERE}", levels=Side.levels)
    diameter: float | None = column("Largest in-plane diameter; n/a if not found", "mm")
    calibrated_probability: float | None = column(
        "Probability that the lesion is a microbleed; n/a if not found"
    )
    probability_max: float | None = column(
        "Highest CMB probability of the network (not calibrated), of the lesion; at its place if "
        "not found"
    )
    contrast: float | None = column(
        "Fractional signal loss at the place relative to its surroundings, whether found or not"
    )


#: Columns of ``*_label-CMB_tracks.tsv`` with their JSON dictionary.
TRACK_COLUMNS = MappingProxyType(columns_of(TrackRow))


def track_rows(
    histories: Sequence[History],
    lesions: Mapping[str, Sequence[Lesion]],
    sessions: Sequence[str],
    numbers: Sequence[int] | None = None,
) -> Iterator[TrackRow]:
    """Rows of the table of tracks, by track and session.

    Parameters
    ----------
    histories
        Each microbleed in the sessions that were compared.
    lesions
        Counted lesions of those sessions, by name, in their order.
    sessions
        Names of all, those among them that could not be registered.
    numbers
        Of the microbleeds; from 1 on by default.
    """
    for number, history in zip(numbers or count(1), histories, strict=False):
        seen = dict(zip(lesions, history, strict=True))
        since = next(name for name, one in seen.items() if one.state in THERE)
        found = {
            name: lesions[name][one.lesion] for name, one in seen.items() if one.lesion is not None
        }
        last = next(iter(found.values()))
        for name in sessions:
            last = found.get(name, last)
            kept = {column: getattr(last, column) for column in KEPT}
            if name not in seen:
                yield TrackRow(
                    track_id=number,
                    session_id=name,
                    state=State.NOT_COMPARABLE,
                    since=since,
                    **kept,
                )
                continue
            here, own = seen[name], found.get(name)
            x, y, z = here.place.tolist()
            yield TrackRow(
                track_id=number,
                session_id=name,
                state=here.state,
                change=here.change,
                since=since,
                distance=here.distance,
                **{"x": x, "y": y, "z": z},
                **kept,
                **({} if own is None else {column: getattr(own, column) for column in FOUND}),
                probability_max=here.evidence.probability if own is None else own.probability_max,
                contrast=here.evidence.contrast,
            )


def known_at(rows: Iterable[TrackRow], session: str) -> list[Lesion]:
    """The microbleeds that a person is known to have at a session, by what all sessions tell.

    Those that are there, found or below the threshold, and those found in a session before of
    which this one tells nothing. Microbleeds stay: only what is gone does not count.

    Parameters
    ----------
    rows
        Of all tracks, sessions in their order.
    session
        Session to look at, as the rows name it (``session_id``).

    Returns
    -------
    lesions
        Grade and place of each; nothing else is known of them there.
    """
    known = []
    for _, track in groupby(rows, key=lambda row: row.track_id):
        before = False
        for row in track:
            if row.session_id == session:
                if row.state in THERE or (before and row.state in UNSEEN):
                    known.append(
                        Lesion(status=Status.KEPT, **{name: getattr(row, name) for name in KEPT})
                    )
                break
            before |= row.state is State.PRESENT
    return known


def known_before(tracks: Sequence[TrackRow], session: str) -> list[TrackRow]:
    """Rows of microbleeds in the sessions before one that found them.

    Parameters
    ----------
    tracks
        Of the participant, all sessions.
    session
        Its name.
    """
    order = list(dict.fromkeys(row.session_id for row in tracks))
    earlier = order[: order.index(session)] if session in order else []
    return [row for row in tracks if row.session_id in earlier and row.state is State.PRESENT]
