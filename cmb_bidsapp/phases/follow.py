"""Steps of the phase that follows the microbleeds of a participant through all sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.images import open_image, read_derivative, read_labels
from cmb_bidsapp.bids.outputs import atomic, sidecar_of
from cmb_bidsapp.bids.protocol import Protocol
from cmb_bidsapp.bids.provenance import read_provenance
from cmb_bidsapp.bids.scans import Participant
from cmb_bidsapp.bids.tables import write_table
from cmb_bidsapp.bids.times import Order, order_of
from cmb_bidsapp.bids.typed import decode, encode
from cmb_bidsapp.clinical.follow_up import CHANGE_COLUMNS, ChangeRow, FollowUp, change_row
from cmb_bidsapp.clinical.tracks import TRACK_COLUMNS, TrackRow, track_rows
from cmb_bidsapp.core.arrays import Points
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.group.session_records import read_record
from cmb_bidsapp.lesions.lesion import Lesion
from cmb_bidsapp.lesions.longitudinal import Track, Visit, protocol_changes
from cmb_bidsapp.lesions.presence import Evidence, History, VisitImages, evidence_at
from cmb_bidsapp.models.registry import calibration_of
from cmb_bidsapp.phases.base import Step
from cmb_bidsapp.preprocess.ants import write_linear
from cmb_bidsapp.preprocess.between import SessionRegistration, register_between
from cmb_bidsapp.preprocess.brain import BrainImage
from cmb_bidsapp.preprocess.resampling import IDENTITY, Grid
from cmb_bidsapp.report.painting import RGB, save
from cmb_bidsapp.report.track_figures import panels, side_by_side, words_of
from cmb_bidsapp.settings import Settings


@dataclass(frozen=True, eq=False, kw_only=True)
class SessionRecord:
    """What is known of a session.

    Attributes
    ----------
    lesions, centers
        The microbleeds that count, and where they are (mm, world of the T2*w).
    processing
        Model and decisions that the lesions were found with.
    """

    files: SessionFiles
    lesions: list[Lesion]
    centers: Points
    protocol: Protocol
    processing: Mapping[str, Any]

    @property
    def name(self) -> str:
        """``ses-A``."""
        return f"ses-{self.files.session}"


def sessions_with_results(out_dir: Path, participant: str) -> list[SessionFiles]:
    """Sessions of a participant that have a lesion table, from whichever run.

    Parameters
    ----------
    out_dir
        Output folder of the app.
    participant
        Label without ``sub-``.
    """
    folders = (out_dir / f"sub-{participant}").glob("ses-*")
    labels = sorted(path.name.removeprefix("ses-") for path in folders)
    found = [SessionFiles(out_dir, participant, label) for label in labels]
    return [files for files in found if files.lesions.exists()]


def register_sessions(
    sessions: Sequence[SessionRecord], order: Order, settings: Settings, step: Step
) -> tuple[dict[str, SessionRegistration], list[Path]]:
    """Register the T2*w of every later session to that of the first, and write good transforms.

    Parameters
    ----------
    sessions
        In the order of time.
    order
        The same, and what it rests on.
    settings
        Its seed is that of the registration.
    step
        Is told which session it is.
    """
    first = sessions[0]
    image = _read_image(first.files)
    found: dict[str, SessionRegistration] = {}
    written = []
    for later in sessions[1:]:
        step(f"registration of {later.name} to {first.name}")
        between = register_between(image, _read_image(later.files), seed=settings.seed)
        found[later.name] = between
        path = later.files.to_session(order.sessions[0])
        path.unlink(missing_ok=True)
        if between.good:
            with atomic(path) as beside:
                write_linear(between.pull, beside)
            written.append(path)
    return found, written


def remove_results(files: SessionFiles) -> None:
    """What an earlier run made must not outlive a failure of this one."""
    tables = (files.tracks, files.changes)
    for path in (*tables, *map(sidecar_of, tables), *files.track_figures()):
        path.unlink(missing_ok=True)


def in_order(files: SessionFiles, settings: Settings) -> tuple[Order, list[SessionFiles]]:
    """The sessions of a participant that have results, and what their order rests on.

    Parameters
    ----------
    files, settings
        Paths of the participant's derivatives, and settings of the run.
    """
    found = {
        str(one.session): one for one in sessions_with_results(files.out_dir, files.participant)
    }
    order = order_of(settings.bids_dir, files.participant, list(found))
    return order, [found[label] for label in order.sessions]


def _needed(files: SessionFiles) -> list[Path]:
    images = [files.t2star, files.t2star_brain, files.probability, files.instances]
    record = [sidecar_of(path) for path in (files.t2star, files.probability, files.mask)]
    return [files.lesions, *record, *images]


def read_followed(files: SessionFiles) -> SessionRecord:
    """Read what the phases before have left of a session.

    Raises
    ------
    DataError
        A file is missing or damaged.
    """
    missing = [path for path in _needed(files) if not path.exists()]
    if missing:
        raise DataError(f"{missing[0]} is missing; run the session again with --force")
    try:
        record, made = read_record(files), read_provenance(files)
        lesions = [lesion for lesion in record.lesions if lesion.counted]
        centers = np.array([lesion.point for lesion in lesions]).reshape(-1, 3)
        if not np.isfinite(centers).all():
            raise ValueError("x, y, z of a microbleed are not known")
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{files.lesions} or a sidecar beside it is damaged ({error}); run the session again "
            "with --force"
        ) from error
    processing = {"lesion model": made.lesion_model_sha256, **made.decisions}
    return SessionRecord(
        files=files,
        lesions=lesions,
        centers=centers,
        protocol=record.protocol,
        processing=processing,
    )


def _read_image(files: SessionFiles) -> BrainImage:
    image = read_derivative(files.t2star)
    return BrainImage(image.data, image.affine, read_labels(files.t2star_brain).data > 0)


def visits_of(
    sessions: Sequence[SessionRecord], registrations: Mapping[str, SessionRegistration]
) -> tuple[list[SessionRecord], list[Visit]]:
    """The sessions that can be compared with the first, and where their microbleeds are.

    Parameters
    ----------
    sessions
        In the order of time.
    registrations
        To the first session, by the name of the later one.
    """
    first = sessions[0]
    compared = [one for one in sessions if one is first or registrations[one.name].good]
    return compared, [_visit(one, registrations.get(one.name)) for one in compared]


def _visit(record: SessionRecord, between: SessionRegistration | None) -> Visit:
    """Where the microbleeds of a session are, and how its head lies (``None``: as at baseline)."""
    pull = IDENTITY if between is None else between.pull
    return Visit(record.centers, Grid.of_image(open_image(record.files.t2star)), pull)


def _numbers(record: SessionRecord) -> list[int]:
    return [lesion.number for lesion in record.lesions]


def look_at(
    made: Sequence[Track], compared: Sequence[SessionRecord], visits: Sequence[Visit]
) -> tuple[dict[tuple[int, int], Evidence], list[list[RGB]]]:
    """What the images show at the places of the tracks; one session at a time is in memory.

    Parameters
    ----------
    made
        Microbleeds through time.
    compared
        Sessions that can be compared, in the order of time.
    visits
        The same, with their grids and ways to the first.

    Returns
    -------
    evidence, pictures
        By position of track and session; and panels by session and track.
    """
    pictures: list[list[RGB]] = []

    def scan_of(n: int) -> VisitImages:
        # Drawn while its images are in memory.
        numbers = _numbers(compared[n])
        scan = VisitImages.of(compared[n].files, numbers)
        shown = (scan.t2star, scan.brain, scan.counted, numbers)
        pictures.append(list(panels(made, n, visits[n], visits[0].grid, *shown)))
        return scan

    lesions = [record.lesions for record in compared]
    return evidence_at(made, lesions, visits, scan_of), pictures


def rows_of(
    sessions: Sequence[SessionRecord],
    compared: Sequence[SessionRecord],
    histories: Sequence[History],
) -> list[TrackRow]:
    """Rows of the table of tracks, as it tells them.

    Parameters
    ----------
    sessions
        All of the participant, in the order of time.
    compared
        Those of them that can be compared.
    histories
        Of every microbleed.
    """
    lesions = {one.name: one.lesions for one in compared}
    rows = track_rows(histories, lesions, [one.name for one in sessions])
    # What is computed from rows, here or from the table later, is the same.
    return [decode(TrackRow, encode(row)) for row in rows]


def changes_of(
    sessions: Sequence[SessionRecord],
    registrations: Mapping[str, SessionRegistration],
    rows: Sequence[TrackRow],
    order: Order,
    settings: Settings,
) -> list[ChangeRow]:
    """Rows of the table of changes: every later session against the first and the one before.

    Parameters
    ----------
    sessions
        In the order of time.
    registrations
        To the first session, by the name of the later one.
    rows
        Of the table of tracks.
    order
        What the order rests on.
    settings
        Its lesion model has the calibration.
    """
    knots = calibration_of(settings.lesions.model)
    abouts = (
        _circumstances(sessions[0], before, later, order, registrations[later.name])
        for before, later in pairwise(sessions)
    )
    return [change_row(about, rows, knots) for about in abouts]


def _circumstances(
    first: SessionRecord,
    before: SessionRecord,
    later: SessionRecord,
    order: Order,
    between: SessionRegistration,
) -> FollowUp:
    """What is known of a follow-up beside its counts."""
    changed, notes = False, []
    for earlier in {first.name: first, before.name: before}.values():
        differs, unknown = protocol_changes(earlier.protocol, later.protocol)
        changed |= bool(differs)
        notes += [f"{text} since {earlier.name}" for text in differs]
        notes += [f"{text} not known here or in {earlier.name}" for text in unknown]
    old, new = first.processing, later.processing
    altered = [f"{k} {old.get(k)} -> {v}" for k, v in new.items() if old.get(k) != v]
    return FollowUp(
        session_id=later.name,
        baseline_session_id=first.name,
        order=order.source,
        order_note="; ".join(order.problems) or None,
        days=order.days(str(later.files.session)),
        registration="good" if between.good else "poor",
        mask_dice=between.mask_dice,
        residual=between.residual,
        rotation=between.rotation,
        shift=between.shift,
        protocol_changed=changed,
        protocol_note="; ".join(notes) or None,
        processing_changed=bool(altered),
        processing_note="; ".join(altered) or None,
    )


def draw_tracks(
    files: SessionFiles,
    histories: Sequence[History],
    pictures: Sequence[Sequence[RGB]],
    compared: Sequence[SessionRecord],
) -> list[Path]:
    """Write the picture of every track.

    Parameters
    ----------
    files
        Those of the participant.
    histories
        Of every microbleed.
    pictures
        Panels by session and track, as :func:`look_at` returns them.
    compared
        The sessions of the panels.
    """
    names = [record.name for record in compared]
    return [
        save(side_by_side(own, words_of(history, names)), files.track_figure(number))
        for number, (history, *own) in enumerate(zip(histories, *pictures, strict=True), 1)
    ]


def write_tracks(
    files: SessionFiles, rows: Sequence[TrackRow], changes: Sequence[ChangeRow]
) -> list[Path]:
    """Write the tables of microbleeds through time and of what changed.

    Parameters
    ----------
    files
        Those of the participant.
    rows
        Of the table of tracks.
    changes
        Of the table of changes.
    """
    write_table(files.tracks, list(TRACK_COLUMNS), map(vars, rows), TRACK_COLUMNS)
    write_table(files.changes, list(CHANGE_COLUMNS), map(vars, changes), CHANGE_COLUMNS)
    return [files.tracks, files.changes]


def follow_inputs(_: Participant, files: SessionFiles, settings: Settings) -> list[Path]:
    """What is read of every session; sidecars tell protocols, models and decisions.

    Parameters
    ----------
    files, settings
        Paths of the participant's derivatives, and settings of the run.
    """
    return [path for one in in_order(files, settings)[1] for path in _needed(one)]


def follow_parameters(settings: Settings, whole: Participant) -> dict[str, Any]:
    """Everything but inputs and code that the results depend on.

    Parameters
    ----------
    settings, whole
        Settings of the run, and the participant.
    """
    order, _ = in_order(SessionFiles.together(settings.out_dir, whole.participant), settings)
    return {
        "order": [
            order.sessions,
            order.source,
            list(map(str, order.times.values())),
            order.problems,
        ],
        "calibration": calibration_of(settings.lesions.model),
        "seed": settings.seed,
    }
