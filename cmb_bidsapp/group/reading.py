"""One session after its readers: the rules of :mod:`cmb_bidsapp.group.ratings`, carried out."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmb_bidsapp import __version__
from cmb_bidsapp.group.consensus import NOT_CMB, consensus, same_lesions
from cmb_bidsapp.group.places import Places
from cmb_bidsapp.group.rating import (
    NOT_KNOWN,
    READ,
    SAME_PLACE_MM,
    Rating,
    in_words,
    number,
    point_of,
)
from cmb_bidsapp.group.records import ALGORITHM, Problem, Record
from cmb_bidsapp.lesions.candidates import UNASSIGNED
from cmb_bidsapp.lesions.grading import COUNTED
from cmb_bidsapp.lesions.table import COLUMNS, Row

#: Reason of a lesion that stands, or does not, by readers' word.
READER = "reader"


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
    row
        The candidate; of a lesion that readers added, what is known of its place.
    words
        By reader: ``definite``, ``possible`` or ``not-cmb``.
    remarks
        By reader: the note.
    added
        Whether the algorithm has no such candidate.
    """

    row: Row
    words: Mapping[str, str]
    remarks: Mapping[str, str]
    added: bool = False

    @property
    def verdict(self) -> str | None:
        """What most readers say; ``None`` at a tie, or where nobody says anything."""
        return consensus(list(self.words.values()))

    @property
    def kept(self) -> bool:
        """Whether the algorithm kept it."""
        return not self.added and self.row["status"] == "kept"

    @property
    def said(self) -> str:
        """What each reader says, with the note."""
        return "; ".join(
            f"{name}: {word}" + (f" ({self.remarks[name]})" if self.remarks.get(name) else "")
            for name, word in self.words.items()
        )

    def mark(self) -> dict[str, str]:
        """What it is by each word, that of the algorithm first."""
        counts = self.kept and self.row["grade"] in COUNTED
        return {ALGORITHM: self.row["grade"] if counts else NOT_CMB, **self.words}

    def decided(self) -> Row | None:
        """Its row in the table; ``None`` for an added lesion that the readers leave out."""
        verdict = self.verdict
        if self.added and verdict not in COUNTED:
            return None
        row = {
            **self.row,
            "source": ALGORITHM,
            "readers": self.said or NOT_KNOWN,
            "algorithm": self._algorithm(),
        }
        if verdict is None:
            tie = f"{ALGORITHM}, at a tie of {len(self.words)} readers"
            return {**row, "source": tie} if self.words else row
        row |= {
            "status": "kept" if verdict in COUNTED else "rejected",
            "reason": READER,
            "source": named(self.words),
            "calibrated_probability": "1" if verdict in COUNTED else "0",
        }
        return row if verdict == NOT_CMB else {**row, "grade": verdict, "grade_reason": READER}

    def _algorithm(self) -> str:
        if self.added:
            return "absent"
        return self.row["grade"] if self.kept else "rejected"


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
    by_reader, notes = _latest(valid)
    kept = {row["lesion_id"] for row in record.lesions if row["status"] == "kept"}
    rated = {name: {rating.lesion for rating in own} for name, own in by_reader.items()}
    finished = tuple(name for name, lesions in rated.items() if kept <= lesions)
    notes += [
        Problem(files.lesions, f"{name} rated {len(kept & lesions)} of {len(kept)} kept candidates")
        for name, lesions in rated.items()
        if name not in finished
    ]
    opinions = [_on_candidate(row, by_reader) for row in record.lesions]
    opinions += _on_added(by_reader, finished, places)
    rows = [(opinion, opinion.decided()) for opinion in opinions]
    notes += [
        Problem(
            files.lesions,
            f"the lesion added at {in_words(point_of(opinion.row))} is left out ({opinion.said})",
        )
        for opinion, row in rows
        if row is None
    ]
    reading = Reading(
        files.participant,
        files.session,
        tuple(opinion.mark() for opinion in opinions) if by_reader else (),
        finished,
        tuple(dataclasses.replace(problem, files=files) for problem in (*unread, *unusable)),
        tuple(dataclasses.replace(note, files=files) for note in notes),
    )
    if not by_reader:
        return record, reading
    lacking = {
        "unrated": sum(opinion.kept and not opinion.words for opinion in opinions),
        "tied": sum(opinion.verdict is None and bool(opinion.words) for opinion in opinions),
    }
    left = ", ".join(f"{count} {what}" for what, count in lacking.items() if count)
    source = named(by_reader) + (f" ({left})" if left else "")
    lesions = tuple(row for _, row in rows if row is not None)
    return dataclasses.replace(record, lesions=lesions, source=source), reading


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
    candidates = {row["lesion_id"]: row for row in record.lesions}
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


def _fault(rating: Rating, candidates: Mapping[str, Row], places: Places | None) -> str | None:
    """Why a rating cannot be used, and what to do."""
    other = (
        f"of other results (version {rating.version}, now {__version__}); rate them in the present "
        "report"
    )
    if rating.decision == READ:
        return None
    if rating.lesion is not None:
        row = candidates.get(rating.lesion)
        if row is None:
            return f"not in the lesion table, so {other}"
        # Not the other way round: a distance that is not known is no match.
        if not math.dist(point_of(row), rating.point) <= SAME_PLACE_MM:
            return f"not where the lesion table has it, so {other}"
        return None
    if rating.decision == NOT_CMB:
        return None
    if places is not None and places.voxel(rating.point) is None:
        return "outside the image; check x, y, z"
    for lesion, row in candidates.items():
        if math.dist(point_of(row), rating.point) <= number(row.get("diameter", NOT_KNOWN)) / 2:
            return f"lies on candidate {lesion}; rate that one instead"
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


def _on_candidate(row: Row, by_reader: Mapping[str, Sequence[Rating]]) -> Opinion:
    said = {n: r for n, own in by_reader.items() for r in own if r.lesion == row["lesion_id"]}
    words = {name: rating.decision for name, rating in said.items()}
    return Opinion(row, words, {name: rating.note for name, rating in said.items()})


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
                _added_row(point, places),
                {name: rating.decision for name, rating in said.items()} | silent,
                {name: rating.note for name, rating in said.items()},
                added=True,
            )
        )
    return opinions


def _added_row(point: Sequence[float], places: Places | None) -> dict[str, str]:
    """What is known of an added lesion; all else is not."""
    x, y, z = map(float, point)
    nowhere = dict.fromkeys(("region", "mars_region", "side"), UNASSIGNED) | {"border": "false"}
    return {
        **dict.fromkeys(COLUMNS, NOT_KNOWN),
        **(nowhere if places is None else places.look_up((x, y, z))),
        **{axis: f"{mm:.6g}" for axis, mm in zip("xyz", (x, y, z), strict=True)},
    }
