"""The one pass of the group level: sessions in, rows of tables and sums out.

Nothing of a session is kept but what it adds to the sums of :class:`Cohort`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from cmb_bidsapp.anatomy.quality import COLUMNS as MEASURES
from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import bids_name, remove
from cmb_bidsapp.bids.tables import IDENTITY, Columns, identity, open_table, read_table, write_table
from cmb_bidsapp.clinical.fates import fates
from cmb_bidsapp.clinical.follow_up import ChangeRow
from cmb_bidsapp.clinical.mars import fill
from cmb_bidsapp.clinical.summary import summarize
from cmb_bidsapp.group import changes, tables
from cmb_bidsapp.group.cohort import PROTOCOL_COLUMNS, Cohort, protocol_of
from cmb_bidsapp.group.density import SPACE, centers_of, write_density
from cmb_bidsapp.group.flow import FLOW_COLUMNS, Step
from cmb_bidsapp.group.follow_ups import FollowUps, after_readers
from cmb_bidsapp.group.judgments import TrackReading
from cmb_bidsapp.group.people import NOBODY, Demographics
from cmb_bidsapp.group.quality import QC_COLUMNS
from cmb_bidsapp.group.rates import RATE_COLUMNS
from cmb_bidsapp.group.rating_rows import ALGORITHM
from cmb_bidsapp.group.ratings import Ratings
from cmb_bidsapp.group.session_records import (
    Problem,
    ReadSession,
    Record,
    Skipped,
    check_as_written,
)
from cmb_bidsapp.group.visits import POOLS, GroupVisit, visits_of
from cmb_bidsapp.models.calibration import Knots

T = TypeVar("T")
Add = Callable[[Mapping[str, object]], None]

#: What the page shows of a session: from its rows of the tables, and how many measures of its
#: anatomy are outside their limits.
SHOWN = (
    *IDENTITY,
    *tables.SOURCE,
    *tables.PROTOCOL,
    *("total_definite", "total", "lobar", "deep", "brainstem", "cerebellum"),
    *("category", "aria_h_baseline", "warnings", "outside"),
)


def collect(
    found: Iterable[ReadSession],
    out_dir: Path,
    *,
    limit: int,
    people: Mapping[str, Demographics] = MappingProxyType({}),
    knots: Knots = (),
    tell: Callable[[Problem], object] = lambda _: None,
) -> tuple[Cohort, list[Path]]:
    """Write the tables that have rows of sessions, and gather what the cohort has in sum.

    Parameters
    ----------
    found
        Sessions in the order of participants, as
        :func:`cmb_bidsapp.group.session_records.records` gives them; consumed once.
    out_dir
        Gets ``group_<name>.tsv`` with their dictionaries, see :data:`tables.TABLES`.
    limit
        Number of microbleeds of the summary's cut-off at baseline.
    people
        Who the participants are, by label, as far as it is known.
    knots
        Calibration of the lesion model; asked for where readers have decided on follow-ups.
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
        collector = _Collector(out_dir=out_dir, limit=limit, knots=knots, tell=tell, adds=adds)
        for participant, own in groupby(found, key=_participant):
            collector.participant(own, people.get(participant or "", NOBODY))
    return collector.cohort, list(paths.values())


def apply_ratings(found: Iterable[ReadSession], ratings: Ratings) -> Iterator[ReadSession]:
    """Sessions as their readers decided; ratings that cannot be used come last.

    Parameters
    ----------
    found
        Sessions as :func:`cmb_bidsapp.group.session_records.records` yields them.
    ratings
        Ratings of all readers.
    """
    for one in found:
        yield ratings.apply(one) if isinstance(one, Record) else one
    yield from ratings.problems


