"""Reports of participants: written as soon as their sessions have ended, where stale."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cmb_bidsapp import __version__
from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.locks import remove_partial
from cmb_bidsapp.bids.stamps import (
    Stamp,
    current,
    key_of,
    read_stamp,
    state_of,
    states,
    write_stamp,
)
from cmb_bidsapp.report.participant import write_participant_report
from cmb_bidsapp.report.sessions import ReportedSession
from cmb_bidsapp.settings import Settings
from cmb_bidsapp.workflow import STAGES


def keep_report(
    settings: Settings, participant: str, sessions: Sequence[ReportedSession]
) -> Path | None:
    """Write a participant's report, unless it is there, unharmed, and of these results.

    Parameters
    ----------
    settings
        Settings of the run.
    participant
        Label without ``sub-``.
    sessions
        Those of the participant, in order, failed ones included.

    Returns
    -------
    path
        Of the report; ``None`` where it was left as it is.
    """
    remove_partial(settings.out_dir, participant)
    together = SessionFiles.together(settings.out_dir, participant)
    files = [SessionFiles(settings.out_dir, participant, one.session.session) for one in sessions]
    phases = (*STAGES["session"], *STAGES["sensitivity"])
    stamps = [own.stamp(phase.name) for own in files for phase in phases]
    stamps += [together.stamp(phase.name) for phase in STAGES["follow-up"]]
    made_of = states([path for path in stamps if path.exists()], {})
    shown = sorted([one.session.label, one.error] for one in sessions)
    key = key_of({"version": __version__, "sessions": shown}, made_of)
    if current(read_stamp(together.stamp("report")), key, settings.out_dir):
        return None
    path = write_participant_report(settings, participant, sessions)
    name = path.relative_to(settings.out_dir).as_posix()
    write_stamp(together.stamp("report"), Stamp(key, {}, {name: state_of(path)}))
    return path
