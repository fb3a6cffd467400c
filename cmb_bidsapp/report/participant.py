"""The report of a participant: one HTML file with everything needed to judge the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.inputs import Session
from cmb_bidsapp.bids.outputs import read_table
from cmb_bidsapp.group.tables import REGIONS, SessionLesions, mars_row
from cmb_bidsapp.lesions.grading import COUNTED
from cmb_bidsapp.report.pages import picture, write_page
from cmb_bidsapp.runtime.engine import Outcome
from cmb_bidsapp.runtime.stamps import read_stamp
from cmb_bidsapp.settings import Settings
from cmb_bidsapp.workflow import PHASES


@dataclass(frozen=True)
class SessionView:
    """What the template shows of a session."""

    label: str
    error: str
    notes: list[str]
    inputs: dict[str, str]
    counts: dict[str, Any]
    info: dict[str, Any]
    figures: dict[str, str | None]
    kept: list[dict[str, Any]]
    rejected: list[dict[str, Any]]
    seconds: dict[str, float]


def write_participant_report(
    settings: Settings, participant: str, outcomes: Sequence[Outcome]
) -> Path:
    """Write ``sub-<label>.html`` for the sessions of one participant, failed ones included."""
    path = settings.out_dir / f"sub-{participant}.html"
    ordered = sorted(outcomes, key=lambda o: o.session.label)
    write_page(
        path,
        "participant.html",
        participant=f"sub-{participant}",
        sessions=[_view(settings, outcome) for outcome in ordered],
        regions=REGIONS,
        grades=COUNTED,
        settings=settings.to_toml(),
    )
    return path


def _view(settings: Settings, outcome: Outcome) -> SessionView:
    session = outcome.session
    files = SessionFiles(settings.out_dir, session.participant, session.session)
    stamps = [read_stamp(files.stamp(phase.name)) for phase in PHASES]
    info: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    notes = list(session.notes)
    for stamp in stamps:
        if stamp is not None:
            info |= {k: v for k, v in stamp.info.items() if k not in ("notes", "seconds")}
            notes += stamp.info.get("notes", [])
            seconds |= stamp.info.get("seconds", {})
    lesions = read_table(files.lesions) if files.lesions.exists() and outcome.ok else []
    pictured = [
        {**row, "picture": picture(files.figure(f"lesion{int(row['lesion_id']):03d}"))}
        for row in lesions
    ]
    names = ("brain", "registrationT2starw", "registrationT1w", "proxy")
    figures = {name: picture(files.figure(name)) if outcome.ok else None for name in names}
    return SessionView(
        session.label,
        outcome.message,
        notes,
        _inputs(settings, session),
        mars_row(SessionLesions(session.participant, session.session, tuple(lesions), {})),
        info,
        figures,
        [row for row in pictured if row["status"] == "kept"],
        [row for row in pictured if row["status"] != "kept"],
        seconds,
    )


def _inputs(settings: Settings, session: Session) -> dict[str, str]:
    scans = {"T2*w": session.t2star, "T1w": session.t1w}
    return {
        name: str(scan.path.relative_to(settings.bids_dir)) if scan else "none"
        for name, scan in scans.items()
    }
