"""What a participant's page shows of each session, read from its derivatives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmb_bidsapp.anatomy.quality import readable
from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.inputs import Scan, Session
from cmb_bidsapp.bids.provenance import Provenance, read_provenance, read_seconds
from cmb_bidsapp.bids.tables import Row, read_table
from cmb_bidsapp.bids.typed import encode
from cmb_bidsapp.clinical.counts import SURE, unsure
from cmb_bidsapp.clinical.doubts import Doubt, doubts_of
from cmb_bidsapp.clinical.mars import fill, form_rows
from cmb_bidsapp.clinical.summary import CUTOFFS, ClinicalSummary, summarize
from cmb_bidsapp.core.labels import MARS_FORM
from cmb_bidsapp.lesions.grading import DEFINITE_ROUNDNESS
from cmb_bidsapp.lesions.lesion import UNASSIGNED, Grade, Lesion
from cmb_bidsapp.lesions.table import fingerprint, read_lesions
from cmb_bidsapp.report.closeups import panels_of, parts_on_card
from cmb_bidsapp.report.figures import OVERVIEWS, best_first, closeup_name
from cmb_bidsapp.report.fitting import NO_VOLUMES, Volumes
from cmb_bidsapp.report.pages import SizeBudget
from cmb_bidsapp.report.reading import candidates, session_data
from cmb_bidsapp.report.sensitivity import Found, found_in
from cmb_bidsapp.report.words import (
    instead_in_words,
    measure_in_words,
    note_in_words,
    verdict_in_words,
)

#: Columns of the table of the anatomy, and of the lesion table, that are numbers a person reads.
MEASURED = ("value", "low", "high")
ROUNDED = (
    *("diameter", "equivalent_diameter", "volume", "roundness", "sphericity", "contrast"),
    *("phase_evidence", "phase_strength", "phase_core"),
)
ROUNDED_MM = ("x", "y", "z", "mni_x", "mni_y", "mni_z")
#: Candidates of a session that have a card and can be rated; of the others so many have a line.
CARDS, LINES = 500, 1000
#: Grades as the beginning of a card.
TITLES: Mapping[str, str] = {
    Grade.DEFINITE: "Definite",
    Grade.POSSIBLE: "Possible",
    Grade.BELOW_SIZE: "Below size",
    Grade.MACRO: "Above 10 mm",
}


@dataclass(frozen=True)
class ReportedSession:
    """A session that a report is to show, and why it failed; empty where it did not."""

    session: Session
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class SessionView:
    """What the template shows of a session.

    Attributes
    ----------
    key
        ``ses-A``, or ``n/a``: how scripts and ratings call it.
    title
        How a reader calls it: the session, or the participant where there is one.
    error
        Why it failed; empty where it did not, and then the rest is there.
    summary, doubts, cutoffs, form
        See :mod:`cmb_bidsapp.clinical`; cut-offs as words, answer in words, and probability.
    figures
        Overviews by name, as data URIs.
    found
        What is found of simulated microbleeds; ``None`` where it was not measured.
    counts
        What the page is told of it, see :mod:`cmb_bidsapp.report.reading`.
    kept, rejected, lines
        Candidates that have a card, and those that have a line alone.
    unlisted, rejected_count
        Number of candidates that have neither, and of all that are rejected.
    without_pictures
        Number of pictures that found no room in the page.
    volumes
        What the page takes in once it is known what the pictures of all sessions leave.
    """

    key: str
    title: str
    error: str
    notes: tuple[str, ...]
    with_t1w: bool
    with_swi: bool
    inputs: tuple[tuple[str, str, str], ...]
    unused: tuple[tuple[str, str], ...]
    made: Provenance
    cfpr: str
    seconds: Mapping[str, float]
    summary: ClinicalSummary | None
    doubts: Sequence[Doubt]
    cutoffs: Sequence[tuple[str, str, float | None]]
    form: Sequence[Mapping[str, Any]]
    quality: Sequence[Row]
    figures: Mapping[str, str | None]
    found: Found | None
    counts: Mapping[str, Any]
    kept: Sequence[Mapping[str, Any]]
    rejected: Sequence[Mapping[str, Any]]
    lines: Sequence[Mapping[str, Any]]
    unlisted: int
    rejected_count: int
    without_pictures: int
    volumes: Volumes = NO_VOLUMES

    @property
    def left_out(self) -> list[str]:
        """What was left out so that the page does not grow too large."""
        pictures = f"{self.without_pictures} pictures are left out" if self.without_pictures else ""
        return [*filter(None, (pictures, self.volumes.note))]

    @property
    def anchor(self) -> str:
        """Name of a place in the page."""
        return "session" if self.key == "n/a" else self.key

    @property
    def at_least_5(self) -> float | None:
        """Probability of 5 microbleeds or more among those counted."""
        return None if self.summary is None else _known(self.summary.at_least_5_probability)

    @property
    def out_of_limits(self) -> list[Row]:
        """Measures of the anatomy that are not as they should be."""
        return [row for row in self.quality if row["flag"] != "ok"]

    @property
    def unsided(self) -> bool:
        """Whether the form needs a column for microbleeds without a side."""
        return any(row["unsided_definite"] or row["unsided_possible"] for row in self.form)


def session_view(
    shown: ReportedSession,
    bids_dir: Path,
    out_dir: Path,
    room: SizeBudget,
    share: float,
    *,
    limit: int,
) -> SessionView:
    """Read a session, all but its volumes.

    Parameters
    ----------
    shown
        Session, and why it failed where it did.
    bids_dir
        Dataset; paths of images are shown relative to it.
    out_dir
        Output folder of the app.
    room
        What its pictures may take; what they do not is left.
    share
        Part of the usual number of cards and lines that there may be.
    limit
        Microbleeds at baseline, see :func:`cmb_bidsapp.clinical.summary.summarize`.
    """
    session, ok = shown.session, not shown.error
    files = SessionFiles(out_dir, session.participant, session.session)
    made = read_provenance(files)
    lesions = read_lesions(files.lesions) if ok else []
    cards, lines = int(CARDS * share), int(LINES * share)
    ranked = best_first(lesions)[: cards + lines]

    def with_pictures(chosen: Sequence[Lesion]) -> list[dict[str, Any]]:
        places = {lesion.number: files.figure(closeup_name(lesion.number)) for lesion in chosen}
        pictures = {number: room.picture(path) for number, path in places.items()}
        return [
            _card(lesion, pictures[lesion.number], places[lesion.number])
            for lesion in sorted(chosen, key=lambda one: one.number)
        ]

    # The pictures of what counts come first, the others take what is left.
    kept = with_pictures([lesion for lesion in ranked[:cards] if lesion.kept])
    figures = {name: room.picture(files.figure(name)) for name in OVERVIEWS if ok}
    rejected = with_pictures([lesion for lesion in ranked[:cards] if not lesion.kept])
    summary = summarize(lesions, limit) if ok else None
    rejected_count = sum(not lesion.kept for lesion in lesions)
    found = candidates(lesions, ranked[:cards])
    return SessionView(
        key=f"ses-{session.session}" if session.session else "n/a",
        title=f"ses-{session.session}" if session.session else f"sub-{session.participant}",
        error=shown.error,
        notes=tuple(note_in_words(note) for note in (*session.notes, *made.notes)),
        with_t1w=session.t1w is not None,
        with_swi=files.swi.exists(),
        inputs=tuple(_inputs(session, bids_dir)),
        unused=tuple((one.path.name, one.reason) for one in session.rejected),
        made=made,
        cfpr=cfpr_in_words(made.decisions),
        seconds=read_seconds(files),
        summary=summary,
        doubts=[] if summary is None else doubts_of(lesions, summary),
        cutoffs=[] if summary is None else _cutoffs(summary),
        form=form_rows(fill(lesions)) if ok else [],
        quality=_quality(files) if ok else [],
        figures=figures,
        found=found_in(files) if ok else None,
        counts={}
        if summary is None
        else session_data(found, rejected_count, summary, fingerprint(files.lesions)),
        kept=kept,
        rejected=rejected,
        lines=[_card(lesion) for lesion in ranked[cards:]],
        unlisted=len(lesions) - len(ranked),
        rejected_count=rejected_count,
        without_pictures=room.left_out,
    )


def cfpr_in_words(decisions: Mapping[str, Any]) -> str:
    """What CFPR asked for; empty where nothing was decided."""
    if not decisions:
        return ""
    if not decisions["cfpr"]:
        return "off"
    return (
        f"{decisions['cfpr_mode']} mode, at least {decisions['cfpr_ratio']:g} of the voxels within "
        f"{decisions['cfpr_radius']:g} mm are brain"
    )


def _inputs(session: Session, bids_dir: Path) -> list[tuple[str, str, str]]:
    """Contrast, path and what is known of each scan."""
    scans = {"T2*w": session.t2star, "T1w": session.t1w}
    if session.phase is not None:
        scans["phase"] = session.phase
    return [
        (name, str(scan.path.relative_to(bids_dir)), _acquired(scan))
        if scan
        else (name, "none", "")
        for name, scan in scans.items()
    ]


def _acquired(scan: Scan) -> str:
    """How a scan was acquired, as far as its sidecar tells."""
    known = scan.metadata
    facts = [known.get("Manufacturer"), known.get("ManufacturersModelName")]
    for key, scale, unit in (
        ("MagneticFieldStrength", 1, "T"),
        ("EchoTime", 1000, "ms echo time"),
        ("RepetitionTime", 1000, "ms repetition time"),
        ("FlipAngle", 1, "° flip angle"),
    ):
        if isinstance(known.get(key), int | float):
            facts.append(f"{known[key] * scale:.4g} {unit}")
    return ", ".join(str(fact) for fact in facts if fact)


def _cutoffs(summary: ClinicalSummary) -> list[tuple[str, str, float | None]]:
    """Each cut-off in words, whether it is crossed, and the probability that it is."""
    found = []
    for name, crossed, chance in summary.crossed():
        text = CUTOFFS[name]
        if name == "above_limit":
            limit = summary.baseline_limit
            text = f"more than {limit} (limit before anti-amyloid treatment)"
        found.append((text, answer(chance, crossed=crossed), _known(chance)))
    return found


def answer(chance: float, *, crossed: bool) -> str:
    """Whether a cut-off is crossed, in a word that does not contradict its probability.

    Parameters
    ----------
    chance
        That the true count crosses it, 0 to 1; NaN where it is not known.
    crossed
        Whether the count does.

    >>> [answer(chance, crossed=True) for chance in (0.95, 0.38, 0.02, math.nan)]
    ['yes', 'uncertain', 'unlikely', 'yes']
    """
    if unsure(chance):
        return "uncertain"
    if crossed and chance < SURE:
        return "unlikely"
    return "yes" if crossed else "no"


def _known(chance: float) -> float | None:
    return None if math.isnan(chance) else chance


def _quality(files: SessionFiles) -> list[dict[str, str]]:
    """Rows of the table of the anatomy, numbers rounded; older outputs have none."""
    if not files.quality.exists():
        return []
    rows = []
    for row in read_table(files.quality):
        known = {name: float(row[name]) for name in MEASURED if row[name] != "n/a"}
        told = {name: measure_in_words(value, row["units"])[0] for name, value in known.items()}
        rows.append({**row, **told, "units": measure_in_words(0.0, row["units"])[1]})
    return rows


def _card(lesion: Lesion, picture: str | None = None, path: Path | None = None) -> dict[str, Any]:
    """A candidate as its card shows it: its cells, what of them a person reads, its picture."""
    panels = panels_of(path) if picture and path else None
    cells = encode(lesion)
    rounded = {name: (readable, getattr(lesion, name)) for name in ROUNDED}
    rounded |= {name: ("{:.1f}".format, getattr(lesion, name)) for name in ROUNDED_MM}
    return {
        **cells,
        "kept": lesion.kept,
        "near_border": bool(lesion.border),
        "with_phase": lesion.phase_sign is not None,
        "read": {
            name: cells[name] if value is None else shown(value)
            for name, (shown, value) in rounded.items()
        },
        "place": _place(lesion),
        "title": TITLES.get(lesion.grade or "", "Kept") if lesion.kept else "Rejected",
        "looks": _looks(lesion),
        "shape": _shape(lesion),
        "verdict": verdict_in_words(lesion),
        "brain": lesion.cfpr_ratio,
        "chance": lesion.calibrated_probability,
        "share": lesion.mimic_share,
        "instead": instead_in_words(lesion),
        "picture": picture,
        "panels": panels,
        "parts": parts_on_card(*panels) if panels else [],
    }


def _place(lesion: Lesion) -> str:
    """MARS region and side of a lesion, as far as it has them."""
    named = lesion.mars_region not in (None, UNASSIGNED)
    region = in_words(str(lesion.mars_region)) if named else ""
    side = "" if lesion.side in (None, UNASSIGNED) else str(lesion.side)
    return ", ".join(filter(None, (region, side)))


def _looks(lesion: Lesion) -> str:
    """Size and place of a lesion, as far as they are known.

    >>> _looks(Lesion(status="kept", diameter=4.51, mars_region="thalamus", side="right"))
    '4.5 mm, thalamus right'
    """
    size = "" if lesion.diameter is None else f"{lesion.diameter:.1f} mm"
    place = _place(lesion).replace(",", "") or (str(lesion.region) if lesion.region else "")
    return ", ".join(filter(None, (size, place)))


def _shape(lesion: Lesion) -> str:
    """Whether a lesion is as round as a definite one has to be, in a word and in a number.

    >>> _shape(Lesion(status="kept", roundness=0.881))
    'Round (0.88)'
    """
    if lesion.roundness is None:
        return ""
    word = "Round" if lesion.roundness >= DEFINITE_ROUNDNESS else "Elongated"
    return f"{word} ({lesion.roundness:.2f})"


def mars_key() -> dict[str, list[tuple[str, str, str]]]:
    """Name, abbreviation and color of the regions of the MARS form, by class."""
    key: dict[str, list[tuple[str, str, str]]] = {}
    for name, (abbreviation, group, color) in MARS_FORM.items():
        key.setdefault(group, []).append((in_words(name), abbreviation, color))
    return key


def in_words(region: str) -> str:
    """Name of a MARS region as text."""
    if region == "dpwm":
        return "deep and periventricular white matter"
    return region.replace("-", " ")
