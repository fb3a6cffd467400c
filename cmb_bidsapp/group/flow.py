"""Flow of participants and sessions: how many were scanned, processed, followed and compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from cmb_bidsapp.bids.tables import describe
from cmb_bidsapp.bids.typed import Level
from cmb_bidsapp.group.people import ALL_ARMS, ARM_OF_SUMS, arm_rank, arms_of


class Step(Level):
    """A step of the flow, with what it means."""

    SCANNED = "scanned", "in the output folder: processed, failed, or without a usable T2*w image"
    NO_T2STAR = "no-t2star", "scanned, but without a usable T2*w image"
    FAILED = "failed", "scanned, but the last run failed or the results cannot be read"
    PROCESSED = "processed", "scanned, and included in the tables"
    NO_T1W = "no-t1w", "processed without a T1w image"
    FOLLOW_UPS = "follow-ups", "processed, and listed as follow-ups of a baseline"
    NOT_REGISTERED = (
        "not-registered",
        "follow-ups that could not be registered to the baseline, so not comparable",
    )
    CHANGED = (
        "changed",
        "follow-ups with a changed protocol or processing, so not comparable with the others",
    )
    COMPARABLE = "comparable", "follow-ups acquired and processed as before"

    @property
    def above(self) -> Step | None:
        """Which step it is a part of."""
        return _ABOVE.get(self)


_ABOVE = {
    **dict.fromkeys((Step.NO_T2STAR, Step.FAILED, Step.PROCESSED), Step.SCANNED),
    **dict.fromkeys((Step.NO_T1W, Step.FOLLOW_UPS), Step.PROCESSED),
    **dict.fromkeys((Step.NOT_REGISTERED, Step.CHANGED, Step.COMPARABLE), Step.FOLLOW_UPS),
}

#: Columns of ``group_flow.tsv`` with their JSON dictionary.
FLOW_COLUMNS = {
    "arm": ARM_OF_SUMS,
    "step": describe("Step of the flow") | {"Levels": Step.levels()},
    "of": describe("Step that includes this one; n/a for the first step"),
    "participants": describe(
        "Participants with at least one session in this step; they may be in several steps"
    ),
    "sessions": describe("Sessions in this step"),
}


@dataclass
class Flow:
    """Participants and sessions by step, added one participant after the other."""

    participants: Counter[tuple[str, Step]] = field(default_factory=Counter)
    sessions: Counter[tuple[str, Step]] = field(default_factory=Counter)

    def add(self, steps: Iterable[Step], arm: str | None = None) -> None:
        """Add a participant; what each step is a part of follows.

        Parameters
        ----------
        steps
            Of all sessions.
        arm
            Of the participant, if known: they also count in its rows.
        """
        own = Counter(steps)
        for whole in (Step.SCANNED, Step.FOLLOW_UPS):
            own[whole] = sum(own[step] for step in Step if step.above is whole)
        for name in arms_of(arm):
            self.sessions.update({(name, step): number for step, number in own.items()})
            self.participants.update((name, step) for step, number in own.items() if number)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Rows of ``group_flow.tsv``, zeros among them: those of all participants, then by arm."""
        arms = {ALL_ARMS, *(arm for arm, _ in self.sessions)}
        for arm, step in product(sorted(arms, key=arm_rank), Step):
            yield {
                "arm": arm,
                "step": step,
                "of": step.above,
                "participants": self.participants[arm, step],
                "sessions": self.sessions[arm, step],
            }
