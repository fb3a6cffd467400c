"""The participant level: every chosen session through its phases, follow-ups, reports, status."""

from __future__ import annotations

import datetime
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from cmb_bidsapp import __version__
from cmb_bidsapp.anatomy.jhu import read_jhu
from cmb_bidsapp.anatomy.templates import Space, find_template
from cmb_bidsapp.bids.dataset import prepare_dataset
from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.index import printable
from cmb_bidsapp.bids.inputs import check_dataset, choose
from cmb_bidsapp.bids.locks import dataset_lock, tidied
from cmb_bidsapp.bids.outputs import write_json, write_text
from cmb_bidsapp.bids.scans import Choice, Participant, Session, Unit
from cmb_bidsapp.core.errors import ExitCode, classify
from cmb_bidsapp.core.outcome import Summary, common_code, plural
from cmb_bidsapp.engine.child import Job, up_to_date
from cmb_bidsapp.engine.children import Outcome
from cmb_bidsapp.engine.pool import run_sessions
from cmb_bidsapp.engine.progress import Display, say
from cmb_bidsapp.levels.ledger import Ledger
from cmb_bidsapp.levels.reports import keep_report
from cmb_bidsapp.levels.status import failures
from cmb_bidsapp.models.registry import check_lesion_model, license_of, load_bundle
from cmb_bidsapp.phases.follow import sessions_with_results
from cmb_bidsapp.report.participant import write_citation, write_participant_report
from cmb_bidsapp.report.sessions import ReportedSession
from cmb_bidsapp.settings import Settings
from cmb_bidsapp.workflow import Stage

#: What a stage runs for.
EACH: Mapping[Stage, str] = {
    "session": "session",
    "follow-up": "follow-up",
    "sensitivity": "sensitivity measurement",
}


def participant(settings: Settings, console: Console) -> Summary:
    """Process every chosen session, write their reports, and say how it went.

    Parameters
    ----------
    settings
        Settings of the run.
    console
        Console that gets choice, progress and reports.

    Returns
    -------
    summary
        Numbers of sessions and the exit code; also where the run was interrupted.
    """
    choice = chosen(settings)
    show_choice(choice, console, everything=settings.dry_run or settings.verbosity > 0)
    if settings.reports_only and not settings.dry_run:
        return _write_reports(choice, settings, console)
    _check_files(settings)
    terms = license_of(settings.lesions.model)
    console.print(f"lesion model {settings.lesions.model}, license: {terms}", highlight=False)
    _check_spaces(settings, console)
    if settings.dry_run:
        return _foreseen(choice)

    ledger = Ledger(settings.out_dir, choice)
    try:
        prepare_dataset(settings.out_dir, settings.bids_dir)
        ledger.open()
        _carry_out(settings, choice, ledger, console)
    except (KeyboardInterrupt, OSError) as error:
        return ledger.broken_off(error)
    return ledger.summary()


def _carry_out(settings: Settings, choice: Choice, ledger: Ledger, console: Console) -> None:
    """Run every stage, each participant's report after it."""
    out_dir = settings.out_dir
    with tidied(dataset_lock(out_dir), out_dir / "logs", "*/run.json", "*/cmb_bidsapp.toml"):
        logs = run_folder(out_dir)
        write_text(logs / "cmb_bidsapp.toml", settings.to_toml())

    def run(sessions: Sequence[Unit], stage: Stage) -> None:
        run_stage(sessions, settings, logs, console, ledger, stage, report)

    def report(participant: str) -> None:
        _report(participant, settings, ledger, console)

    run(choice.sessions, "session")
    if not settings.stop_on_first_crash or all(one.ok for one in ledger.outcomes("session")):
        run(_with_several_sessions(settings, choice), "follow-up")
        if settings.sensitivity:
            run([one.session for one in ledger.outcomes("session") if one.ok], "sensitivity")
    write_citation(settings, _shown(ledger.outcomes("session")))


def _write_reports(choice: Choice, settings: Settings, console: Console) -> Summary:
    """Write the reports of the sessions that have results, and name those that have none."""
    causes = failures(settings.out_dir)
    shown = [
        ReportedSession(
            session,
            ""
            if SessionFiles(settings.out_dir, session.participant, session.session).lesions.exists()
            else causes.get((session.participant, session.session), "no results yet"),
        )
        for session in choice.sessions
    ]
    lacking = [one for one in shown if one.error]
    for one in lacking:
        say(console, f"{one.session.label}: {one.error}")
    for label in sorted({one.session.participant for one in shown if not one.error}):
        own = [one for one in shown if one.session.participant == label]
        report = write_participant_report(settings, label, own)
        say(console, f"report: {report}")
    codes = [ExitCode.NO_INPUT if one.error else ExitCode.OK for one in shown]
    return Summary(
        ok=len(shown) - len(lacking),
        failed=len(lacking),
        skipped=len(choice.skipped),
        code=common_code(codes),
    )


def _foreseen(choice: Choice) -> Summary:
    """How a run would end as far as names and headers tell."""
    codes = [ExitCode.DATA if session.problem else ExitCode.OK for session in choice.sessions]
    codes += [ExitCode.DATA] * len(choice.failed)
    failed = sum(code != ExitCode.OK for code in codes)
    return Summary(failed=failed, skipped=len(choice.skipped), code=common_code(codes))


