"""One row of a ratings file, as the participant report exports it."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cmb_bidsapp.bids.tables import Row
from cmb_bidsapp.bids.typed import NOT_KNOWN
from cmb_bidsapp.clinical.judged import Judgment
from cmb_bidsapp.group.consensus import DECISIONS
from cmb_bidsapp.lesions.lesion import Point

#: Whose decisions a count rests on, where no reader has looked.
ALGORITHM = "algorithm"
#: What a reader says of a session without kept candidates: looked at to the end.
READ = "read"
#: Columns of a ratings file.
RATING_COLUMNS = (
    "participant_id",
    "session_id",
    "rater",
    "lesion_id",
    "decision",
    "x",
    "y",
    "z",
    "note",
    "date",
    "version",
)
#: Columns that exports of earlier reports do not have.
LATER_COLUMNS = ("mode", "seconds", "outputs", "track_id")
#: Mode of who decides where readers disagree, and what such a reader's name begins with: their
#: words rule over those of all others.
ADJUDICATED, ADJUDICATOR = "adjudicated", "adjudicator "
#: How a session was read: with all that the algorithm says in sight, with none of it, or with what
#: readers said of it.
MODES = ("aided", "blinded", ADJUDICATED)
#: Two places this close (mm) are one; a rating whose candidate lies farther from that of the lesion
#: table is of other results.
SAME_PLACE_MM = 0.5

#: Participant and session, without their prefixes.
Key = tuple[str, str | None]


@dataclass(frozen=True, kw_only=True)
class Rating:
    """A reader's word on a place.

    Attributes
    ----------
    reader
        The name; of who adjudicated after :data:`ADJUDICATOR`, as the same person may have read.
    lesion
        Number of the candidate; ``None`` for an added lesion, for a microbleed through time, or
        where ``decision`` is ``read``.
    decision
        Of the lesion or the session; of a microbleed through time a
        :class:`~cmb_bidsapp.clinical.judged.Judgment`.
    point
        Where it is; NaN where ``decision`` is ``read``. That of a microbleed through time in the
        world of the baseline.
    date
        With its time zone; UTC where the file names none.
    version
        Of the app that wrote the report.
    mode
        One of :data:`MODES`; ``None`` where the export does not say so.
    seconds
        Spent on the candidate; ``None`` of an added lesion, or where the export does not say so.
    outputs
        Fingerprint of the lesion table that was read; ``None`` where the export does not say so.
    track
        Number of the microbleed through time that it is about; ``None`` where it is not.
    """

    path: Path
    reader: str
    lesion: int | None
    decision: str
    point: Point
    note: str
    date: datetime.datetime
    version: str
    mode: str | None = None
    seconds: float | None = None
    outputs: str | None = None
    track: int | None = None

    def __str__(self) -> str:
        if self.track is not None:
            return f"microbleed {self.track}"
        if self.lesion is not None:
            return f"candidate {self.lesion}"
        if self.decision == READ:
            return "the session"
        return f"the lesion added at {in_words(self.point)}"

    def same_place(self, other: Rating) -> bool:
        """Whether both are about the same microbleed, candidate, added lesion or session."""
        if self.track is not None or other.track is not None:
            return self.track == other.track
        if self.lesion is not None or other.lesion is not None:
            return self.lesion == other.lesion
        if READ in (self.decision, other.decision):
            return self.decision == other.decision
        return math.dist(self.point, other.point) <= SAME_PLACE_MM

    def same_word(self, other: Rating) -> bool:
        """Whether one is a copy of the other, as in a second export."""
        own, others = ((r.decision, " ".join(r.note.split()), r.date) for r in (self, other))
        return own == others


def parse(path: Path, row: Row) -> tuple[Key, Rating]:
    """Make sense of a row.

    Parameters
    ----------
    path
        File that the row is of.
    row
        Text of each cell by the name of its column.

    Returns
    -------
    key, rating
        Labels of participant and session, and what the reader said.

    Raises
    ------
    ValueError
        A value is not what its column holds; the text says what is expected.
    """
    participant = re.fullmatch(r"sub-([^_\s]+)", row["participant_id"])
    session = re.fullmatch(r"ses-([^_\s]+)|n/a", row["session_id"])
    if participant is None or session is None:
        raise ValueError(
            f"participant {row['participant_id']!r} and session {row['session_id']!r}: expected "
            "sub-LABEL, and ses-LABEL or n/a"
        )
    reader = " ".join(row["rater"].split())
    taken = reader.casefold() == ALGORITHM or reader.casefold().startswith(ADJUDICATOR)
    if reader in ("", NOT_KNOWN) or taken:
        raise ValueError(f"rater {row['rater']!r}: expected the name of a reader")
    lesion, track = _whole(row, "lesion_id"), _whole(row, "track_id")
    decision = row["decision"]
    if track is not None:
        if decision not in Judgment.levels() or lesion is not None:
            raise ValueError(
                f"decision {decision!r}: expected {', '.join(Judgment)} for a track_id, and no "
                "lesion_id"
            )
    elif decision not in (*DECISIONS, READ) or (decision == READ and lesion is not None):
        raise ValueError(
            f"decision {decision!r}: expected {', '.join(DECISIONS)}, or {READ} for a session"
        )
    point = _point_of(row)
    if decision != READ and not all(map(math.isfinite, point)):
        raise ValueError("x, y, z: expected three numbers (mm)")
    try:
        date = datetime.datetime.fromisoformat(row["date"])
    except ValueError:
        raise ValueError(f"date {row['date']!r}: expected ISO 8601") from None
    note = "" if row["note"] == NOT_KNOWN else row["note"]
    zoned = date if date.tzinfo else date.replace(tzinfo=datetime.UTC)
    mode, seconds, outputs = _later(row)
    if mode == ADJUDICATED:
        reader = f"{ADJUDICATOR}{reader}"
    rating = Rating(
        path=path,
        reader=reader,
        lesion=lesion,
        decision=decision,
        point=point,
        note=note,
        date=zoned,
        version=row["version"],
        mode=mode,
        seconds=seconds,
        outputs=outputs,
        track=track,
    )
    return (participant.group(1), session.group(1)), rating


def _later(row: Row) -> tuple[str | None, float | None, str | None]:
    """Mode, seconds and outputs, as far as the export has them."""
    mode, seconds, outputs = (row.get(name, NOT_KNOWN) for name in ("mode", "seconds", "outputs"))
    if mode not in (*MODES, NOT_KNOWN):
        raise ValueError(f"mode {mode!r}: expected {', '.join(MODES)} or {NOT_KNOWN}")
    spent = None if seconds == NOT_KNOWN else _number(seconds)
    if spent is not None and not 0 <= spent < math.inf:
        raise ValueError(f"seconds {seconds!r}: expected a number of 0 or more, or {NOT_KNOWN}")
    return None if mode == NOT_KNOWN else mode, spent, None if outputs == NOT_KNOWN else outputs


def _whole(row: Row, column: str) -> int | None:
    """Number in a cell; ``None`` where there is none, or no such column."""
    text = row.get(column, NOT_KNOWN)
    try:
        return None if text == NOT_KNOWN else int(text)
    except ValueError:
        raise ValueError(f"{column} {text!r}: expected a number") from None


def _point_of(row: Row) -> Point:
    """``x``, ``y``, ``z`` of a row of a table, NaN where they are no numbers."""
    x, y, z = (_number(row.get(axis, NOT_KNOWN)) for axis in "xyz")
    return x, y, z


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def ruling(readers: Iterable[str]) -> list[str]:
    """Whose words decide: of who adjudicated, and of all readers where nobody did.

    >>> ruling(["AB", "adjudicator EF", "CD"]), ruling(["AB", "CD"])
    (['adjudicator EF'], ['AB', 'CD'])
    """
    names = list(readers)
    return [name for name in names if name.startswith(ADJUDICATOR)] or names


def named(readers: Iterable[str]) -> str:
    """Whose decision it is, of one reader or several.

    >>> named(["AB"]), named(["AB", "CD"]), named(["AB", "CD", "adjudicator EF"])
    ('reader AB', 'majority of 2 readers', 'adjudicator EF')
    """
    first, *others = ruling(readers)
    adjudicated = first.startswith(ADJUDICATOR)
    if not others:
        return first if adjudicated else f"reader {first}"
    return f"majority of {1 + len(others)} {'adjudicators' if adjudicated else 'readers'}"


def in_words(point: Point) -> str:
    """A place as people read it."""
    return ", ".join(f"{mm:.1f}" for mm in point) + " mm"
