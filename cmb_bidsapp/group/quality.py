"""Anatomy measures that stand out: outside their limits, or outliers of the cohort.

The median needs every value, so a few bytes per measure and session are kept.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.anatomy.quality import COLUMNS
from cmb_bidsapp.bids.tables import IDENTITY, Row, describe
from cmb_bidsapp.group.tables import PROTOCOL
from cmb_bidsapp.group.visits import VISIT_COLUMNS

#: A value so many robust standard deviations from the median is an outlier (Iglewicz and
#: Hoaglin 1993).
FAR = 3.5
#: Robust standard deviation: median absolute deviation times this, as if values were normal.
_TO_SD = 1.4826
#: The robust standard deviation is at least this share of the median: where nearly all have the
#: same value, small differences mean nothing.
_LEAST_SD = 0.02
#: With fewer sessions, outliers cannot be recognized.
LEAST = 20

FLAGS = ("ok", "low", "high")

#: Columns of ``group_qc.tsv`` with their JSON dictionary.
QC_COLUMNS = {
    **IDENTITY,
    **VISIT_COLUMNS,
    "sequence": PROTOCOL["sequence"],
    **COLUMNS,
    "robust_z": describe(
        "Distance from the median of the pool, in robust standard deviations (1.4826 times the "
        "median absolute deviation, at least 2 % of the median); "
        f"n/a in pools of fewer than {LEAST} sessions"
    ),
}


@dataclass(kw_only=True)
class _Series:
    """One measure of all sessions of a pool; limits may depend on the size of the head."""

    units: str
    sessions: array[int] = field(default_factory=lambda: array("I"))
    values: array[float] = field(default_factory=lambda: array("f"))
    lows: array[float] = field(default_factory=lambda: array("f"))
    highs: array[float] = field(default_factory=lambda: array("f"))
    flags: array[int] = field(default_factory=lambda: array("B"))

    @property
    def median(self) -> float:
        """Of the values that are known; NaN without any."""
        known = self._known()
        return float(np.median(known)) if len(known) else math.nan

    def robust_z(self) -> npt.NDArray[np.float64]:
        """How far each value is from the median; NaN where too few are known to tell."""
        known, median = self._known(), self.median
        if len(known) < LEAST:
            return np.full(len(self.values), math.nan)
        spread = max(_TO_SD * np.median(np.abs(known - median)), _LEAST_SD * abs(median))
        z: npt.NDArray[np.float64] = (np.asarray(self.values) - median) / (spread or math.nan)
        return z

    def _known(self) -> npt.NDArray[np.float64]:
        values: npt.NDArray[np.float64] = np.asarray(self.values, np.float64)
        known: npt.NDArray[np.float64] = values[np.isfinite(values)]
        return known

    def notable(self, z: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
        """Which entries are outside their limits, or outliers."""
        return np.flatnonzero(np.asarray(self.flags, bool) | (np.abs(z) >= FAR))


def _number(text: str) -> float:
    return math.nan if text == "n/a" else float(text)


class Quality:
    """Anatomy measures of all sessions, and the sessions that stand out."""

    def __init__(self) -> None:
        self._sessions: list[Mapping[str, Any]] = []
        self._series: dict[tuple[str, str], _Series] = {}

    def add(self, session: Mapping[str, Any], rows: Iterable[Row]) -> int:
        """Add a session; tells how many of its measures are outside their limits.

        Parameters
        ----------
        session
            Its columns that are not of a measure; ``pool`` are sequences that are comparable.
        rows
            Of ``*_desc-anatomy_qc.tsv``.

        Raises
        ------
        ValueError
            A value is no number, or a flag is none; nothing of the session is added.
        """
        read = [
            (row, _number(row["value"]), _number(row["low"]), _number(row["high"]), row["flag"])
            for row in rows
        ]
        unknown = {flag for *_, flag in read} - {*FLAGS}
        if unknown:
            raise ValueError(f"flag {', '.join(sorted(unknown))}: expected ok, low or high")
        for row, value, low, high, flag in read:
            key = (session["pool"], row["measure"])
            if key not in self._series:
                self._series[key] = _Series(units=row["units"])
            series = self._series[key]
            series.sessions.append(len(self._sessions))
            series.values.append(value)
            series.lows.append(low)
            series.highs.append(high)
            series.flags.append(FLAGS.index(flag))
        self._sessions.append(session)
        return sum(flag != "ok" for *_, flag in read)

    def measures(self) -> list[dict[str, Any]]:
        """Every measure of every pool: how many sessions it has, and how many stand out."""
        found = []
        for (pool, measure), series in self._series.items():
            z = series.robust_z()
            found.append(
                {
                    "pool": pool,
                    "measure": measure,
                    "units": series.units,
                    "sessions": len(series.values),
                    "median": series.median,
                    "outside": sum(map(bool, series.flags)),
                    "outliers": int(np.sum(np.abs(z) >= FAR)),
                }
            )
        return found

    def rows(self) -> Iterator[dict[str, Any]]:
        """What is outside its limits or an outlier, measure by measure: rows of the table."""
        for (_, measure), series in self._series.items():
            z = series.robust_z()
            for entry in series.notable(z):
                yield {
                    **self._sessions[series.sessions[entry]],
                    "measure": measure,
                    "value": series.values[entry],
                    "units": series.units,
                    "low": series.lows[entry],
                    "high": series.highs[entry],
                    "flag": FLAGS[series.flags[entry]],
                    "robust_z": float(z[entry]),
                }

    def worst(self, most: int) -> list[list[dict[str, Any]]]:
        """Rows of the sessions that stand out in most measures, by session, those first."""
        times = Counter(tuple(row[key] for key in IDENTITY) for row in self.rows())
        chosen: dict[tuple[Any, ...], list[dict[str, Any]]] = {
            session: [] for session, _ in times.most_common(most)
        }
        for row in self.rows():
            session = tuple(row[key] for key in IDENTITY)
            if session in chosen:
                chosen[session].append(row)
        return list(chosen.values())
