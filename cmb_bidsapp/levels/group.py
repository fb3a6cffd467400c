"""The group level: derivatives of all participants to tables and a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from rich.console import Console

from cmb_bidsapp.bids.locks import tidied
from cmb_bidsapp.bids.outputs import remove
from cmb_bidsapp.bids.text import cause_of
from cmb_bidsapp.core.defaults import GROUP_FOLDER
from cmb_bidsapp.core.errors import ExitCode, NoInputError
from cmb_bidsapp.core.outcome import Summary
from cmb_bidsapp.engine.progress import say
from cmb_bidsapp.group.agreement import write_agreement
from cmb_bidsapp.group.collect import apply_ratings, collect, table_of, write_sums
from cmb_bidsapp.group.people import Demographics, find_people, read_people
from cmb_bidsapp.group.ratings import read_ratings
from cmb_bidsapp.group.session_records import Problem, ReadSession, Record, records
from cmb_bidsapp.levels.evaluation import evaluate_output
from cmb_bidsapp.models.registry import calibration_of
from cmb_bidsapp.report.group import write_group_report
from cmb_bidsapp.sensitivity.tables import write_group
from cmb_bidsapp.settings import Settings


def group(settings: Settings, console: Console) -> Summary:
    """Collect the derivatives into group tables and a page; the raw data are not needed.

    Sessions that cannot be read are told, listed in the page and in ``group_problems.tsv``, and
    make the exit code 1; the others are collected all the same.

    Parameters
    ----------
    settings
        Settings of the run.
    console
        Console that gets problems, notes and the names of the files.

    Raises
    ------
    NoInputError
        The output folder is missing.
    """
    out_dir = settings.out_dir
    if not out_dir.is_dir():
        raise NoInputError(f"{out_dir}: no such folder; run the participant level first")
    own = ("group*", f"{GROUP_FOLDER}/*")
    with tidied(out_dir / "logs" / "locks" / "group.lock", out_dir, *own):
        return _collected(settings, console)


def _collected(settings: Settings, console: Console) -> Summary:
    out_dir = settings.out_dir
    say(console, f"group: reading the results in {out_dir}")
    ratings = read_ratings(settings.ratings) if settings.ratings else None
    found: Iterable[ReadSession] = _told_of_stamps(records(out_dir), console)
    people, unread = _people(settings)
    if unread:
        found = chain(found, [unread])
    cohort, written = collect(
        apply_ratings(found, ratings) if ratings else found,
        out_dir,
        limit=settings.clinical.baseline_limit,
        people=people,
        knots=calibration_of(settings.lesions.model) if ratings else (),
        tell=lambda problem: say(console, f"left out: {problem}"),
    )
    written += write_sums(cohort, out_dir)
    if ratings:
        for note in ratings.notes:
            say(console, f"note: {note}")
        written.append(write_agreement(ratings.readings, out_dir, cohort.followed, settings.seed))
    else:
        remove(table_of(out_dir, "agreement"))
    failed = cohort.failed
    code: int = ExitCode.SOME_FAILED if failed else ExitCode.OK
    if settings.reference is not None:
        cores = settings.resources.cores
        ended = evaluate_output(out_dir, settings.reference, cores, settings.seed)
        failed, code = max(failed, ended.failed), code or ended.code
    measured, tables = write_group(out_dir)
    written += tables
    written.append(write_group_report(cohort, out_dir, ratings, settings.seed, measured))
    say(console, f"group: {', '.join(path.name for path in written[:-1])}")
    say(console, f"group: report written to {written[-1]}")
    return Summary(ok=cohort.total.sessions, failed=failed, code=code)


def _told_of_stamps(found: Iterable[ReadSession], console: Console) -> Iterator[ReadSession]:
    """Sessions as they come; then say how many have no stamp to check their results against."""
    unchecked = 0
    for one in found:
        unchecked += isinstance(one, Record) and not one.checked
        yield one
    if unchecked:
        say(
            console,
            f"note: {unchecked} sessions have no stamps in logs/stamps: whether their results were "
            "changed since they were written could not be checked",
        )


def _people(settings: Settings) -> tuple[Mapping[str, Demographics], Problem | None]:
    """Who the participants are, of the dataset or beside the output; nobody needs to be there."""
    path = find_people(settings.bids_dir, settings.out_dir)
    if path is None:
        return {}, None
    try:
        return read_people(path), None
    except (OSError, ValueError) as error:
        cause = f"{cause_of(error)}; the tables have no age, sex and arm"
        return {}, Problem(path=path, reason=cause)
