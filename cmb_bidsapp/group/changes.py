"""What changed from session to session, of all participants, from their tables of changes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.bids.typed import decode
from cmb_bidsapp.clinical.fates import TrackFate, by_kind
from cmb_bidsapp.clinical.follow_up import ChangeRow
from cmb_bidsapp.clinical.tracks import TrackRow
from cmb_bidsapp.group.rates import ANY

#: Columns of ``*_label-CMB_changes.tsv`` that are counted.
COUNTS = ("persistent", "new", "already_there", "open", "below_threshold", "gone")


def read_changes(path: Path) -> list[ChangeRow]:
    """Read a participant's table of changes.

    Raises
    ------
    OSError
        The file cannot be opened.
    ValueError
        It is no table, or a cell is not what its column holds.
    """
    rows = [decode(ChangeRow, row) for row in read_table(path, COUNTS)]
    for row in filter(lambda row: row.compared, rows):
        for name in COUNTS:
            if getattr(row, name) is None:
                raise ValueError(f"{name} n/a: expected a whole number")
    return rows


@dataclass(kw_only=True)
class PoolFollowUps:
    """Follow-up sessions of one pool, done as before or otherwise.

    Attributes
    ----------
    lesions
        Follow-ups by their numbers of persistent, new and gone microbleeds.
    sums
        Microbleeds of all follow-ups, by the columns of :data:`COUNTS`.
    classes
        Participants by the ARIA-H class of their last follow-up.
    """

    lesions: Counter[tuple[int, int, int]] = field(default_factory=Counter)
    sums: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    _last: tuple[str, str] | None = None

    def add(self, participant: str, row: ChangeRow) -> None:
        """Add a follow-up; those of a participant come one after the other, the last one last.

        Parameters
        ----------
        participant
            Label of the participant.
        row
            Follow-up that could be compared with the baseline.
        """
        counts = {name: getattr(row, name) for name in COUNTS}
        self.lesions[counts["persistent"], counts["new"], counts["gone"]] += 1
        self.sums.update(counts)
        if self._last and self._last[0] == participant:
            self.classes[self._last[1]] -= 1
        self._last = participant, str(row.aria_h)
        self.classes[str(row.aria_h)] += 1

    @property
    def participants(self) -> int:
        """Who has a follow-up."""
        return self.classes.total()

    @property
    def sessions(self) -> int:
        """Number of follow-ups."""
        return self.lesions.total()


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
        self.by_pool: defaultdict[tuple[str, bool], PoolFollowUps] = defaultdict(PoolFollowUps)
        self.poor = 0

    def add(self, participant: str, pool: str, row: ChangeRow) -> None:
        """Add a row of ``*_label-CMB_changes.tsv``; see :meth:`PoolFollowUps.add`.

        Parameters
        ----------
        participant
            Label of the participant.
        pool
            Pool of the session's sequence, one of :data:`cmb_bidsapp.group.visits.POOLS`.
        row
            Follow-up; one that could not be compared is only counted.
        """
        if row.compared:
            otherwise = row.protocol_changed or row.processing_changed
            self.by_pool[pool, otherwise].add(participant, row)
        else:
            self.poor += 1


class Intervals:
    """Times between the sessions of one participant, and the microbleeds that are new in them.

    What is new is counted where it is first found. It came since the last session that was
    compared, or before, where it was below the threshold: the years of all intervals are the same.

    Attributes
    ----------
    found
        By pool, and whether something was done otherwise than before: of each follow-up its days
        since the last one, and its new microbleeds by kind; see :meth:`.rates.Rates.add`.
    """

    def __init__(self) -> None:
        self.found: dict[tuple[str, bool], list[tuple[float | None, Mapping[str, int]]]]
        self.found = defaultdict(list)
        self._last: float | None = 0.0

    def add(
        self, pool: str, row: ChangeRow, by_fate: Mapping[TrackFate, Sequence[TrackRow]] | None
    ) -> None:
        """Add a follow-up, in the order of time; one that was not compared adds nothing.

        Parameters
        ----------
        pool
            That of the later session.
        row
            Of the table of changes.
        by_fate
            Microbleeds by what became of them; ``None``: there is no table of tracks.
        """
        if not row.compared or row.new is None:
            return
        days = None
        if row.days is not None and self._last is not None:
            days = row.days - self._last
        self._last = row.days
        kinds = {} if by_fate is None else by_kind(by_fate[TrackFate.NEW])
        changed = row.protocol_changed or row.processing_changed
        self.found[pool, changed].append((days, {ANY: row.new, **kinds}))