def write_sums(cohort: Cohort, out_dir: Path) -> list[Path]:
    """Write what is known after the pass: protocols, rates, the flow, quality, maps of density.

    A pool without sessions has no map; one of an earlier run is removed.

    Parameters
    ----------
    cohort
        Sums over all sessions.
    out_dir
        Output folder of the app.

    Returns
    -------
    paths
        Tables, and the maps of the pools that have sessions.
    """
    sums: dict[str, tuple[Columns, Iterable[Mapping[str, object]]]] = {
        "protocols": (PROTOCOL_COLUMNS, cohort.protocol_rows()),
        "rates": (RATE_COLUMNS, cohort.rates.rows()),
        "flow": (FLOW_COLUMNS, cohort.flow.rows()),
        "qc": (QC_COLUMNS, cohort.quality.rows()),
    }
    for name, (columns, rows) in sums.items():
        write_table(table_of(out_dir, name), list(columns), rows, columns)
    maps = {name: density_of(out_dir, name) for name in POOLS}
    for name, path in maps.items():
        if name in cohort.pools:
            write_density(cohort.pools[name].density, path)
        else:
            remove(path)
    return [*(table_of(out_dir, name) for name in sums), *(maps[name] for name in cohort.pools)]


def table_of(out_dir: Path, name: str) -> Path:
    """Path of a table.

    Parameters
    ----------
    out_dir
        Output folder of the app.
    name
        Name of the table, such as ``rates``.
    """
    return out_dir / f"group_{name}.tsv"


def density_of(out_dir: Path, pool: str) -> Path:
    """Path of the map of a pool.

    Parameters
    ----------
    out_dir
        Output folder of the app.
    pool
        Name of the pool, such as ``GRE``.
    """
    entities = {"space": SPACE.name, "res": str(SPACE.resolution), "label": "CMB", "desc": pool}
    return out_dir / f"group_{bids_name(entities, 'density', '.nii.gz')}"