def run_stage(
    sessions: Sequence[Unit],
    settings: Settings,
    logs: Path,
    console: Console,
    ledger: Ledger,
    stage: Stage,
    through: Callable[[str], None] = lambda _: None,
) -> None:
    """Run a stage where it is not up to date; ``through`` is told of who is through with it.

    Parameters
    ----------
    sessions
        Sessions, or participants for the follow-ups.
    settings
        Settings of the run.
    logs
        Folder that gets one text file per session.
    console
        Console that shows the progress.
    ledger
        Gets how each session begins and ends.
    stage
        Key of :data:`cmb_bidsapp.workflow.STAGES`.
    through
        Called with the label of each participant (without ``sub-``) of whom nothing is left to run
        in this stage.
    """

    def done(session: Unit) -> bool:
        try:
            return up_to_date(Job(session, settings, stage))
        except OSError:
            return False  # An input cannot be read; the session itself says so, and only it fails.

    def told(session: Unit, kind: str, text: str) -> None:
        if kind == "begin":
            ledger.begins(session, stage)
        else:
            display.event(session, kind, text)

    current: list[Unit] = []
    stale: list[Unit] = []
    for session in sessions:
        (current if done(session) else stale).append(session)
    left = Counter(session.participant for session in stale)
    finished = ledger.up_to_date(current, stage)
    if finished:
        console.print(f"up to date: {plural(len(finished), EACH[stage])}", highlight=False)
    for label in sorted({s.participant for s in sessions} - {*left}):
        through(label)
    with Display(console, len(stale)) as display:
        for outcome in run_sessions(stale, settings, logs, told, stage):
            display.finished(ledger.ends(outcome, stage))
            log = logs / f"{outcome.session.label}.log"
            if settings.verbosity > 1 and log.is_file():
                text = log.read_text(errors="replace")
                say(console, text.strip())
            left[outcome.session.participant] -= 1
            if not left[outcome.session.participant]:
                through(outcome.session.participant)
    reached = {outcome.session.label for outcome in ledger.outcomes(stage)}
    for session in sessions:
        if session.label not in reached:
            why = "not started: the run stopped after a failure"
            ledger.ends(Outcome(session=session, code=ExitCode.INTERRUPTED, message=why), stage)
    for label in sorted(+left):
        through(label)


def _report(participant: str, settings: Settings, ledger: Ledger, console: Console) -> None:
    """Keep the report of a participant; sessions that cannot be reported have failed."""
    own = [one for one in ledger.outcomes("session") if one.session.participant == participant]
    try:
        report = keep_report(settings, participant, _shown(own))
    except Exception as error:  # noqa: BLE001 (whatever it is, others go on)
        code, message = classify(error)
        why = f"no report: {message}"
        line = f"sub-{participant}: FAILED: {why}"
        say(console, line)
        for one in own:
            ledger.ends(replace(one, code=one.code or code, message=one.message or why), "session")
        return
    if report is not None:
        say(console, f"report: {report}")


def _shown(outcomes: Iterable[Outcome]) -> list[ReportedSession]:
    """Sessions as their report is told of them."""
    return [
        ReportedSession(one.session, one.error)
        for one in outcomes
        if isinstance(one.session, Session)
    ]


def _with_several_sessions(settings: Settings, choice: Choice) -> list[Participant]:
    """The participants that have several sessions with results, those of earlier runs included."""
    return [
        Participant(label)
        for label in dict.fromkeys(session.participant for session in choice.sessions)
        if len(sessions_with_results(settings.out_dir, label)) > 1
    ]


def chosen(settings: Settings) -> Choice:
    """What the settings choose of the dataset."""
    notes = check_dataset(settings.bids_dir)
    selection = settings.selection
    choice = choose(
        settings.bids_dir,
        participants=selection.participants,
        excluded=selection.excluded,
        sessions=selection.sessions,
        filters=selection.filters,
    )
    return replace(choice, notes=(*notes, *choice.notes))


def show_choice(choice: Choice, console: Console, *, everything: bool) -> None:
    """Print what was chosen; with ``everything`` also what was rejected, and why.

    Parameters
    ----------
    choice
        Sessions to process, and what there is besides.
    console
        Console to print on.
    everything
        Whether every session is shown, with its images and what was rejected.
    """
    # Scripts read this line, so it has one form for any number.
    say(
        console,
        f"{len(choice.sessions)} sessions to process, {len(choice.skipped)} without a T2*w",
    )
    for session in choice.sessions:
        if everything or session.notes or session.problem:
            say(console, f"{session.label}")
        if everything:
            say(console, f"  T2*w  {session.t2star.path}")
            say(console, f"  T1w   {session.t1w.path if session.t1w else 'none'}")
            if session.phase is not None:
                say(console, f"  phase {session.phase.path}")
            for rejected in session.rejected:
                say(console, f"  not   {rejected.path.name}: {rejected.reason}")
        for note in session.notes:
            say(console, f"  note  {note}")
        if session.problem:
            say(console, f"  fails {session.problem}")
    for word, several in (("skipped", choice.skipped), ("failed", choice.failed)):
        for one in several:
            say(console, f"{printable(str(one.path))}: {word}, {one.reason}")
    for note in choice.notes:
        say(console, f"note: {note}")


def _check_files(settings: Settings) -> None:
    """Refuse models and an atlas that are damaged, before hours of work."""
    check_lesion_model(settings.lesions.model, settings.lesions.folds)
    load_bundle(settings.anatomy.model)
    if settings.anatomy.jhu_atlas is not None:
        read_jhu(settings.anatomy.jhu_atlas)


def _check_spaces(settings: Settings, console: Console) -> None:
    """Look the standard spaces up before hours of work, and say where they come from."""
    if settings.output_spaces:
        for space in map(Space.parse, settings.output_spaces):
            origin = find_template(space).transform or "packaged"
            say(console, f"{space}: {origin}")


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
