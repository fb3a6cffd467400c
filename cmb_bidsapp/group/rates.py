"""New microbleeds per year of follow-up, with exact Poisson intervals."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cmb_bidsapp.bids.tables import describe
from cmb_bidsapp.clinical.fates import KINDS
from cmb_bidsapp.core.statistics import LEAST_PEOPLE, poisson
from cmb_bidsapp.group.people import ARM_OF_SUMS, arm_rank, arms_of
from cmb_bidsapp.group.session_records import summed_source

DAYS_A_YEAR = 365.25
#: Microbleeds of any kind.
ANY = "any"

#: Columns of ``group_rates.tsv`` with their JSON dictionary.
RATE_COLUMNS = {
    "pool": describe("Sequences that are analyzed together; pools are never mixed"),
    "changed": describe(
        "Whether the protocol or the processing changed, which alone can make microbleeds look new"
    ),
    "arm": ARM_OF_SUMS,
    "source": describe(
        "Source of the decisions behind the numbers: algorithm, readers or both. Readers count as "
        "the source of all follow-ups of a participant if they read any of the sessions"
    ),
    "kind": describe("Kind of microbleeds: any, a group of regions of the MARS form, or a grade"),
    "participants": describe("Participants with such follow-ups at known times"),
    "follow_ups": describe("Such follow-ups at known times"),
    "untimed": describe("Such follow-ups at unknown times; not included in any number here"),
    "years": describe(
        "Follow-up time, summed over participants; each follow-up counts from the last session "
        "that was compared",
        "y",
    ),
    "new": describe(
        "New microbleeds: nothing dark at the place in the first session that can show it"
    ),
    "participants_with_new": describe("Participants with a new microbleed"),
    "rate": describe("new / years, a rate per person-time", "1/y"),
    "rate_low": describe(
        "Lower limit of its exact 95 % Poisson interval (Garwood 1936). The interval assumes "
        "independent microbleeds; those of one participant are not, so it is too narrow. n/a below "
        f"{LEAST_PEOPLE} participants",
        "1/y",
    ),
    "rate_high": describe("Upper limit of the same interval", "1/y"),
}


@dataclass(kw_only=True)
class _Followed:
    """Follow-up time of a stratum, and what is new in it."""

    participants: int = 0
    follow_ups: int = 0
    untimed: int = 0
    years: float = 0.0
    new: int = 0
    with_new: int = 0
    read: int = 0

    def row(self) -> dict[str, Any]:
        low, high = math.nan, math.nan
        if self.participants >= LEAST_PEOPLE and self.years:
            low, high = (end / self.years for end in poisson(self.new))
        return {
            "source": summed_source(self.read, self.follow_ups + self.untimed, "follow-ups"),
            "participants": self.participants,
            "follow_ups": self.follow_ups,
            "untimed": self.untimed,
            "years": self.years,
            "new": self.new,
            "participants_with_new": self.with_new,
            "rate": self.new / self.years if self.years else math.nan,
            "rate_low": low,
            "rate_high": high,
        }


@dataclass
class Rates:
    """New microbleeds and time of all participants, added one participant after the other."""

    _strata: dict[tuple[str, bool, str, str], _Followed] = field(
        default_factory=lambda: defaultdict(_Followed)
    )

    def add(
        self,
        pool: str,
        *,
        changed: bool,
        intervals: list[tuple[float | None, Mapping[str, int]]],
        read: bool = False,
        arm: str | None = None,
    ) -> None:
        """Add the follow-ups of a participant in one stratum.

        Parameters
        ----------
        pool, changed
            The stratum: sequences, and whether scanner or app were otherwise than before.
        intervals
            Of each follow-up the days since the last session that was compared, and the numbers
            of new microbleeds by kind, :data:`ANY` among them; a kind that is not known is left
            out.
        read
            Whether they rest on decisions of readers.
        arm
            Of the participant, if known: they also count in its rows.
        """
        for kind in (ANY, *KINDS):
            known = [(days, new[kind]) for days, new in intervals if kind in new]
            timed = [(days, new) for days, new in known if days is not None and days > 0]
            if not known:
                continue
            news = sum(new for _, new in timed)
            for name in arms_of(arm):
                stratum = self._strata[pool, changed, name, kind]
                stratum.participants += bool(timed)
                stratum.follow_ups += len(timed)
                stratum.untimed += len(known) - len(timed)
                stratum.years += sum(days for days, _ in timed) / DAYS_A_YEAR
                stratum.new += news
                stratum.with_new += news > 0
                stratum.read += len(known) * read

    def rows(self) -> Iterator[dict[str, Any]]:
        """Rows of ``group_rates.tsv``."""
        order = (ANY, *KINDS)

        def rank(item: tuple[tuple[str, bool, str, str], _Followed]) -> tuple[Any, ...]:
            pool, changed, arm, kind = item[0]
            return pool, changed, arm_rank(arm), order.index(kind)

        for (pool, changed, arm, kind), stratum in sorted(self._strata.items(), key=rank):
            first = {"pool": pool, "changed": changed, "arm": arm, "kind": kind}
            yield {**first, **stratum.row()}
