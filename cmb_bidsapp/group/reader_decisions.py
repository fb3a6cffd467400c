"""One session after its readers: the rules of :mod:`cmb_bidsapp.group.ratings`, carried out."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from cmb_bidsapp import __version__
from cmb_bidsapp.core.arrays import Floats
from cmb_bidsapp.group.consensus import NOT_CMB, SAME_LESION_MM, same_lesions
from cmb_bidsapp.group.opinion import Opinion, modes_of
from cmb_bidsapp.group.places import LesionPlaces
from cmb_bidsapp.group.rating_rows import READ, SAME_PLACE_MM, Rating, in_words, named, ruling
from cmb_bidsapp.group.session_records import Problem, Record
from cmb_bidsapp.lesions.lesion import (
    COUNTED,
    UNASSIGNED,
    Lesion,
    Region,
    Side,
    Status,
)
from cmb_bidsapp.lesions.table import as_written, fingerprint


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What the readers of one session said.

    Attributes
    ----------
    marks
        For each candidate and each added lesion what it is, ``definite``, ``possible`` or
        ``not-cmb``, by who says so: ``algorithm``, and the readers who rated it. Readers who
        finished the session say ``not-cmb`` to lesions that only others added.
    finished
        Readers who rated every kept candidate; of a session without any, who rated anything.
    problems, notes
        Ratings that could not be used, and what was decided on the way.
    """

    participant: str
    session: str | None
    marks: tuple[Mapping[str, str], ...] = ()
    finished: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()

    def count(self, side: str) -> int:
        """Microbleeds by the word of the algorithm, or of a reader who finished."""
        return sum(mark.get(side) in COUNTED for mark in self.marks)


def decide(record: Record, given: Sequence[Rating]) -> tuple[Record, Reading]:
    """Put the readers' decisions on one session into its lesion table.

    Parameters
    ----------
    record
        Lesions of the session as the algorithm decided.
    given
        All ratings of the session, those of other results and double ones among them.

    Returns
    -------
    decided
        The record as the readers see it; as it was, where no rating could be used.
    reading
        What was said, and what was wrong.
    """
    files = record.files
    unusable = _on_other_outputs(record, given)
    judged, late = _latest(one for one in given if one.track is not None)
    if judged:
        record = dataclasses.replace(record, on_tracks=tuple(chain.from_iterable(judged.values())))
    given = [one for one in given if one.track is None]
    places, unread = _places(record, given)
    valid, wrong = _valid(record, given, places)
    unusable = wrong + unusable
    by_reader, notes = _latest(valid)
    notes += late
    kept = {lesion.lesion_id for lesion in record.lesions if lesion.kept}
    rated = {name: {rating.lesion for rating in own} for name, own in by_reader.items()}
    finished = tuple(name for name, lesions in rated.items() if kept <= lesions)
    notes += [
        Problem(
            path=files.lesions,
            reason=f"{name} rated {len(kept & lesions)} of {len(kept)} kept candidates",
        )
        for name, lesions in rated.items()
        if name not in finished
    ]
    opinions = [_on_candidate(lesion, by_reader) for lesion in record.lesions]
    opinions += _on_added(by_reader, finished, places)
    decided = [(opinion, opinion.decided()) for opinion in opinions]
    notes += [
        Problem(
            path=files.lesions,
            reason=f"the lesion added at {in_words(opinion.lesion.point)} is left out "
            f"({opinion.said})",
        )
        for opinion, lesion in decided
        if lesion is None
    ]
    reading = Reading(
        participant=files.participant,
        session=files.session,
        marks=tuple(opinion.mark() for opinion in opinions) if by_reader else (),
        finished=finished,
        problems=tuple(
            dataclasses.replace(problem, files=files) for problem in (*unread, *unusable)
        ),
        notes=tuple(dataclasses.replace(note, files=files) for note in notes),
    )
    if not by_reader:
        return record, reading
    left = _undecided(opinions, by_reader)
    read = dataclasses.replace(
        record,
        lesions=tuple(lesion for _, lesion in decided if lesion is not None),
        source=named(by_reader) + (f" ({left})" if left else ""),
        mode=modes_of(one for name in ruling(by_reader) for one in by_reader[name]),
        said=tuple(row for opinion in opinions for row in opinion.rows()),
    )
    return read, reading


def _undecided(opinions: Sequence[Opinion], by_reader: Mapping[str, Sequence[Rating]]) -> str:
    """How many candidates lack the word of readers, in words; empty where none does."""
    lacking = {
        "unrated": sum(opinion.lesion.kept and not opinion.words for opinion in opinions),
        "tied": sum(opinion.verdict is None and bool(opinion.words) for opinion in opinions),
        "not adjudicated": sum(
            bool(opinion.words) and ruling(opinion.words)[0] not in ruling(by_reader)
            for opinion in opinions
        ),
    }
    return ", ".join(f"{count} {what}" for what, count in lacking.items() if count)


def _places(record: Record, given: Iterable[Rating]) -> tuple[LesionPlaces | None, list[Problem]]:
    """The regions of the session, read only where a lesion was added."""
    if not any(rating.lesion is None and rating.decision in COUNTED for rating in given):
        return None, []
    try:
        return LesionPlaces.of(record.files), []
    except ValueError as error:
        reason = f"{error}: added lesions are {UNASSIGNED}; run the participant level again"
        return None, [Problem(path=record.files.mars, reason=reason)]


