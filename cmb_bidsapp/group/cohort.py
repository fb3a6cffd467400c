"""What a cohort has in sum, gathered one session at a time: nothing here grows with the sessions.

Sequences are pooled by how well they show microbleeds, and never beyond: SWI shows about twice as
many as GRE. Participants count once in a pool, with their first session in it, so that who was
scanned often weighs no more than others.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from cmb_bidsapp.bids.protocol import Protocol
from cmb_bidsapp.bids.tables import describe
from cmb_bidsapp.clinical.mars import GROUPS, Form
from cmb_bidsapp.clinical.summary import ClinicalSummary
from cmb_bidsapp.core.arrays import Points
from cmb_bidsapp.core.statistics import LEAST_PEOPLE, wilson
from cmb_bidsapp.group.changes import Changes
from cmb_bidsapp.group.density import Density
from cmb_bidsapp.group.flow import Flow
from cmb_bidsapp.group.judgments import TrackReading
from cmb_bidsapp.group.quality import Quality
from cmb_bidsapp.group.rates import Rates
from cmb_bidsapp.group.rating_rows import ALGORITHM
from cmb_bidsapp.group.session_records import Problem, Record, summed_source
from cmb_bidsapp.group.tables import PROTOCOL
from cmb_bidsapp.group.visits import POOL_OF

#: Digits that protocols are told apart by: T, s, mm. Scanners write 2.8936 T and 0.0200001 s.
DIGITS = {"field_strength": 1, "echo_time": 4, "slice_distance": 2}
#: Classes of the summary that participants are counted by.
CLASSES = ("burden", "category", "aria_h_baseline")
#: What a cohort keeps of its sessions and problems, to show them.
MOST = 300

#: Columns of ``group_protocols.tsv`` with their JSON dictionary.
PROTOCOL_COLUMNS = {
    "pool": describe("Sequences that are analyzed together; pools are never mixed"),
    **PROTOCOL,
    "source": describe("Source of the decisions behind the numbers: algorithm, readers or both"),
    "participants": describe("Participants with this protocol"),
    "sessions": describe("Sessions with this protocol"),
    "positive": describe("Participants with microbleeds at their first session with this protocol"),
    "prevalence": describe("positive / participants"),
    "prevalence_low": describe(
        f"Lower limit of its 95 % interval (Wilson); n/a below {LEAST_PEOPLE} participants"
    ),
    "prevalence_high": describe(
        f"Upper limit of its 95 % interval (Wilson); n/a below {LEAST_PEOPLE} participants"
    ),
    "mean_count": describe("Microbleeds per participant at the first session with this protocol"),
    "count_per_positive": describe("The same, for participants with microbleeds"),
}


@dataclass(frozen=True)
class Share:
    """A part of a number of participants."""

    part: int
    whole: int

    @property
    def value(self) -> float:
        """The share; NaN of nobody."""
        return self.part / self.whole if self.whole else math.nan

    @property
    def few(self) -> bool:
        """Whether it is of fewer than :data:`LEAST_PEOPLE`: told in numbers, without interval."""
        return self.whole < LEAST_PEOPLE

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval (Wilson 1927); NaN of few."""
        if self.few:
            return math.nan, math.nan
        return wilson(self.part, self.whole)


@dataclass
class Sessions:
    """How many sessions there are, and in how many of them readers decided."""

    sessions: int = 0
    read: int = 0

    def add(self, record: Record) -> None:
        """Add a session."""
        self.sessions += 1
        self.read += record.source != ALGORITHM

    @property
    def source(self) -> str:
        """Whose decisions the sessions rest on."""
        return summed_source(self.read, self.sessions)


@dataclass
class Tally(Sessions):
    """Sessions of a kind, and the participants in it by the microbleeds at their first one."""

    counts: Counter[int] = field(default_factory=Counter)

    @property
    def participants(self) -> int:
        """Who has such a session."""
        return self.counts.total()

    @property
    def positive(self) -> int:
        """Participants with microbleeds."""
        return self.participants - self.counts[0]

    @property
    def lesions(self) -> int:
        """Microbleeds of all of them."""
        return sum(count * people for count, people in self.counts.items())

    @property
    def prevalence(self) -> Share:
        """Share of participants with microbleeds."""
        return Share(self.positive, self.participants)

    def row(self) -> dict[str, Any]:
        """The numbers of a row of ``group_protocols.tsv``."""
        low, high = self.prevalence.interval
        return {
            "source": self.source,
            "participants": self.participants,
            "sessions": self.sessions,
            "positive": self.positive,
            "prevalence": self.prevalence.value,
            "prevalence_low": low,
            "prevalence_high": high,
            "mean_count": self.lesions / self.participants,
            "count_per_positive": self.lesions / self.positive if self.positive else None,
        }


