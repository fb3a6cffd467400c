"""What readers say of microbleeds through time, by the words of all of them."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.clinical.judged import Judgment, Judgments, contradicted
from cmb_bidsapp.clinical.tracks import TrackRow
from cmb_bidsapp.group.opinion import TOLD, modes_of
from cmb_bidsapp.group.rating_rows import ALGORITHM, SAME_PLACE_MM, Rating, named, ruling
from cmb_bidsapp.group.session_records import Problem, Record
from cmb_bidsapp.lesions.presence import Change, State

#: What the algorithm says of a microbleed at a follow-up, as far as a reader has a word for it.
_IN_WORDS: Mapping[State | Change | None, Judgment] = {
    Change.NEW: Judgment.NEW,
    Change.ALREADY_THERE: Judgment.THERE_BEFORE,
    Change.PERSISTENT: Judgment.THERE_BEFORE,
    State.BELOW_THRESHOLD: Judgment.THERE_BEFORE,
    State.GONE: Judgment.GONE,
}


@dataclass(frozen=True)
class TrackOpinion:
    """What is said of one microbleed at one follow-up.

    Attributes
    ----------
    row
        As the algorithm has it.
    ratings
        By reader.
    """

    row: TrackRow
    ratings: Mapping[str, Rating]

    @property
    def ruling(self) -> list[Rating]:
        """Those whose words decide."""
        return [self.ratings[name] for name in ruling(self.ratings)]

    @property
    def verdict(self) -> Judgment | None:
        """What most of them say; ``None`` where none of their words is said most often."""
        (word, most), *others = Counter(one.decision for one in self.ruling).most_common(2)
        return None if others and others[0][1] == most else Judgment(word)

    def mark(self) -> dict[str, str]:
        """What it is by each word, that of the algorithm first where it has one."""
        own = _IN_WORDS.get(self.row.change or self.row.state)
        # Seen here first, but not counted: whether that is new is told where it counts.
        if self.row.state is State.BELOW_THRESHOLD and self.row.since == self.row.session_id:
            own = None
        words = {name: one.decision for name, one in self.ratings.items()}
        return words if own is None else {ALGORITHM: own, **words}

    def rows(self) -> Iterator[dict[str, object]]:
        """What each reader said, as ``group_decisions.tsv`` has it."""
        for name, one in self.ratings.items():
            yield {
                "track_id": self.row.track_id,
                **dict(zip("xyz", one.point, strict=True)),
                "reader": name,
                "decision": one.decision,
                **{key: getattr(one, key) for key in TOLD},
                "algorithm": self.row.change or self.row.state,
                "verdict": self.verdict,
            }


@dataclass(frozen=True)
class TrackReading:
    """What the readers of one participant said of its microbleeds through time.

    Attributes
    ----------
    marks
        For each microbleed at each follow-up a :class:`Judgment` by who says so: ``algorithm``,
        where it decides, and the readers who rated it.
    """

    participant: str
    marks: tuple[Mapping[str, str], ...]


def opinions_on(
    tracks: Sequence[TrackRow], sessions: Mapping[str | None, Record], files: SessionFiles
) -> tuple[list[TrackOpinion], list[Problem]]:
    """Bring together what readers say of each microbleed at each follow-up.

    Parameters
    ----------
    tracks
        Of the participant, as the algorithm made them.
    sessions
        Those that could be read, by name.
    files
        Of the participant.

    Returns
    -------
    opinions, problems
        What is said, and words on microbleeds that these results do not have.
    """
    rows = {(row.session_id, row.track_id): row for row in tracks}
    said: dict[tuple[str | None, int | None], dict[str, Rating]] = defaultdict(dict)
    problems = []
    for name, record in sessions.items():
        for one in record.on_tracks:
            row = rows.get((str(name), one.track or 0))
            if row is None or not _same_place(row, one):
                cause = (
                    f"{name}, {one}: not in {files.tracks.name} at its place: made on other "
                    "results; rate it in the current report"
                )
                problems.append(Problem(path=one.path, reason=cause, files=files))
            else:
                said[name, one.track][one.reader] = one
    return [
        TrackOpinion(rows[str(name), track or 0], by_reader)
        for (name, track), by_reader in said.items()
    ], problems


def _same_place(row: TrackRow, one: Rating) -> bool:
    place = [math.nan if mm is None else mm for mm in (row.x, row.y, row.z)]
    # A place that is not known is none.
    return math.dist(place, one.point) <= SAME_PLACE_MM


def judgments_of(opinions: Sequence[TrackOpinion]) -> Judgments:
    """What is decided on the microbleeds; a tie decides nothing."""
    found: dict[int, dict[str, Judgment]] = defaultdict(dict)
    for one in opinions:
        if one.verdict is not None:
            found[one.row.track_id][one.row.session_id] = one.verdict
    return found


def deciders(opinions: Sequence[TrackOpinion]) -> tuple[str, str | None]:
    """Whose words on microbleeds decide, and how those read."""
    readers = sorted({name for one in opinions for name in one.ratings})
    return named(readers), modes_of(rating for one in opinions for rating in one.ruling)


def contradictions(
    tracks: Sequence[TrackRow], opinions: Sequence[TrackOpinion], files: SessionFiles
) -> list[Problem]:
    """Words that the counted lesions do not allow, and what to do.

    Parameters
    ----------
    tracks
        After the readers.
    opinions
        What readers say.
    files
        Of the participant.
    """
    judgments = judgments_of(opinions)
    return [
        Problem(
            path=files.tracks,
            reason=f"{session}, microbleed {track}: rated {judgments[track][session]}, "
            "but its lesion is counted in that session or before; rate the candidate in the report",
            files=files,
        )
        for track, session in contradicted(tracks, judgments)
    ]