def _valid(
    record: Record, given: Iterable[Rating], places: LesionPlaces | None
) -> tuple[list[Rating], list[Problem]]:
    """The ratings that are of these results, and what is wrong with the others."""
    candidates = {lesion.lesion_id: lesion for lesion in record.lesions}
    valid = []
    wrong: dict[tuple[Path, str], list[str]] = defaultdict(list)
    for rating in given:
        fault = _fault(rating, candidates, places)
        if fault is None:
            valid.append(rating)
        else:
            wrong[rating.path, fault].append(str(rating))
    label = record.files.label
    return valid, [
        Problem(path=path, reason=f"{label}, {', '.join(which)}: {fault}")
        for (path, fault), which in wrong.items()
    ]


def _on_other_outputs(record: Record, given: Iterable[Rating]) -> list[Problem]:
    """Files whose ratings were made on another lesion table than the present one."""
    read: dict[Path, set[str]] = defaultdict(set)
    for rating in given:
        if rating.outputs is not None:
            read[rating.path].add(rating.outputs)
    if not read:
        return []
    present = fingerprint(record.files.lesions)
    return [
        Problem(
            path=path,
            reason=f"{record.files.label}: made on other outputs ({', '.join(sorted(others))}; the "
            f"lesion table is now {present}). Ratings are used if the lesion is still at the "
            "same place; check the current report",
        )
        for path, outputs in read.items()
        if (others := outputs - {present})
    ]


def _fault(
    rating: Rating, candidates: Mapping[int | None, Lesion], places: LesionPlaces | None
) -> str | None:
    """Why a rating cannot be used, and what to do."""
    other = (
        f"made on other results (version {rating.version}, now {__version__}); rate them in the "
        "current report"
    )
    if rating.decision == READ:
        return None
    if rating.lesion is not None:
        rated = candidates.get(rating.lesion)
        if rated is None:
            return f"not in the lesion table: {other}"
        # Not the other way round: a distance that is not known is no match.
        if not math.dist(rated.point, rating.point) <= SAME_PLACE_MM:
            return f"not at its place in the lesion table: {other}"
        return None
    if rating.decision == NOT_CMB:
        return None
    if places is not None and places.voxel(rating.point) is None:
        return "outside the image; check x, y, z"
    for number, lesion in candidates.items():
        if math.dist(lesion.point, rating.point) <= (lesion.diameter or 0) / 2:
            return f"is at candidate {number}; rate that candidate instead"
    return None


def _latest(ratings: Iterable[Rating]) -> tuple[dict[str, list[Rating]], list[Problem]]:
    """The last word of each reader on each place, in the order of their names."""
    by_reader: dict[str, list[Rating]] = defaultdict(list)
    late: dict[tuple[Path, Path, str], list[str]] = defaultdict(list)
    for rating in sorted(ratings, key=lambda one: (one.reader, one.date, one.path)):
        own = by_reader[rating.reader]
        earlier = next((one for one in own if one.same_place(rating)), None)
        if earlier is not None:
            own.remove(earlier)
            if not earlier.same_word(rating):
                late[earlier.path, rating.path, rating.reader].append(str(rating))
        own.append(rating)
    return dict(by_reader), [
        Problem(
            path=old, reason=f"{', '.join(which)}: a later decision of {name} is used, from {new}"
        )
        for (old, new, name), which in late.items()
    ]


def _on_candidate(lesion: Lesion, by_reader: Mapping[str, Sequence[Rating]]) -> Opinion:
    said = {n: r for n, own in by_reader.items() for r in own if r.lesion == lesion.lesion_id}
    return Opinion(lesion=lesion, ratings=said)


def _on_added(
    by_reader: Mapping[str, Sequence[Rating]], finished: Sequence[str], places: LesionPlaces | None
) -> list[Opinion]:
    """Lesions that readers added; those who finished and did not add one say no to it."""
    added = {
        name: [r for r in own if r.lesion is None and r.decision in COUNTED]
        for name, own in by_reader.items()
    }
    found = same_lesions({n: np.array([r.point for r in own]) for n, own in added.items()})
    opinions = []
    for lesion in found:
        said = {name: added[name][place] for name, place in lesion.items()}
        point = np.mean([rating.point for rating in said.values()], axis=0)
        said |= {
            name: rating
            for name, own in by_reader.items()
            if name not in said and (rating := _denied(own, point)) is not None
        }
        silent = tuple(name for name in finished if name not in said)
        opinions.append(
            Opinion(lesion=_added(point, places), ratings=said, silent=silent, added=True)
        )
    return opinions


def _denied(own: Iterable[Rating], point: Floats) -> Rating | None:
    """A reader's no to a lesion that others added."""
    return next(
        (
            rating
            for rating in own
            if (rating.lesion, rating.decision) == (None, NOT_CMB)
            and math.dist(rating.point, point) <= SAME_LESION_MM
        ),
        None,
    )


def _added(point: Sequence[float], places: LesionPlaces | None) -> Lesion:
    """What is known of an added lesion; the algorithm did not keep it."""
    x, y, z = map(float, point)
    nowhere = {
        "region": Region.UNASSIGNED,
        "mars_region": UNASSIGNED,
        "side": Side.UNASSIGNED,
        "border": False,
    }
    place = nowhere if places is None else places.look_up((x, y, z))
    return as_written(Lesion(status=Status.REJECTED, x=x, y=y, z=z, **place))
