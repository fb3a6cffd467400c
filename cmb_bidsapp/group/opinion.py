"""What readers say of one lesion, and what it is by their words."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cmb_bidsapp.bids.typed import column
from cmb_bidsapp.group.consensus import NOT_CMB, consensus
from cmb_bidsapp.group.rating_rows import ALGORITHM, Rating, named, ruling
from cmb_bidsapp.lesions.lesion import COUNTED, Grade, Lesion, Reason
from cmb_bidsapp.lesions.rules import Decision
from cmb_bidsapp.lesions.table import COLUMNS

#: What ``group_decisions.tsv`` has of a rating as it is.
TOLD = ("mode", "seconds", "note", "date", "outputs")


@dataclass(frozen=True, kw_only=True)
class ReadLesion(Lesion):
    """A row of ``group_lesions.tsv`` of a session that readers looked at."""

    lesion_id: int | None = column(
        f"{COLUMNS['lesion_id']['Description']}; n/a if readers added it"
    )
    reason: Reason | None = column(COLUMNS["reason"]["Description"], levels=Reason.levels)
    grade: Grade | None = column(
        "Grade following MARS, assigned by the source", levels=Grade.levels
    )
    calibrated_probability: float | None = column(
        f"{COLUMNS['calibrated_probability']['Description']}; 1 or 0 if readers decided"
    )
    source: str | None = column(
        "Who decided on status and grade: algorithm, reader NAME, majority of N readers, or "
        "adjudicator NAME"
    )
    mode: str | None = column(
        "Reading mode of the readers who decided: aided, blinded or adjudicated; n/a if no "
        "reader decided or the mode is unknown"
    )
    seconds: float | None = column(
        "Total time that all readers spent on the candidate, as far as known",
        "s",
    )
    readers: str | None = column(
        "Decision and note of each reader; n/a if no reader rated the candidate"
    )
    algorithm: str | None = column(
        "Decision of the algorithm; n/a in sessions without a reader",
        levels=MappingProxyType(
            {
                **dict.fromkeys(map(str, Grade), "kept, with this grade"),
                "rejected": "rejected by a rule",
                "absent": "nothing: readers added the lesion",
            }
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """What is said of one lesion.

    Attributes
    ----------
    lesion
        The candidate; of a lesion that readers added, what is known of its place, not kept.
    ratings
        By reader.
    silent
        Readers who finished the session and did not add the lesion, which is a no.
    added
        Whether the algorithm has no such candidate.
    """

    lesion: Lesion
    ratings: Mapping[str, Rating]
    silent: tuple[str, ...] = ()
    added: bool = False

    @property
    def words(self) -> dict[str, str]:
        """By reader: ``definite``, ``possible`` or ``not-cmb``."""
        said = {name: rating.decision for name, rating in self.ratings.items()}
        return said | dict.fromkeys(self.silent, NOT_CMB)

    @property
    def verdict(self) -> str | None:
        """What most of those say whose words rule; ``None`` at a tie, or where nobody says any."""
        words = self.words
        return consensus([words[name] for name in ruling(words)])

    @property
    def said(self) -> str:
        """What each reader says, with the note."""
        notes = {name: f" ({one.note})" for name, one in self.ratings.items() if one.note}
        words = self.words.items()
        return "; ".join(f"{name}: {word}{notes.get(name, '')}" for name, word in words)

    @property
    def mode(self) -> str | None:
        """How those read whose words rule."""
        return modes_of(self.ratings[name] for name in ruling(self.words) if name in self.ratings)

    @property
    def seconds(self) -> float | None:
        """Time that was spent on it, as far as it is known."""
        known = [one.seconds for one in self.ratings.values() if one.seconds is not None]
        return sum(known) if known else None

    def rows(self) -> Iterator[dict[str, object]]:
        """What each reader said, as ``group_decisions.tsv`` has it."""
        for name, word in self.words.items():
            given = self.ratings.get(name)
            told = {} if given is None else {key: getattr(given, key) for key in TOLD}
            yield {
                "lesion_id": self.lesion.lesion_id,
                **dict(zip("xyz", self.lesion.point, strict=True)),
                "reader": name,
                "decision": word,
                **told,
                "algorithm": self.mark()[ALGORITHM],
                "verdict": self.verdict,
            }

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
            mode=self.mode,
            seconds=self.seconds,
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


def modes_of(ratings: Iterable[Rating]) -> str | None:
    """How those read who gave the ratings; ``None`` where no export says so."""
    return " and ".join(sorted({one.mode for one in ratings if one.mode is not None})) or None
