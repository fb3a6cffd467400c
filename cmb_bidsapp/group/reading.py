"""One session after its readers: the rules of :mod:`cmb_bidsapp.group.ratings`, carried out."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from cmb_bidsapp import __version__
from cmb_bidsapp.bids.typed import column
from cmb_bidsapp.group.consensus import NOT_CMB, consensus, same_lesions
from cmb_bidsapp.group.places import Places
from cmb_bidsapp.group.rating import READ, SAME_PLACE_MM, Rating, in_words
from cmb_bidsapp.group.records import ALGORITHM, Problem, Record
from cmb_bidsapp.lesions.lesion import (
    COUNTED,
    UNASSIGNED,
    Grade,
    Lesion,
    Reason,
    Region,
    Side,
    Status,
)
from cmb_bidsapp.lesions.rules import Decision
from cmb_bidsapp.lesions.table import COLUMNS, as_written, fingerprint


@dataclass(frozen=True, kw_only=True)
class ReadLesion(Lesion):
    """A row of ``group_lesions.tsv`` of a session that readers looked at."""

    lesion_id: int | None = column(
        f"{COLUMNS['lesion_id']['Description']}; n/a for one that was added"
    )
    reason: Reason | None = column(COLUMNS["reason"]["Description"], levels=Reason.levels)
    grade: Grade | None = column("Grade after MARS, of whom source names", levels=Grade.levels)
    calibrated_probability: float | None = column(
        f"{COLUMNS['calibrated_probability']['Description']}; 1 or 0 where readers decided"
    )
    source: str | None = column(
        "Who decided on status and grade: algorithm, reader NAME, or majority of N readers"
    )
    readers: str | None = column(
        "What each reader said, with the note; n/a where none rated the candidate"
    )
    algorithm: str | None = column(
        "What the algorithm said; n/a in sessions that nobody read",
        levels=MappingProxyType(
            {
                **dict.fromkeys(map(str, Grade), "kept, with this grade"),
                "rejected": "rejected by CFPR",
                "absent": "nothing: readers added the lesion",
            }
        ),
    )


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Opinion:
    """What is said of one lesion.

    Attributes
    ----------
    lesion
        The candidate; of a lesion that readers added, what is known of its place, not kept.
    words
        By reader: ``definite``, ``possible`` or ``not-cmb``.
    remarks
        By reader: the note.
    added
        Whether the algorithm has no such candidate.
    """

    lesion: Lesion
    words: Mapping[str, str]
    remarks: Mapping[str, str]
    added: bool = False

    @property
    def verdict(self) -> str | None:
        """What most readers say; ``None`` at a tie, or where nobody says anything."""
        return consensus(list(self.words.values()))

    @property
    def said(self) -> str:
        """What each reader says, with the note."""
        return "; ".join(
            f"{name}: {word}" + (f" ({self.remarks[name]})" if self.remarks.get(name) else "")
            for name, word in self.words.items()
        )

    def mark(self) -> dict[str, str]:
        """What it is by each word, that of the algorithm first."""
        counts = self.lesion.counted
        return {ALGORITHM: str(self.lesion.grade) if counts else NOT_CMB, **self.words}

    def decided(self) -> ReadLesion | None:
        """The lesion after the readers; ``None`` for an added one that they leave out."""
        verdict = self.verdict
        if self.added and verdict not in COUNTED:
            return None
        tie = verdict is None and self.words
        lesion = ReadLesion(
            **vars(self.lesion),
            source=f"{ALGORITHM}, at a tie of {len(self.words)} readers" if tie else ALGORITHM,
            readers=self.said or None,
            algorithm=self._algorithm(),
        )
        if verdict is None:
            return lesion
        decision = Decision(verdict in COUNTED, Reason.READER, named(self.words))
        lesion = dataclasses.replace(
            lesion,
            status=decision.status,
            reason=decision.reason,
            source=decision.by,
            calibrated_probability=float(decision.kept),
        )
        if not decision.kept:
            return lesion
        return dataclasses.replace(lesion, grade=Grade(verdict), grade_reason=Reason.READER.value)

    def _algorithm(self) -> str:
        if self.added:
            return "absent"
        return str(self.lesion.grade) if self.lesion.kept else "rejected"


def named(readers: Collection[str]) -> str:
    """Whose decision it is, of one reader or several."""
    if len(readers) == 1:
        return f"reader {next(iter(readers))}"
    return f"majority of {len(readers)} readers"


def decide(record: Record, given: Sequence[Rating]) -> tuple[Record, Reading]:
    """Put the readers' decisions on one session into its lesion table.

    Parameters
    ----------
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
    places, unread = _places(record, given)
    valid, unusable = _valid(record, given, places)
    unusable += _on_other_outputs(record, given)
    by_reader, notes = _latest(valid)
    kept = {lesion.lesion_id for lesion in record.lesions if lesion.kept}
    rated = {name: {rating.lesion for rating in own} for name, own in by_reader.items()}
    finished = tuple(name for name, lesions in rated.items() if kept <= lesions)
    notes += [
        Problem(files.lesions, f"{name} rated {len(kept & lesions)} of {len(kept)} kept candidates")
        for name, lesions in rated.items()
        if name not in finished
    ]
    opinions = [_on_candidate(lesion, by_reader) for lesion in record.lesions]
    opinions += _on_added(by_reader, finished, places)
    decided = [(opinion, opinion.decided()) for opinion in opinions]
    notes += [
        Problem(
            files.lesions,
            f"the lesion added at {in_words(opinion.lesion.point)} is left out ({opinion.said})",
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
    lacking = {
        "unrated": sum(opinion.lesion.kept and not opinion.words for opinion in opinions),
        "tied": sum(opinion.verdict is None and bool(opinion.words) for opinion in opinions),
    }
    left = ", ".join(f"{count} {what}" for what, count in lacking.items() if count)
    source = named(by_reader) + (f" ({left})" if left else "")
    left_in = tuple(lesion for _, lesion in decided if lesion is not None)
    return dataclasses.replace(record, lesions=left_in, source=source), reading


def _places(record: Record, given: Iterable[Rating]) -> tuple[Places | None, list[Problem]]:
    """The regions of the session, read only where a lesion was added."""
    if not any(rating.lesion is None and rating.decision in COUNTED for rating in given):
        return None, []
    try:
        return Places.of(record.files), []
    except ValueError as error:
        reason = f"{error}: added lesions are {UNASSIGNED}; run the participant level again"
        return None, [Problem(record.files.mars, reason)]


def _valid(
    record: Record, given: Iterable[Rating], places: Places | None
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
        Problem(path, f"{label}, {', '.join(which)}: {fault}")
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
            path,
            f"{record.files.label}: made on other outputs ({', '.join(sorted(others))}; the lesion "
            f"table is now {present}); what lies where it lay is used, look at the present report",
        )
        for path, outputs in read.items()
        if (others := outputs - {present})
    ]


def _fault(
    rating: Rating, candidates: Mapping[int | None, Lesion], places: Places | None
) -> str | None:
    """Why a rating cannot be used, and what to do."""
    other = (
        f"of other results (version {rating.version}, now {__version__}); rate them in the present "
        "report"
    )
    if rating.decision == READ:
        return None
    if rating.lesion is not None:
        rated = candidates.get(rating.lesion)
        if rated is None:
            return f"not in the lesion table, so {other}"
        # Not the other way round: a distance that is not known is no match.
        if not math.dist(rated.point, rating.point) <= SAME_PLACE_MM:
            return f"not where the lesion table has it, so {other}"
        return None
    if rating.decision == NOT_CMB:
        return None
    if places is not None and places.voxel(rating.point) is None:
        return "outside the image; check x, y, z"
    for number, lesion in candidates.items():
        if math.dist(lesion.point, rating.point) <= (lesion.diameter or 0) / 2:
            return f"lies on candidate {number}; rate that one instead"
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
        Problem(old, f"{', '.join(which)}: a later decision of {name} is used, from {new}")
        for (old, new, name), which in late.items()
    ]


def _on_candidate(lesion: Lesion, by_reader: Mapping[str, Sequence[Rating]]) -> Opinion:
    said = {n: r for n, own in by_reader.items() for r in own if r.lesion == lesion.lesion_id}
    words = {name: rating.decision for name, rating in said.items()}
    return Opinion(lesion, words, {name: rating.note for name, rating in said.items()})


def _on_added(
    by_reader: Mapping[str, Sequence[Rating]], finished: Sequence[str], places: Places | None
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
        silent = {name: NOT_CMB for name in finished if name not in said}
        point = np.mean([rating.point for rating in said.values()], axis=0)
        opinions.append(
            Opinion(
                _added(point, places),
                {name: rating.decision for name, rating in said.items()} | silent,
                {name: rating.note for name, rating in said.items()},
                added=True,
            )
        )
    return opinions


def _added(point: Sequence[float], places: Places | None) -> Lesion:
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
