"""The one pass of the group level: sessions in, rows of tables and sums out.

Nothing of a session is kept but what it adds to the sums of :class:`Cohort`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

from cmb_bidsapp.anatomy.quality import COLUMNS as MEASURES
from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import bids_name, sidecar_of
from cmb_bidsapp.bids.tables import IDENTITY, open_table, read_table, write_table
from cmb_bidsapp.clinical.mars import fill
from cmb_bidsapp.clinical.summary import read_warnings, summarise
from cmb_bidsapp.group import changes, tables
from cmb_bidsapp.group.cohort import (
    POOLS,
    PROTOCOL_COLUMNS,
    Cohort,
    pool_of,
    protocol_of,
)
from cmb_bidsapp.group.density import SPACE, centres_of, write_density
from cmb_bidsapp.group.quality import QC_COLUMNS
from cmb_bidsapp.group.ratings import Ratings
from cmb_bidsapp.group.records import Problem, Record

T = TypeVar("T")
Add = Callable[[Mapping[str, object]], None]

#: What the page shows of a session: from its rows of the tables, and how many measures of its
#: anatomy are outside their limits.
SHOWN = (
    *IDENTITY,
    *tables.SOURCE,
    *tables.PROTOCOL,
    *("total_definite", "total", "lobar", "deep", "brainstem", "cerebellum"),
    *("category", "aria_h_baseline", "outside"),
)


def collect(
    found: Iterable[Record | Problem],
    out_dir: Path,
    *,
    limit: int,
    tell: Callable[[Problem], object] = lambda _: None,
) -> tuple[Cohort, list[Path]]:
    """Write the tables that have rows of sessions, and gather what the cohort has in sum.

    Parameters
    ----------
    found
        Sessions in the order of participants, as :func:`cmb_bidsapp.group.records.records` gives
        them; consumed once.
    out_dir
        Gets ``group_<name>.tsv`` with their dictionaries, see :data:`tables.TABLES`.
    limit
        Number of microbleeds of the summary's cut-off at baseline.
    tell
        Called with every problem as it comes up.

    Returns
    -------
    cohort, tables
        The sums, and what was written.
    """
    paths = {name: table_of(out_dir, name) for name in tables.TABLES}
    with ExitStack() as stack:
        adds = {
            name: stack.enter_context(open_table(paths[name], list(columns), columns))
            for name, columns in tables.TABLES.items()
        }
        collector = _Collector(out_dir, limit, tell, adds)
        for _, own in groupby(found, key=_participant):
            collector.participant(own)
    return collector.cohort, list(paths.values())


def apply_ratings(
    found: Iterable[Record | Problem], ratings: Ratings
) -> Iterator[Record | Problem]:
    """Sessions as their readers decided; ratings that cannot be used come last."""
    for one in found:
        yield one if isinstance(one, Problem) else ratings.apply(one)
    yield from ratings.problems


def write_sums(cohort: Cohort, out_dir: Path) -> list[Path]:
    """Write what is known after the pass: protocols, quality of the anatomy, maps of density.

    A pool without sessions has no map; one of an earlier run is removed.
    """
    protocols, quality = table_of(out_dir, "protocols"), table_of(out_dir, "qc")
    write_table(protocols, list(PROTOCOL_COLUMNS), cohort.protocol_rows(), PROTOCOL_COLUMNS)
    write_table(quality, list(QC_COLUMNS), cohort.quality.rows(), QC_COLUMNS)
    maps = {name: density_of(out_dir, name) for name in POOLS}
    for name, path in maps.items():
        if name in cohort.pools:
            write_density(cohort.pools[name].density, path)
        else:
            remove(path)
    return [protocols, quality, *(maps[name] for name in cohort.pools)]


def remove(path: Path) -> None:
    """Remove what an earlier run wrote and this one does not, with its dictionary or sidecar."""
    path.unlink(missing_ok=True)
    sidecar_of(path).unlink(missing_ok=True)


def table_of(out_dir: Path, name: str) -> Path:
    """Path of a table."""
    return out_dir / f"group_{name}.tsv"


def density_of(out_dir: Path, pool: str) -> Path:
    """Path of the map of a pool."""
    entities = {"space": SPACE.name, "res": str(SPACE.resolution), "label": "CMB", "desc": pool}
    return out_dir / f"group_{bids_name(entities, 'density', '.nii.gz')}"


class _Collector:
    """Where the rows of a participant go, and what they add to the cohort."""

    def __init__(
        self,
        out_dir: Path,
        limit: int,
        tell: Callable[[Problem], object],
        adds: Mapping[str, Add],
    ) -> None:
        self.cohort = Cohort()
        self._out_dir, self._limit, self._tell, self._add = out_dir, limit, tell, adds

    def participant(self, own: Iterable[Record | Problem]) -> None:
        """Take the sessions of a participant."""
        sessions: dict[str | None, Record] = {}
        for one in own:
            if isinstance(one, Problem):
                self._problem(one)
            else:
                sessions[tables.about(one)["session_id"]] = one
        if not sessions:
            return
        first = next(iter(sessions.values())).files
        follow_ups = self._of_participant(first, lambda one: one.changes, changes.read_changes)
        # Where sessions were followed it is known which one was first; else their names tell.
        baselines = {row.baseline_session_id for row in follow_ups}
        kinds: set[Any] = set()
        read = {
            name: sessions[name]
            for name in sorted(sessions, key=lambda name: name not in baselines)
            if self._session(sessions[name], kinds)
        }
        self.cohort.participants += bool(read)
        for row in follow_ups:
            if {row.session_id, row.baseline_session_id} <= read.keys():
                later = read[row.session_id]
                self._add["changes"](tables.change_row(row, later))
                self.cohort.changes.add(later.files.participant, pool_of(later), row)
        for seen in self._of_participant(first, lambda one: one.tracks, tables.read_tracks):
            if follow_ups and seen.session_id in read:
                self._add["tracks"](tables.track_row(seen, read[seen.session_id], follow_ups))

    def _session(self, record: Record, seen: set[Any]) -> bool:
        """Take a session; ``seen`` are pools and protocols that the participant was in before."""
        try:
            form = fill(record.lesions)
            summary = summarise(record.lesions, self._limit, read_warnings(record.files))
            centres = centres_of(lesion for lesion in record.lesions if lesion.counted)
        except ValueError as error:
            self._problem(Problem.of(error, record.files.lesions, record.files))
            return False
        count, name, protocol = form.count(), pool_of(record), protocol_of(record)
        wide = tables.mars_row(record, form)
        clinical = {**tables.about(record), **vars(record.protocol), **vars(summary)}
        for row in tables.lesion_rows(record):
            self._add["lesions"](row)
        self._add["mars"](wide)
        for row in tables.mars_long_rows(record, form):
            self._add["mars_long"](row)
        self._add["summary"](clinical)

        pool, tally = self.cohort.pools[name], self.cohort.protocols[protocol]
        for sessions in (self.cohort.total, pool, tally):
            sessions.add(record)
        if name not in seen:
            pool.counts[count] += 1
            pool.add_first(form, summary, centres)
        if protocol not in seen:
            tally.counts[count] += 1
        seen |= {name, protocol}
        told = {**clinical, **wide, "outside": self._quality(record, name)}
        self.cohort.shown.add(count, {column: told[column] for column in SHOWN})
        return True

    def _quality(self, record: Record, pool: str) -> int | None:
        """Number of measures of the anatomy outside their limits; ``None`` without a table."""
        path = record.files.quality
        try:
            return self.cohort.quality.add(record.files, pool, read_table(path, MEASURES))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            self._problem(Problem.of(error, path, record.files))
            return None

    def _of_participant(
        self,
        files: SessionFiles,
        path_of: Callable[[SessionFiles], Path],
        read: Callable[[Path], list[T]],
    ) -> list[T]:
        """Rows of a table of the participant; none where there is no such table."""
        path = path_of(SessionFiles(files.out_dir, files.participant, None))
        try:
            return read(path)
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            self._problem(Problem.of(error, path, files))
            return []

    def _problem(self, problem: Problem) -> None:
        self._tell(problem)
        self._add["problems"](tables.problem_row(problem, self._out_dir))
        self.cohort.add_problem(problem)


def _participant(one: Record | Problem) -> str | None:
    return one.files.participant if one.files else None
