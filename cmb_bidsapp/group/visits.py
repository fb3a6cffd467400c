"""Visit number and pool of a session: when it was acquired, and which sessions it may join."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from cmb_bidsapp.bids.protocol import SequenceKind
from cmb_bidsapp.bids.typed import column, columns_of
from cmb_bidsapp.clinical.follow_up import ChangeRow
from cmb_bidsapp.group.people import NOBODY, Demographics

#: Pools of sequences; the last one is of sessions that do not tell theirs.
GRE, SWI, UNKNOWN = POOLS = ("GRE", "SWI", "unknown")
POOL_OF = MappingProxyType(
    {
        SequenceKind.T2STARW: GRE,
        SequenceKind.MEGRE: GRE,
        SequenceKind.GRE: GRE,
        SequenceKind.SWI: SWI,
        SequenceKind.UNKNOWN: UNKNOWN,
    }
)


# Columns are those of the last base first.
@dataclass(frozen=True, kw_only=True)
class _When:
    """Where a session stands in time; each field is a column."""

    pool: str = column("Sequences that are analyzed together; pools are never mixed", required=True)
    visit: int | None = column(
        "Number of the session in time; the baseline is 1. The order is that of the follow-ups, or "
        "of the session labels if there are none; n/a for sessions left out of the follow-ups"
    )
    baseline: bool | None = column("Whether this is the participant's first session")
    days: float | None = column("Days since the baseline, if the times are known", "d")


@dataclass(frozen=True, kw_only=True)
class GroupVisit(Demographics, _When):
    """A session in its participant's follow-up, and who the participant is."""


#: Columns of every table with sessions, with their JSON dictionary.
VISIT_COLUMNS = MappingProxyType(columns_of(GroupVisit))


def visits_of(
    sequences: Mapping[str | None, SequenceKind],
    follow_ups: Sequence[ChangeRow],
    person: Demographics = NOBODY,
) -> dict[str | None, GroupVisit]:
    """Visits of one participant.

    Parameters
    ----------
    sequences
        Kind of sequence of each session by its name (``ses-A``), in the order of labels.
    follow_ups
        Rows of the table of changes, in their order; none where sessions were not followed.
    person
        Age, sex and arm of the participant.

    Returns
    -------
    visits
        One for each session, by the same names.
    """
    order: Iterable[str | None] = sequences
    if follow_ups:
        order = [follow_ups[0].baseline_session_id, *(row.session_id for row in follow_ups)]
    number = {name: place for place, name in enumerate(order, 1)}
    days = {row.session_id: row.days for row in follow_ups}
    return {
        name: GroupVisit(
            pool=POOL_OF[kind],
            visit=number.get(name),
            baseline=number[name] == 1 if name in number else None,
            days=0.0 if number.get(name) == 1 else days.get(name or ""),
            **vars(person),
        )
        for name, kind in sequences.items()
    }
