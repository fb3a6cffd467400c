"""Agreement of readers with each other and with the algorithm: on lesions, changes and counts.

The group level calls :func:`write_agreement` after the pass, with the readings of
:class:`cmb_bidsapp.group.ratings.Ratings` and those of microbleeds through time that the cohort
gathered.

Lesions: all that both sides rated, and those that a reader added if the other side finished the
session (the algorithm always has). Readers do not mark places without a lesion, so kappa refers to
candidates. If both sides take nearly all candidates for microbleeds, chance agreement is high and
a few differences make kappa low; therefore the table also has the share of equal decisions.
Changes: microbleeds at follow-ups that both sides call new, there before or gone. Who is not sure
takes no side, and neither does the algorithm where it leaves the change open.
Counts: sessions that both sides finished.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import numpy as np

from cmb_bidsapp.bids.tables import describe, write_table
from cmb_bidsapp.clinical.judged import Judgment
from cmb_bidsapp.core.arrays import Floats
from cmb_bidsapp.core.statistics import LEAST_PEOPLE, NAN, Agreement, interval, resample
from cmb_bidsapp.group.consensus import DECISIONS
from cmb_bidsapp.group.judgments import TrackReading
from cmb_bidsapp.group.rating_rows import ALGORITHM
from cmb_bidsapp.group.reader_decisions import Reading
from cmb_bidsapp.lesions.lesion import COUNTED

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
#: What sides may say of a microbleed at a follow-up that they are sure of.
TURNS = (Judgment.NEW, Judgment.THERE_BEFORE, Judgment.GONE)
_NEW = np.array([word is Judgment.NEW for word in TURNS])
#: As :data:`WEIGHTS`, of changes, in the order of ``TURNS``.
TRACK_WEIGHTS = {
    "kappa_tracks": 1 - np.eye(len(TURNS)),
    "kappa_new": (_NEW[:, None] != _NEW).astype(np.float64),
}


def _with_ends(name: str, text: str) -> dict[str, Any]:
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
    "tracks": describe(
        "Microbleeds at follow-ups that both sides call new, there-before or gone; a persistent or "
        "already-there microbleed, or one now below the threshold, counts as there-before for the "
        "algorithm"
    ),
    "tracks_unsure": describe(
        "Microbleeds at follow-ups that both sides rated and at least one of them not-sure; not in "
        "tracks"
    ),
    "tracks_same": describe("Share of tracks with the same rating"),
    **_with_ends("kappa_tracks", "Cohen's kappa of the ratings new, there-before and gone"),
    **_with_ends("kappa_new", "Cohen's kappa of new versus there-before or gone"),
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


def rows(
    readings: Iterable[Reading], followed: Iterable[TrackReading] = (), seed: int = 0
) -> list[dict[str, Any]]:
    """Agreement of each reader with the algorithm, then of every two readers.

    Parameters
    ----------
    readings
        What the readers of each session said.
    followed
        What they said of the microbleeds of each participant through time.
    seed
        Of the bootstrap.
    """
    known, on_tracks = list(readings), list(followed)
    return [_row(known, on_tracks, *pair, seed) for pair in _pairs(known, on_tracks)]


def write_agreement(
    readings: Iterable[Reading],
    out_dir: Path,
    followed: Iterable[TrackReading] = (),
    seed: int = 0,
) -> Path:
    """Write ``group_agreement.tsv`` with its dictionary.

    Parameters
    ----------
    readings
        Of all raters and sessions.
    out_dir
        Where the table goes.
    followed
        Of all raters and participants with follow-ups.
    seed
        Of the resampling behind the intervals.
    """
    path = out_dir / "group_agreement.tsv"
    found = rows(readings, followed, seed)
    write_table(path, list(AGREEMENT_COLUMNS), found, AGREEMENT_COLUMNS)
    return path


def _pairs(
    readings: Sequence[Reading], followed: Sequence[TrackReading]
) -> Iterator[tuple[str, str]]:
    marks = [*(one.marks for one in readings), *(one.marks for one in followed)]
    names = {name for mark in chain.from_iterable(marks) for name in mark}
    names |= {name for reading in readings for name in reading.finished}
    readers = sorted(names - {ALGORITHM})
    yield from ((ALGORITHM, reader) for reader in readers)
    yield from combinations(readers, 2)


def _row(
    readings: Sequence[Reading],
    followed: Sequence[TrackReading],
    first: str,
    second: str,
    seed: int,
) -> dict[str, Any]:
    lesions = [_table(reading.marks, DECISIONS, first, second) for reading in readings]
    on_lesions = _decisions(lesions, [one.participant for one in readings], WEIGHTS, seed)
    tracks = [_table(one.marks, TURNS, first, second) for one in followed]
    on_tracks = _decisions(tracks, [one.participant for one in followed], TRACK_WEIGHTS, seed)
    both = [mark for one in followed for mark in one.marks if {first, second} <= mark.keys()]
    own, other, theirs = counts(readings, first, second)
    found = vars(Agreement.of(own, other, theirs, seed))
    if len(set(theirs)) < LEAST_PEOPLE:
        found |= {"icc_low": NAN, "icc_high": NAN}
    return {
        "first": first,
        "second": second,
        "lesions": on_lesions.number,
        "same": on_lesions.same,
        **on_lesions.kappas,
        "tracks": on_tracks.number,
        "tracks_unsure": len(both) - on_tracks.number,
        "tracks_same": on_tracks.same,
        **on_tracks.kappas,
        "sessions": len(own),
        **{f"count_{name}": value for name, value in found.items()},
    }


@dataclass(frozen=True)
class _Compared:
    """How two sides decided on the same things: how many, share alike, kappas by column."""

    number: int
    same: float | None
    kappas: Mapping[str, float]


def _decisions(
    tables: Sequence[Floats], people: Sequence[str], weights: Mapping[str, Floats], seed: int
) -> _Compared:
    """Compare decisions; participants without anything that both decided on do not count."""
    shared = [(table, who) for table, who in zip(tables, people, strict=True) if table.any()]
    size = len(next(iter(weights.values())))
    sums = np.array([table.ravel() for table, _ in shared]).reshape(-1, size * size)
    table = sums.sum(axis=0).reshape(size, size)
    theirs = [who for _, who in shared]
    drawn = resample(sums, theirs, seed).reshape(-1, size, size)
    few = len(set(theirs)) < LEAST_PEOPLE
    kappas: dict[str, float] = {}
    for name, weight in weights.items():
        low, high = (NAN, NAN) if few else interval(kappa(drawn, weight))
        kappas |= {name: float(kappa(table, weight)), f"{name}_low": low, f"{name}_high": high}
    number = int(table.sum())
    return _Compared(number, float(table.trace()) / number if number else None, kappas)


def _table(
    marks: Iterable[Mapping[str, str]], words: Sequence[str], first: str, second: str
) -> Floats:
    """How often the sides said which of the words of the same thing, by both their words."""
    table = np.zeros((len(words), len(words)))
    for mark in marks:
        said = mark.get(first), mark.get(second)
        if said[0] in words and said[1] in words:
            table[words.index(said[0]), words.index(said[1])] += 1
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