class _Collector:
    """Where the rows of a participant go, and what they add to the cohort."""

    def __init__(
        self,
        out_dir: Path,
        limit: int,
        knots: Knots,
        tell: Callable[[Problem], object],
        adds: Mapping[str, Add],
    ) -> None:
        self.cohort = Cohort()
        self._out_dir, self._limit, self._tell, self._add = out_dir, limit, tell, adds
        self._knots = knots

    def participant(self, own: Iterable[ReadSession], person: Demographics) -> None:
        """Take the sessions of a participant.

        Parameters
        ----------
        own
            The sessions.
        person
            Age, sex and arm of the participant.
        """
        sessions: dict[str | None, Record] = {}
        steps: list[Step] = []
        for one in own:
            if isinstance(one, Problem):
                self._problem(one)
                steps += [Step.FAILED] * one.left_out
            elif isinstance(one, Skipped):
                steps.append(Step.NO_T2STAR)
            else:
                name = identity(one.files.participant, one.files.session)["session_id"]
                sessions[name] = one
        if sessions:
            steps += self._read(sessions, person)
        self.cohort.flow.add(steps, person.arm)

    def _read(self, sessions: Mapping[str | None, Record], person: Demographics) -> Iterator[Step]:
        """Take the sessions of a participant that could be read; tells steps of the flow."""
        first = next(iter(sessions.values())).files
        rows = self._of_participant(first, lambda one: one.changes, changes.read_changes) or []
        # Where sessions were followed it is known which one was first; else their names tell.
        visits = visits_of(
            {name: record.protocol.sequence for name, record in sessions.items()},
            rows,
            person,
        )
        kinds: set[Any] = set()
        read: dict[str | None, Record] = {}
        for name in sorted(sessions, key=lambda name: not visits[name].baseline):
            if self._session(sessions[name], visits[name], kinds):
                read[name] = sessions[name]
                yield Step.PROCESSED
                if not sessions[name].files.t1w_on_t2star.exists():
                    yield Step.NO_T1W
            else:
                yield Step.FAILED
        self.cohort.participants += bool(read)
        if rows or any(record.on_tracks for record in read.values()):
            tracks = self._of_participant(first, lambda one: one.tracks, tables.read_tracks)
            yield from self._follow(FollowUps(changes=rows, tracks=tracks), first, read, visits)

    def _follow(
        self,
        found: FollowUps,
        first: SessionFiles,
        read: Mapping[str | None, Record],
        visits: Mapping[str | None, GroupVisit],
    ) -> Iterator[Step]:
        """Take the follow-ups of a participant, as its readers leave them."""
        files = SessionFiles.together(first.out_dir, first.participant)
        decided, problems = after_readers(found, files, read, self._knots)
        for problem in problems:
            self._problem(problem)
        tracks, source = decided.tracks, decided.source
        intervals = changes.Intervals()
        for row in decided.changes:
            by_fate = None
            if tracks is not None and row.compared:
                by_fate = fates(tracks, row.session_id, row.baseline_session_id)
            if {row.session_id, row.baseline_session_id} <= read.keys():
                later, visit = read[row.session_id], visits[row.session_id]
                known = (*read[row.baseline_session_id].warnings, *later.warnings)
                later = replace(later, warnings=known)
                self._add["changes"](tables.change_row(row, later, visit, source, by_fate))
                if by_fate is not None:
                    for long in tables.change_long_rows(row, later, visit, source, by_fate):
                        self._add["changes_long"](long)
                self.cohort.changes.add(first.participant, visit.pool, row)
                intervals.add(visit.pool, row, by_fate)
                yield _step_of(row)
        for (pool, changed), own in intervals.found.items():
            read_too = source.source != ALGORITHM
            arm = next(iter(visits.values())).arm
            self.cohort.rates.add(pool, changed=changed, intervals=own, read=read_too, arm=arm)
        if decided.opinions:
            marks = tuple(opinion.mark() for opinion in decided.opinions)
            self.cohort.followed.append(TrackReading(first.participant, marks))
        for opinion in decided.opinions:
            name = opinion.row.session_id
            session = tables.about(read[name], visits[name])
            for said in opinion.rows():
                self._add["decisions"]({**session, **said})
        for seen in tracks or ():
            name = seen.session_id
            if name in read:
                told = tables.track_row(seen, read[name], visits[name], source, decided.order[0])
                self._add["tracks"](told)

    def _session(self, record: Record, visit: GroupVisit, seen: set[Any]) -> bool:
        """Take a session; ``seen`` are pools and protocols that the participant was in before."""
        try:
            form = fill(record.lesions)
            summary = summarize(record.lesions, self._limit, record.warnings)
            centers = centers_of(lesion for lesion in record.lesions if lesion.counted)
        except ValueError as error:
            self._problem(Problem.of(error, record.files.lesions, record.files, left_out=True))
            return False
        count, name, protocol = form.count(), visit.pool, protocol_of(record)
        first = tables.about(record, visit)
        wide = tables.mars_row(record, visit, form)
        clinical = tables.summary_row(record, visit, summary)
        for row in tables.lesion_rows(record, visit):
            self._add["lesions"](row)
        for row in tables.decision_rows(record, visit):
            self._add["decisions"](row)
        self._add["mars"](wide)
        for row in tables.mars_long_rows(record, visit, form):
            self._add["mars_long"](row)
        self._add["summary"](clinical)

        pool, tally = self.cohort.pools[name], self.cohort.protocols[protocol]
        for sessions in (self.cohort.total, pool, tally):
            sessions.add(record)
        if name not in seen:
            pool.counts[count] += 1
            pool.add_first(form, summary, centers)
        if protocol not in seen:
            tally.counts[count] += 1
        seen |= {name, protocol}
        told = {**clinical, **wide, "outside": self._quality(record, first)}
        self.cohort.shown.add(count, {column: told[column] for column in SHOWN})
        return True

    def _quality(self, record: Record, session: Mapping[str, Any]) -> int | None:
        """Number of measures of the anatomy outside their limits; ``None`` without a table."""
        path = record.files.quality
        try:
            rows = read_table(path, MEASURES)
            check_as_written(record.files, "prepare", path)
            return self.cohort.quality.add(session, rows)
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
    ) -> list[T] | None:
        """Rows of a table of the participant; ``None`` where there is no such table."""
        together = SessionFiles.together(files.out_dir, files.participant)
        path = path_of(together)
        try:
            rows = read(path)
            check_as_written(together, "follow", path)
            return rows
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            self._problem(Problem.of(error, path, files))
            return None

    def _problem(self, problem: Problem) -> None:
        self._tell(problem)
        self._add["problems"](tables.problem_row(problem, self._out_dir))
        self.cohort.add_problem(problem)


def _step_of(row: ChangeRow) -> Step:
    """What the flow counts a follow-up as."""
    if not row.compared:
        return Step.NOT_REGISTERED
    return Step.CHANGED if row.protocol_changed or row.processing_changed else Step.COMPARABLE


def _participant(one: ReadSession) -> str | None:
    return one.files.participant if one.files else None
