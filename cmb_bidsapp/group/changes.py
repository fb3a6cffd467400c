"""What changed from session to session, of all participants, from their tables of changes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from cmb_bidsapp.bids.tables import Row

#: Columns of ``*_label-CMB_changes.tsv`` that name the two sessions.
SESSIONS = ("session_id", "baseline_session_id")
#: Columns that are counted.
COUNTS = ("persistent", "new", "lost")
DOUBTFUL = "new_doubtful"
#: Columns that tell whether the scanner or the app may have made the change.
OTHERWISE = ("protocol_changed", "processing_changed")
NEEDED = frozenset({*SESSIONS, *OTHERWISE, *COUNTS, DOUBTFUL, "registration", "aria_h"})


def compared(row: Row) -> bool:
    """Whether the sessions could be registered, so that their microbleeds are compared."""
    return row["registration"] == "good"


def check(rows: Iterable[Row]) -> None:
    """See that counts are counts.

    Raises
    ------
    ValueError
        One is none.
    """
    for row in filter(compared, rows):
        for name in (*COUNTS, DOUBTFUL):
            if not row[name].isdecimal():
                raise ValueError(f"{name} {row[name]!r}: a number is expected")


@dataclass
class FollowUps:
    """Follow-up sessions of one pool, done as before or otherwise.

    Attributes
    ----------
    lesions
        Follow-ups by their numbers of persistent, new and lost microbleeds.
    classes
        Participants by the ARIA-H class of their last follow-up.
    doubtful
        Of the new ones, those whose place was suspicious before.
    """

    lesions: Counter[tuple[int, int, int]] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    doubtful: int = 0
    _last: tuple[str, str] | None = None

    def add(self, participant: str, row: Row) -> None:
        """Add a follow-up; those of a participant come one after the other, the last one last."""
        persistent, new, lost = (int(row[name]) for name in COUNTS)
        self.lesions[persistent, new, lost] += 1
        self.doubtful += int(row[DOUBTFUL])
        if self._last and self._last[0] == participant:
            self.classes[self._last[1]] -= 1
        self._last = participant, row["aria_h"]
        self.classes[row["aria_h"]] += 1

    @property
    def participants(self) -> int:
        """Who has a follow-up."""
        return self.classes.total()

    @property
    def sessions(self) -> int:
        """Number of follow-ups."""
        return self.lesions.total()

    @property
    def sums(self) -> dict[str, int]:
        """Persistent, new and lost microbleeds of all follow-ups."""
        return {
            name: sum(found[place] * times for found, times in self.lesions.items())
            for place, name in enumerate(COUNTS)
        }


class Changes:
    """Follow-ups by pool, and by whether scanner and app were as before.

    Where the protocol or the processing is another than before, what looks like a change of the
    brain may be none: such follow-ups are counted apart.

    Attributes
    ----------
    by_pool
        Follow-ups by the pool of the later session, and whether something was done otherwise.
    poor
        Follow-ups that could not be registered; counted nowhere else.
    """

    def __init__(self) -> None:
        self.by_pool: defaultdict[tuple[str, bool], FollowUps] = defaultdict(FollowUps)
        self.poor = 0

    def add(self, participant: str, pool: str, row: Row) -> None:
        """Add a checked row of ``*_label-CMB_changes.tsv``; see :meth:`FollowUps.add`."""
        if compared(row):
            otherwise = any(row[name] == "true" for name in OTHERWISE)
            self.by_pool[pool, otherwise].add(participant, row)
        else:
            self.poor += 1
