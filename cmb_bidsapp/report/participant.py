"""The report of a participant: one HTML file with everything needed to judge the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmb_bidsapp.anatomy.quality import readable
from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.inputs import Session
from cmb_bidsapp.bids.outputs import read_table
from cmb_bidsapp.group.records import Record
from cmb_bidsapp.group.tables import REGIONS, mars_row
from cmb_bidsapp.labels import MARS_FORM
from cmb_bidsapp.lesions.candidates import UNASSIGNED
from cmb_bidsapp.lesions.grading import COUNTED
from cmb_bidsapp.report.pages import picture, write_page
from cmb_bidsapp.runtime.engine import Outcome
from cmb_bidsapp.runtime.stamps import read_stamp
from cmb_bidsapp.settings import Settings
from cmb_bidsapp.workflow import PHASES

#: Columns of the table of the anatomy that are numbers.
NUMBERS = ("value", "low", "high")


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
    quality: list[dict[str, str]]
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
        mars_form=_mars_form(),
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
        {
            **row,
            "place": _place(row),
            "picture": picture(files.figure(f"lesion{int(row['lesion_id']):03d}")),
        }
        for row in lesions
    ]
    names = ("brain", "registrationT2starw", "registrationT1w", "proxy", "mars")
    figures = {name: picture(files.figure(name)) if outcome.ok else None for name in names}
    return SessionView(
        session.label,
        outcome.message,
        notes,
        _inputs(settings, session),
        mars_row(Record(files, tuple(lesions), {})),
        info,
        figures,
        _quality(files) if outcome.ok else [],
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


def _quality(files: SessionFiles) -> list[dict[str, str]]:
    """Rows of the table of the anatomy, numbers rounded; older outputs have none."""
    if not files.quality.exists():
        return []
    return [
        {**row, **{name: readable(float(row[name])) for name in NUMBERS if row[name] != "n/a"}}
        for row in read_table(files.quality)
    ]


def _place(row: Mapping[str, str]) -> str:
    """MARS region and side of a lesion; nothing where its table is older than they are."""
    region = row.get("mars_region", UNASSIGNED)
    return "" if region == UNASSIGNED else f"{_in_words(region)}, {row['side']}"


def _mars_form() -> dict[str, list[tuple[str, str, str]]]:
    """Name, abbreviation and colour of the regions of the MARS form, by class."""
    form: dict[str, list[tuple[str, str, str]]] = {}
    for name, (abbreviation, proxy, colour) in MARS_FORM.items():
        form.setdefault(proxy, []).append((_in_words(name), abbreviation, colour))
    return form


def _in_words(region: str) -> str:
    """Name of a MARS region as text."""
    if region == "dpwm":
        return "deep and periventricular white matter"
    return region.replace("-", " ")
