"""The report of a participant: one HTML file with everything needed to judge the result."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from cmb_bidsapp import __version__
from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.locks import dataset_lock, tidied
from cmb_bidsapp.bids.outputs import write_text
from cmb_bidsapp.bids.provenance import Provenance, read_provenance
from cmb_bidsapp.core.defaults import NOT_A_DIAGNOSIS, NOT_ASSESSED
from cmb_bidsapp.core.labels import (
    CMB,
    MARS_FORM,
    MARS_LOOK,
    MARS_NAMES,
    PROXY_COLORS,
    PROXY_NAMES,
    SIDES,
)
from cmb_bidsapp.models.card import WEIGHTS
from cmb_bidsapp.models.registry import calibration_of, has_second_look, load_card
from cmb_bidsapp.preprocess.ants import read_linear
from cmb_bidsapp.preprocess.resampling import IDENTITY
from cmb_bidsapp.report.changes import TURNS, ReportedChanges, badge, read_changes
from cmb_bidsapp.report.figures import REJECTED_COLOR
from cmb_bidsapp.report.fitting import fitted
from cmb_bidsapp.report.methods import Facts, Methods, methods
from cmb_bidsapp.report.pages import SizeBudget, render
from cmb_bidsapp.report.reading import page_data
from cmb_bidsapp.report.sessions import (
    ReportedSession,
    SessionView,
    in_words,
    mars_key,
    session_view,
)
from cmb_bidsapp.report.viewer import ADDED, ADDED_COLOR, KEPT, REJECTED, Script, script
from cmb_bidsapp.report.words import ANATOMY
from cmb_bidsapp.settings import Settings

LOG = logging.getLogger(__name__)

#: Largest page, in bytes, and what of it is kept for text.
LIMIT, TEXT = 15_000_000, 2_000_000
#: A page that is too large is made again with half of it all; this often.
ATTEMPTS = 6


def write_participant_report(
    settings: Settings, participant: str, sessions: Sequence[ReportedSession]
) -> Path:
    """Write ``sub-<label>.html`` for the sessions of one participant, failed ones included.

    It is at most 15 MB: sessions share what pictures and volumes may take, and the page says what
    is left out. Where text alone is too much, cards become lines, and lines are left out.

    Parameters
    ----------
    settings
        Of the run; the page prints them.
    participant
        Label without ``sub-``.
    sessions
        Those of the participant, in order.
    """
    path = settings.out_dir / f"sub-{participant}.html"
    for attempt in range(ATTEMPTS):
        page = _page(settings, participant, sessions, 0.5**attempt)
        if len(page.encode()) <= LIMIT:
            break
    write_text(path, page)
    return path


def write_citation(settings: Settings, sessions: Sequence[ReportedSession]) -> None:
    """Write ``logs/CITATION.md``: the methods of a run, where a session was finished.

    Parameters
    ----------
    settings
        Settings of the run.
    sessions
        Those that the run was to process, failed ones included.
    """
    text = _methods(settings, _provenances(settings, sessions))
    if text is not None:
        logs = settings.out_dir / "logs"
        with tidied(dataset_lock(settings.out_dir), logs, "CITATION.md"):
            write_text(logs / "CITATION.md", text.to_markdown())


def _page(
    settings: Settings, participant: str, sessions: Sequence[ReportedSession], share: float
) -> str:
    viewer, why_not = viewer_or_why()
    room = SizeBudget(int(share * (LIMIT - TEXT - (len(viewer.packed) if viewer else 0))))
    together = SessionFiles.together(settings.out_dir, participant)
    changes = read_changes(together, room)
    ordered = _in_order(sessions, changes.order)
    own = [SizeBudget(room.left // len(ordered)) for _ in ordered]
    views = [
        session_view(
            one,
            settings.bids_dir,
            settings.out_dir,
            left,
            share,
            limit=settings.clinical.baseline_limit,
        )
        for one, left in zip(ordered, own, strict=True)
    ]
    if viewer is not None:
        views = _with_volumes(views, ordered, settings.out_dir, sum(one.left for one in own))
    shown = [view for view in views if view.volumes.packed]
    made = _provenances(settings, sessions)
    mars_words = {name: in_words(name) for name in MARS_FORM}
    counts = {view.key: view.counts for view in views if not view.error}
    ways = _ways(ordered, changes, settings.out_dir)
    told = _viewer_data(shown, ways, changes)
    return render(
        "participant.html",
        participant=f"sub-{participant}",
        sessions=views,
        changes=changes,
        badge=badge,
        turns=TURNS,
        viewer=viewer if shown else None,
        why_no_viewer=why_not,
        page_data=told | {"reading": page_data(counts, changes, mars_words, ways)},
        volumes=[view.key for view in shown],
        paired=[one["key"] for one in told["sessions"] if one["to_first"]],
        mars_key=mars_key(),
        mars_words=mars_words,
        proxy_key={PROXY_NAMES[n]: color for n, color in PROXY_COLORS.items() if n != CMB},
        colors={"kept": PROXY_COLORS[CMB], "rejected": REJECTED_COLOR},
        methods=_methods(settings, made),
        models=_models(settings, made),
        settings=settings.to_toml(),
        anatomy_note=ANATOMY,
        not_a_diagnosis=NOT_A_DIAGNOSIS,
        not_assessed=NOT_ASSESSED,
    )


def _with_volumes(
    views: Sequence[SessionView], sessions: Sequence[ReportedSession], out_dir: Path, room: int
) -> list[SessionView]:
    """Give the sessions that did not fail their volumes, of which all have what pictures leave."""
    files = [
        SessionFiles(out_dir, one.session.participant, one.session.session)
        for one in sessions
        if not one.error
    ]
    volumes = iter(fitted(files, room))
    return [view if view.error else replace(view, volumes=next(volumes)) for view in views]


@cache
def viewer_or_why() -> tuple[Script | None, str]:
    """The viewer, or why there is none: that is told once in a run, and in each page."""
    try:
        return script(), ""
    except LookupError as error:
        LOG.warning("reports have pictures but no volumes: %s", error)
        return None, str(error)


def _in_order(sessions: Sequence[ReportedSession], order: Sequence[str]) -> list[ReportedSession]:
    """Sessions in the order of time, those of which it is not known after them by label."""
    known = {label: position for position, label in enumerate(order)}
    return sorted(
        sessions,
        key=lambda one: (known.get(str(one.session.session), len(known)), one.session.label),
    )


def _ways(
    sessions: Iterable[ReportedSession], changes: ReportedChanges, out_dir: Path
) -> dict[str, list[float]]:
    """The way from the world of each compared session to that of the first: 4 x 4, row by row."""
    ways = {}
    for one in sessions:
        label = one.session.session
        name = f"ses-{label}"
        if name not in changes.known or label is None:
            continue
        path = SessionFiles(out_dir, one.session.participant, label).to_session(changes.order[0])
        if label == changes.order[0]:
            ways[name] = IDENTITY.ravel().tolist()
        elif path.exists():
            # The transform pulls the later image onto the first: it maps the first world to it.
            ways[name] = np.linalg.inv(read_linear(path)).ravel().tolist()
    return ways


def _viewer_data(
    views: Iterable[SessionView], ways: Mapping[str, list[float]], changes: ReportedChanges
) -> dict[str, Any]:
    """What the script of the viewer is told, as JSON."""
    proxy = {group: PROXY_COLORS[number] for number, group in PROXY_NAMES.items() if number}
    regions = {
        number: f"{in_words(MARS_NAMES[number % 100])}, {SIDES[number - number % 100]}"
        for number in MARS_LOOK
    }
    return {
        "sessions": [
            {
                "key": view.key,
                "volumes": list(view.volumes.packed),
                "note": view.volumes.note,
                "to_first": ways.get(view.key),
                "beside": changes.beside(view.key),
            }
            for view in views
        ],
        "regions": regions,
        "looks": {
            "mars": {number: color for number, (_, color) in MARS_LOOK.items()},
            "proxy": {
                number: proxy[MARS_FORM[MARS_NAMES[number % 100]][1]] for number in MARS_LOOK
            },
            "outlines": {KEPT: PROXY_COLORS[CMB], REJECTED: REJECTED_COLOR, ADDED: ADDED_COLOR},
        },
    }


def _provenances(settings: Settings, sessions: Iterable[ReportedSession]) -> list[Provenance]:
    """How the results of finished sessions came about."""
    done = [one.session for one in sessions if not one.error]
    made = [read_provenance(SessionFiles(settings.out_dir, s.participant, s.session)) for s in done]
    return [one for one in made if one.complete]


def _methods(settings: Settings, made: Sequence[Provenance]) -> Methods | None:
    """The methods in words; ``None`` where no session was finished."""
    if not made:
        return None

    def used(key: str) -> tuple[str, ...]:
        return tuple(sorted({getattr(one, key) for one in made}))

    rule, atlas = settings.decisions, settings.anatomy.jhu_atlas
    facts = Facts(
        version=__version__,
        sessions=len(made),
        without_t1w=sum(not one.registration for one in made),
        brain_extraction=used("brain_extraction"),
        anatomy_models=used("anatomy_model"),
        parcellations=used("parcellation"),
        lesion_models=used("lesion_model"),
        proxy_rules=settings.anatomy.proxy_rules,
        capsules="" if atlas is None else atlas.name,
        mirrored=any(one.mirrored for one in made),
        second_look=has_second_look(settings.lesions.model),
        threshold=rule.threshold,
        calibrated=bool(calibration_of(settings.lesions.model)),
        cfpr=rule.cfpr,
        cfpr_mode=rule.cfpr_mode,
        cfpr_radius=rule.cfpr_radius,
        cfpr_ratio=rule.cfpr_ratio,
        phase_rule=rule.phase_rule,
        min_size=rule.min_size,
        spaces=settings.output_spaces,
    )
    return methods(facts)


def _models(settings: Settings, made: Sequence[Provenance]) -> list[tuple[str, str, str, str]]:
    """Task, name, license and SHA-256 of the weights of the models that were used."""
    anatomy = load_card(settings.anatomy.model)
    used = [("anatomy", one.anatomy_model, anatomy.license, anatomy.files[WEIGHTS]) for one in made]
    used += [
        ("lesions", one.lesion_model, one.lesion_model_license, one.lesion_model_sha256)
        for one in made
    ]
    return sorted(set(used))
