"""Agreement of readers with each other and with the algorithm, for single lesions and for counts.

The group level calls :func:`write_agreement` after the pass, with the readings of
:class:`cmb_bidsapp.group.ratings.Ratings`.

Lesions: all that both sides rated, and those that a reader added if the other side finished the
session (the algorithm always has). Readers do not mark places without a lesion, so kappa refers to
candidates. If both sides take nearly all candidates for microbleeds, chance agreement is high and
a few differences make kappa low; therefore the table also has the share of equal decisions.
Counts: sessions that both sides finished.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from cmb_bidsapp.bids.tables import describe, write_table
from cmb_bidsapp.core.arrays import Floats
from cmb_bidsapp.core.statistics import LEAST_PEOPLE, NAN, Agreement, interval, resample
from cmb_bidsapp.group.consensus import DECISIONS
from cmb_bidsapp.group.reading import Reading
from cmb_bidsapp.group.records import ALGORITHM
from cmb_bidsapp.lesions.lesion import COUNTED

Row = dict[str, Any]

#: Published agreement of raters, for comparison.
PUBLISHED = "Published agreement of raters using MARS: kappa 0.68-0.87, ICC of counts 0.93-0.98"

_YES = np.array([decision in COUNTED for decision in DECISIONS])
_STEPS = np.arange(len(DECISIONS))
#: How much two decisions differ, by the kind of kappa, shape (3, 3) in the order of ``DECISIONS``.
WEIGHTS = {
    "kappa": (_STEPS[:, None] != _STEPS).astype(np.float64),
    "kappa_linear": np.abs(_STEPS[:, None] - _STEPS).astype(np.float64),
    "kappa_cmb": (_YES[:, None] != _YES).astype(np.float64),
}


def _with_ends(name: str, text: str) -> Row:
    ends = {"low": "Lower", "high": "Upper"}
    return {
        name: describe(text),
        **{
            f"{name}_{side}": describe(
                f"{end} limit of the 95 % bootstrap interval of {name}; participants are "
                f"resampled; n/a for fewer than {LEAST_PEOPLE} participants"
            )
            for side, end in ends.items()
        },
    }


#: Columns of ``group_agreement.tsv`` with their JSON dictionary.
AGREEMENT_COLUMNS = {
    "first": describe("First side: algorithm, or the name of a reader"),
    "second": describe("Second side: the name of a reader"),
    "lesions": describe("Candidates that both sides rated, and lesions that readers added"),
    "same": describe("Share of these with the same decision: definite, possible or not-cmb"),
    **_with_ends("kappa", "Cohen's kappa of the decisions definite, possible and not-cmb"),
    **_with_ends(
        "kappa_linear",
        "Cohen's kappa with linear weights: definite versus possible, and possible versus not-cmb, "
        "count as half a disagreement",
    ),
    **_with_ends("kappa_cmb", "Cohen's kappa of microbleed (definite or possible) versus not-cmb"),
    "sessions": describe(
        "Sessions that both sides finished; only these are used to compare counts"
    ),
    "count_bias": describe("Mean difference of the counts over sessions, second minus first"),
    "count_limit_low": describe(
        "Lower limit of agreement (Bland and Altman): count_bias - 1.96 standard deviations"
    ),
    "count_limit_high": describe(
        "Upper limit of agreement (Bland and Altman): count_bias + 1.96 standard deviations"
    ),
    **_with_ends(
        "count_icc",
        "Intraclass correlation of the counts: two-way random effects, absolute agreement, single "
        "measurement, ICC(2,1)",
    ),
}


def kappa(tables: Floats, weights: Floats) -> Floats:
    """Kappa of many tables at once (Cohen 1960, weighted 1968).

    Parameters
    ----------
    tables
        Numbers of lesions, rows the first side's decision, columns the second's; shape
        ``(..., k, k)``.
    weights
        Disagreement of two decisions, 0 where they are the same; shape ``(k, k)``.

    Returns
    -------
    kappa
        Shape ``(...)``; NaN without lesions, or where chance leaves no room for disagreement.
    """
    rows, columns = tables.sum(axis=-1), tables.sum(axis=-2)
    total = rows.sum(axis=-1)
    seen = (weights * tables).sum(axis=(-2, -1)) * total
    by_chance = np.einsum("...i,ij,...j->...", rows, weights, columns)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(by_chance > 0, 1 - seen / by_chance, np.nan)


def rows(readings: Iterable[Reading], seed: int = 0) -> list[Row]:
    """Agreement of each reader with the algorithm, then of every two readers.

    Parameters
    ----------
    readings
        What the readers of each session said.
    seed
        Of the bootstrap.
    """
    known = list(readings)
    return [_row(known, first, second, seed) for first, second in _pairs(known)]


def write_agreement(readings: Iterable[Reading], out_dir: Path, seed: int = 0) -> Path:
    """Write ``group_agreement.tsv`` with its dictionary.

    Parameters
    ----------
    readings
        Of all raters and sessions.
    out_dir
        Where the table goes.
    seed
        Of the resampling behind the intervals.
    """
    path = out_dir / "group_agreement.tsv"
    write_table(path, list(AGREEMENT_COLUMNS), rows(readings, seed), AGREEMENT_COLUMNS)
    return path


def _pairs(readings: Sequence[Reading]) -> Iterator[tuple[str, str]]:
    names = {name for reading in readings for mark in reading.marks for name in mark}
    names |= {name for reading in readings for name in reading.finished}
    readers = sorted(names - {ALGORITHM})
    yield from ((ALGORITHM, reader) for reader in readers)
    yield from combinations(readers, 2)


def _row(readings: Sequence[Reading], first: str, second: str, seed: int) -> Row:
    people = [reading.participant for reading in readings]
    sums = np.array([_table(reading, first, second).ravel() for reading in readings])
    table = sums.sum(axis=0).reshape(len(DECISIONS), -1)
    drawn = resample(sums, people, seed).reshape(-1, *table.shape)
    row = {
        "first": first,
        "second": second,
        "lesions": int(table.sum()),
        "same": float(table.trace() / table.sum()) if table.any() else None,
    }
    for name, weights in WEIGHTS.items():
        low, high = interval(kappa(drawn, weights))
        row |= {name: float(kappa(table, weights)), f"{name}_low": low, f"{name}_high": high}
    own, other, theirs = counts(readings, first, second)
    found = Agreement.of(own, other, theirs, seed)
    figures = {f"count_{name}": value for name, value in vars(found).items()}
    row |= {"sessions": len(own), **figures}
    if len(set(people)) < LEAST_PEOPLE:
        intervals = (f"{name}_{end}" for name in (*WEIGHTS, "count_icc") for end in ("low", "high"))
        row |= dict.fromkeys(intervals, NAN)
    return row


def _table(reading: Reading, first: str, second: str) -> Floats:
    """Lesions of a session by the decisions of both sides."""
    table = np.zeros((len(DECISIONS), len(DECISIONS)))
    for mark in reading.marks:
        if first in mark and second in mark:
            table[DECISIONS.index(mark[first]), DECISIONS.index(mark[second])] += 1
    return table


def counts(
    readings: Sequence[Reading], first: str, second: str
) -> tuple[list[int], list[int], list[str]]:
    """Counts of both sides in the sessions that both finished, and whose sessions these are.

    Parameters
    ----------
    readings
        Of all raters and sessions.
    first, second
        Names of the two sides.
    """
    both = [r for r in readings if {first, second} <= {ALGORITHM, *r.finished}]
    own, other = ([reading.count(side) for reading in both] for side in (first, second))
    return own, other, [reading.participant for reading in both]
