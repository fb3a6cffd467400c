"""The participant level: every chosen session through its phases, follow-ups, reports, status."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from cmb_bidsapp import __version__
from cmb_bidsapp.anatomy.templates import Space, find_template
from cmb_bidsapp.bids.derivatives import SessionFiles, prepare_dataset
from cmb_bidsapp.bids.index import printable
from cmb_bidsapp.bids.inputs import Choice, Session, check_dataset, choose
from cmb_bidsapp.bids.outputs import write_json, write_text
from cmb_bidsapp.core.errors import ExitCode
from cmb_bidsapp.core.outcome import Summary, common_code
from cmb_bidsapp.engine.child import Job, up_to_date
from cmb_bidsapp.engine.pool import Outcome, run_sessions
from cmb_bidsapp.engine.progress import Display
from cmb_bidsapp.levels.status import begun, ended, left_out, write_status
from cmb_bidsapp.models.registry import check_lesion_model, licence_of
from cmb_bidsapp.phases.follow import sessions_with_results
from cmb_bidsapp.report.participant import write_citation, write_participant_report
from cmb_bidsapp.report.sessions import ReportedSession
from cmb_bidsapp.settings import Settings
from cmb_bidsapp.workflow import Stage

#: What a stage runs for, in the plural.
SEVERAL: Mapping[Stage, str] = {
    "session": "sessions",
    "follow-up": "follow-ups",
    "sensitivity": "measurements of sensitivity",
}


def participant(settings: Settings, console: Console) -> Summary:
    """Process every chosen session, write their reports, and say how it went."""
    choice = chosen(settings)
    show_choice(choice, console, everything=settings.dry_run or settings.verbosity > 0)
    if settings.reports_only and not settings.dry_run:
        return _write_reports(choice, settings, console)
    check_lesion_model(settings.lesions.model, settings.lesions.folds)
    licence = licence_of(settings.lesions.model)
    console.print(f"lesion model {settings.lesions.model}, licence: {licence}", highlight=False)
    _check_spaces(settings, console)
    if settings.dry_run:
        return _foreseen(choice)

    prepare_dataset(settings.out_dir, settings.bids_dir)
    logs = run_folder(settings.out_dir)
    write_text(logs / "cmb_bidsapp.toml", settings.to_toml())
    outcomes = run_stage(choice.sessions, settings, logs, console, "session")
    follow_ups: list[Outcome] = []
    if not settings.stop_on_first_crash or all(o.ok for o in outcomes):
        several = _with_several_sessions(settings, choice)
        follow_ups = run_stage(several, settings, logs, console, "follow-up")
    measured: list[Outcome] = []
    if settings.sensitivity:
        finished = [o.session for o in outcomes if o.ok]
        measured = run_stage(finished, settings, logs, console, "sensitivity")
    besides = (*follow_ups, *measured)
    changed = {o.session.participant for o in (*outcomes, *besides) if o.ran or not o.ok}
    shown = [ReportedSession(o.session, o.error) for o in outcomes]
    for label in sorted({s.participant for s in choice.sessions}):
        report = settings.out_dir / f"sub-{label}.html"
        if label in changed or not report.exists():
            own = [one for one in shown if one.session.participant == label]
            write_participant_report(settings, label, own)
            console.print(f"report: {report}", markup=False, highlight=False, soft_wrap=True)
    write_citation(settings, shown)
    rows = [*ended(outcomes, "session"), *ended(follow_ups, "follow-up")]
    rows += ended(measured, "sensitivity")
    write_status(settings.out_dir, [*rows, *left_out(choice)])
    # What failed of these leaves the sessions' own results as they are, and counts on top.
    failed = [o for o in besides if not o.ok]
    ok = sum(o.ok for o in outcomes)
    codes = [outcome.code for outcome in (*outcomes, *failed)]
    return Summary(
        ok,
        len(outcomes) - ok + len(failed) + len(choice.failed),
        len(choice.skipped),
        common_code([*codes, *[ExitCode.DATA] * len(choice.failed)]),
    )


def _write_reports(choice: Choice, settings: Settings, console: Console) -> Summary:
    """Write the reports of the sessions that have results, and name those that have none."""
    shown = [
        ReportedSession(
            session,
            ""
            if SessionFiles(settings.out_dir, session.participant, session.session).lesions.exists()
            else "no results yet",
        )
        for session in choice.sessions
    ]
    lacking = [one for one in shown if one.error]
    for one in lacking:
        console.print(f"{one.session.label}: {one.error}", markup=False, highlight=False)
    for label in sorted({one.session.participant for one in shown if not one.error}):
        own = [one for one in shown if one.session.participant == label]
        report = write_participant_report(settings, label, own)
        console.print(f"report: {report}", markup=False, highlight=False, soft_wrap=True)
    codes = [ExitCode.NO_INPUT if one.error else ExitCode.OK for one in shown]
    return Summary(len(shown) - len(lacking), len(lacking), len(choice.skipped), common_code(codes))


def _foreseen(choice: Choice) -> Summary:
    """How a run would end as far as names and headers tell."""
    codes = [ExitCode.DATA if session.problem else ExitCode.OK for session in choice.sessions]
    codes += [ExitCode.DATA] * len(choice.failed)
    failed = sum(code != ExitCode.OK for code in codes)
    return Summary(failed=failed, skipped=len(choice.skipped), code=common_code(codes))


def run_stage(
    sessions: Sequence[Session], settings: Settings, logs: Path, console: Console, stage: Stage
) -> list[Outcome]:
    """Run a stage where it is not up to date; returns how it ended, one outcome each."""

    def done(session: Session) -> bool:
        try:
            return up_to_date(Job(session, settings, stage))
        except OSError:
            return False  # An input cannot be read; the session itself says so, and only it fails.

    stale = [s for s in sessions if not done(s)]
    outcomes = [Outcome(session=s) for s in sessions if s not in stale]
    if outcomes:
        console.print(f"{len(outcomes)} {SEVERAL[stage]} are up to date", highlight=False)
    write_status(settings.out_dir, begun(stale, stage))
    with Display(console, len(stale)) as display:
        for outcome in run_sessions(stale, settings, logs, display.event, stage):
            display.finished(outcome)
            outcomes.append(outcome)
            if settings.verbosity > 1:
                text = (logs / f"{outcome.session.label}.log").read_text(errors="replace")
                console.print(text.strip(), markup=False, highlight=False, soft_wrap=True)
    reached = {outcome.session.label for outcome in outcomes}
    return outcomes + [
        Outcome(
            session=s, code=ExitCode.INTERRUPTED, message="not reached: stopped after a failure"
        )
        for s in sessions
        if s.label not in reached
    ]


def _with_several_sessions(settings: Settings, choice: Choice) -> list[Session]:
    """The participants that have several sessions with results, those of earlier runs included.

    Each is one of its sessions without the label, which stands for all of them.
    """
    wholes = {s.participant: replace(s, session=None) for s in choice.sessions}
    return [
        whole
        for participant, whole in wholes.items()
        if len(sessions_with_results(settings.out_dir, participant)) > 1
    ]


def chosen(settings: Settings) -> Choice:
    """What the settings choose of the dataset."""
    check_dataset(settings.bids_dir)
    selection = settings.selection
    return choose(
        settings.bids_dir,
        participants=selection.participants,
        excluded=selection.excluded,
        sessions=selection.sessions,
        filters=selection.filters,
    )


def show_choice(choice: Choice, console: Console, *, everything: bool) -> None:
    """Print what was chosen; with ``everything`` also what was rejected, and why."""

    def line(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    line(f"{len(choice.sessions)} sessions to process, {len(choice.skipped)} without a T2*w")
    for session in choice.sessions:
        if everything or session.notes or session.problem:
            line(f"{session.label}")
        if everything:
            line(f"  T2*w  {session.t2star.path}")
            line(f"  T1w   {session.t1w.path if session.t1w else 'none'}")
            for rejected in session.rejected:
                line(f"  not   {rejected.path.name}: {rejected.reason}")
        for note in session.notes:
            line(f"  note  {note}")
        if session.problem:
            line(f"  fails {session.problem}")
    for word, several in (("skipped", choice.skipped), ("failed", choice.failed)):
        for one in several:
            line(f"{printable(str(one.path))}: {word}, {one.reason}")
    for note in choice.notes:
        line(f"note: {note}")


def _check_spaces(settings: Settings, console: Console) -> None:
    """Look the standard spaces up before hours of work, and say where they come from."""
    if settings.output_spaces:
        for space in map(Space.parse, settings.output_spaces):
            origin = find_template(space).transform or "packaged"
            console.print(f"{space}: {origin}", markup=False, highlight=False, soft_wrap=True)


def run_folder(out_dir: Path) -> Path:
    """Start a folder for this run's logs."""
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    folder = out_dir / "logs" / stamp
    write_json(
        folder / "run.json",
        {
            "version": __version__,
            "python": sys.version.split()[0],
            "command": sys.argv,
            "started": stamp,
        },
    )
    return folder