@dataclass(kw_only=True)
class Pool(Tally):
    """Participants at their first session in a pool of sequences.

    Attributes
    ----------
    carriers
        Participants with at least one microbleed, by its group and grade; ``None`` is any.
    places
        Microbleeds by region and side; ``unassigned`` among both.
    regions
        Participants with at least one microbleed, by its region.
    classes
        Participants by class of each of :data:`CLASSES`.
    density
        Where the microbleeds are in MNI152.
    """

    carriers: Counter[tuple[str | None, str | None]] = field(default_factory=Counter)
    places: Counter[tuple[str, str]] = field(default_factory=Counter)
    regions: Counter[str] = field(default_factory=Counter)
    classes: dict[str, Counter[str]] = field(
        default_factory=lambda: {name: Counter() for name in CLASSES}
    )
    density: Density = field(default_factory=Density)

    def add_first(self, form: Form, summary: ClinicalSummary, centers: Points) -> None:
        """Add what is told of first sessions only.

        Parameters
        ----------
        form, summary
            Of the session.
        centers
            Of its microbleeds in MNI152 (mm), shape ``(n, 3)``.
        """
        for group in (None, *GROUPS):
            for grade in (None, "definite"):
                self.carriers[group, grade] += form.count(group, grade=grade) > 0
        for (place, _), number in form.counts.items():
            self.places[place.region, place.side] += number
        self.regions.update({place.region for (place, _), number in form.counts.items() if number})
        for name, classes in self.classes.items():
            classes[getattr(summary, name)] += 1
        self.density.add(centers)


class Largest:
    """The rows with the largest counts, at most :data:`MOST`, in the order they came."""

    def __init__(self) -> None:
        self._kept: list[tuple[int, int, dict[str, Any]]] = []
        self._seen = 0

    def add(self, count: int, row: dict[str, Any]) -> None:
        """Take a row; among equal counts the earlier one stays.

        Parameters
        ----------
        count
            Number that rows are ranked by.
        row
            Row to keep where its count is among the largest.
        """
        entry = (count, -self._seen, row)
        self._seen += 1
        if len(self._kept) < MOST:
            heapq.heappush(self._kept, entry)
        else:
            heapq.heappushpop(self._kept, entry)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What was kept."""
        return [row for *_, row in sorted(self._kept, key=lambda entry: -entry[1])]


class Cohort:
    """All sessions that could be read, in sum, and what could not be.

    Attributes
    ----------
    participants, total
        Who could be read, and their sessions, of all pools.
    pools
        By name.
    protocols
        By pool and the values of :data:`cmb_bidsapp.group.tables.PROTOCOL`.
    shown
        The sessions with most microbleeds.
    followed
        What readers say of microbleeds through time, of each participant where they say anything.
    problems
        The first :data:`MOST` of them.
    failed
        How many problems there are.
    """

    def __init__(self) -> None:
        self.participants = 0
        self.total = Sessions()
        self.pools: defaultdict[str, Pool] = defaultdict(Pool)
        self.protocols: defaultdict[tuple[Any, ...], Tally] = defaultdict(Tally)
        self.changes = Changes()
        self.rates = Rates()
        self.flow = Flow()
        self.quality = Quality()
        self.shown = Largest()
        self.followed: list[TrackReading] = []
        self.problems: list[Problem] = []
        self.failed = 0

    def add_problem(self, problem: Problem) -> None:
        """Add what could not be read or used."""
        self.failed += 1
        if len(self.problems) < MOST:
            self.problems.append(problem)

    def protocol_rows(self) -> list[dict[str, Any]]:
        """Rows of ``group_protocols.tsv``, by pool, the most frequent protocol first."""
        ordered = sorted(self.protocols.items(), key=lambda item: (item[0][0], -item[1].sessions))
        return [
            {**dict(zip(("pool", *PROTOCOL), key, strict=True)), **tally.row()}
            for key, tally in ordered
        ]


def protocol_of(record: Record) -> tuple[Any, ...]:
    """What tells protocols apart: pool, sequence, field strength, echo time, slice distance."""
    return (POOL_OF[record.protocol.sequence], *rounded(record.protocol).values())


def rounded(protocol: Protocol) -> dict[str, Any]:
    """A protocol as tables of protocols tell it, by column."""
    values = vars(protocol)
    return {
        name: values[name]
        if values[name] is None or name not in DIGITS
        else round(values[name], DIGITS[name])
        for name in PROTOCOL
    }
