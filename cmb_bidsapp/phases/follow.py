"""All sessions of a participant -> transforms, microbleeds through time, changes, figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.images import read_derivative, read_labels
from cmb_bidsapp.bids.inputs import Session
from cmb_bidsapp.bids.outputs import atomic, sidecar_of
from cmb_bidsapp.bids.stamps import read_stamp
from cmb_bidsapp.bids.tables import write_table
from cmb_bidsapp.bids.times import Order, order_of
from cmb_bidsapp.clinical.follow_up import (
    CHANGE_COLUMNS,
    TRACK_COLUMNS,
    Heights,
    change_row,
    track_rows,
)
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.group.records import read_record
from cmb_bidsapp.lesions.grading import COUNTED
from cmb_bidsapp.lesions.longitudinal import (
    Points,
    Track,
    Visit,
    highest_near,
    protocol_changes,
    tracks,
)
from cmb_bidsapp.lesions.table import Row
from cmb_bidsapp.models.registry import calibration_of
from cmb_bidsapp.phases.base import Phase, Result, Step
from cmb_bidsapp.preprocess.ants import write_linear
from cmb_bidsapp.preprocess.between import Between, Image, register_between
from cmb_bidsapp.preprocess.resampling import IDENTITY, Grid
from cmb_bidsapp.report.painting import save
from cmb_bidsapp.report.track_figures import panels, side_by_side, words_of
from cmb_bidsapp.settings import Settings


@dataclass(frozen=True, eq=False)
class Told:
    """What is known of a session.

    Attributes
    ----------
    lesions, centres
        Rows of the microbleeds that count, and where they are (mm, world of the T2*w).
    protocol
        How the T2*w was acquired; see :class:`cmb_bidsapp.group.records.Record`.
    processing
        Model and decisions that the lesions were found with.
    """

    files: SessionFiles
    lesions: list[Row]
    centres: Points
    protocol: Mapping[str, Any]
    processing: Mapping[str, Any]

    @property
    def name(self) -> str:
        """``ses-A``."""
        return f"ses-{self.files.session}"


def sessions_with_results(out_dir: Path, participant: str) -> list[SessionFiles]:
    """Sessions of a participant that have a lesion table, from whichever run."""
    folders = (out_dir / f"sub-{participant}").glob("ses-*")
    labels = sorted(path.name.removeprefix("ses-") for path in folders)
    found = [SessionFiles(out_dir, participant, label) for label in labels]
    return [files for files in found if files.lesions.exists()]


def follow(_: Session, files: SessionFiles, settings: Settings, step: Step) -> Result:
    """Register the sessions of a participant, and follow their microbleeds.

    ``files`` are those of the participant; its sessions are all that have a lesion table. One that
    cannot be registered to the first is told and not counted.

    Raises
    ------
    DataError
        A file of a session is missing or damaged.
    """
    _remove_results(files)
    order, own = _in_order(files, settings)
    sessions = [_read(one) for one in own]
    first = sessions[0]
    notes = list(order.problems)
    if order.source == "labels":
        notes.append("sessions are in the order of their labels: no table tells all times")
    image = _read_image(first.files)
    betweens: dict[str, Between] = {}
    written = []
    for later in sessions[1:]:
        step(f"registration of {later.name} to {first.name}")
        between = register_between(image, _read_image(later.files), seed=settings.seed)
        betweens[later.name] = between
        path = later.files.to_session(order.sessions[0])
        path.unlink(missing_ok=True)
        if between.good:
            with atomic(path) as beside:
                write_linear(between.pull, beside)
            written.append(path)
        else:
            notes.append(
                f"{later.name} could not be registered to {first.name} (overlap of the brains "
                f"{between.mask_dice:.2f}, two ways {between.residual:.1f} mm apart): its "
                "microbleeds are not compared"
            )
    step("microbleeds through time")
    compared = [one for one in sessions if one is first or betweens[one.name].good]
    visits = [_visit(one, betweens.get(one.name)) for one in compared]
    made = tracks(visits)
    heights = _heights(made, compared, visits)
    lesions = [one.lesions for one in compared]
    knots = calibration_of(settings.lesions.model)
    changes = []
    for before, later in pairwise(sessions):
        row = _facts(first, before, later, order, betweens[later.name])
        notes += _warnings(row)
        if later in compared:
            row |= change_row(made, compared.index(later), lesions, heights, knots)
        changes.append(row)
    step("figures")
    written += _draw(files, made, compared, visits)
    step("writing results")
    rows = track_rows(made, [one.name for one in compared], lesions, heights)
    write_table(files.tracks, list(TRACK_COLUMNS), rows, TRACK_COLUMNS)
    write_table(files.changes, list(CHANGE_COLUMNS), changes, CHANGE_COLUMNS)
    return Result(
        (files.tracks, files.changes, *written),
        {"order": list(order.sessions), "order_source": order.source, "tracks": len(made)},
        tuple(notes),
    )


def _remove_results(files: SessionFiles) -> None:
    """What an earlier run made must not outlive a failure of this one."""
    pictures = files.figure("track").parent.glob(f"{files.label}_desc-track*")
    tables = (files.tracks, files.changes)
    for path in (*tables, *map(sidecar_of, tables), *pictures):
        path.unlink(missing_ok=True)


def _in_order(files: SessionFiles, settings: Settings) -> tuple[Order, list[SessionFiles]]:
    """The sessions of a participant that have results, and what their order rests on."""
    found = {
        str(one.session): one for one in sessions_with_results(files.out_dir, files.participant)
    }
    order = order_of(settings.bids_dir, files.participant, list(found))
    return order, [found[label] for label in order.sessions]


def _needed(files: SessionFiles) -> list[Path]:
    images = [files.t2star, files.t2star_brain, files.probability, files.instances]
    return [files.lesions, sidecar_of(files.mask), *images]


def _read(files: SessionFiles) -> Told:
    missing = [path for path in _needed(files) if not path.exists()]
    if missing:
        raise DataError(f"{missing[0]} is missing; run the session again with --force")
    try:
        record = read_record(files)
        lesions = [
            row for row in record.lesions if row["status"] == "kept" and row["grade"] in COUNTED
        ]
        centres = np.array([[float(row[axis]) for axis in "xyz"] for row in lesions])
        decisions = json.loads(sidecar_of(files.mask).read_text(encoding="utf-8"))["Decisions"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{files.lesions} or {sidecar_of(files.mask).name} is damaged ({error}); run the "
            "session again with --force"
        ) from error
    stamp = read_stamp(files.stamp("segment"))
    model = None if stamp is None else stamp.info.get("lesion_model_sha256")
    processing = {"lesion model": model, **decisions}
    return Told(files, lesions, centres.reshape(-1, 3), record.protocol, processing)


def _read_image(files: SessionFiles) -> Image:
    return Image(*read_derivative(files.t2star), read_labels(files.t2star_brain)[0] > 0)


def _visit(told: Told, between: Between | None) -> Visit:
    """Where the microbleeds of a session are, and how its head lies (``None``: as at baseline)."""
    image = nib.load(told.files.t2star)
    pull = IDENTITY if between is None else between.pull
    return Visit(told.centres, Grid(image.shape, image.affine), pull)


def _numbers(told: Told) -> list[int]:
    return [int(row["lesion_id"]) for row in told.lesions]


def _heights(made: Sequence[Track], compared: Sequence[Told], visits: Sequence[Visit]) -> Heights:
    """Network probability at the places of the tracks, in the sessions that lack them."""
    heights: dict[tuple[int, int], float] = {}
    for order, (told, visit) in enumerate(zip(compared, visits, strict=True)):
        places = {}
        for position, track in enumerate(made):
            seen = {entry.visit: entry for entry in track}.get(order)
            if seen is None or seen.lesion is None:
                places[position] = (seen or track[0]).place
        if places:
            points = apply_affine(visit.pull, np.array(list(places.values())))
            others = np.isin(read_labels(told.files.instances)[0], _numbers(told))
            probability, _ = read_derivative(told.files.probability)
            values = highest_near(probability, visit.grid, points, others)
            heights |= {(position, order): v for position, v in zip(places, values, strict=True)}
    return heights


def _facts(
    first: Told, before: Told, later: Told, order: Order, between: Between
) -> dict[str, Any]:
    """What is known of a follow-up beside its counts."""
    changed, notes = False, []
    for earlier in {first.name: first, before.name: before}.values():
        differs, unknown = protocol_changes(earlier.protocol, later.protocol)
        changed |= bool(differs)
        notes += [f"{text} since {earlier.name}" for text in differs]
        notes += [f"{text} not known here or in {earlier.name}" for text in unknown]
    old, new = first.processing, later.processing
    altered = [f"{k} {old.get(k)} -> {v}" for k, v in new.items() if old.get(k) != v]
    return {
        "session_id": later.name,
        "baseline_session_id": first.name,
        "order": order.source,
        "days": order.days(str(later.files.session)),
        "registration": "good" if between.good else "poor",
        **{k: getattr(between, k) for k in ("mask_dice", "residual", "rotation", "shift")},
        "protocol_changed": changed,
        "protocol_note": "; ".join(notes) or None,
        "processing_changed": bool(altered),
        "processing_note": "; ".join(altered) or None,
    }


def _warnings(row: Mapping[str, Any]) -> list[str]:
    """What a person must be told of a follow-up."""
    return [
        f"{row['session_id']}: the {kind} changed ({row[f'{kind}_note']}); what looks new or lost "
        "may come from that"
        for kind in ("protocol", "processing")
        if row[f"{kind}_changed"]
    ]


def _draw(
    files: SessionFiles, made: Sequence[Track], compared: Sequence[Told], visits: Sequence[Visit]
) -> list[Path]:
    """Write the picture of every track."""
    columns = []
    for order, (told, visit) in enumerate(zip(compared, visits, strict=True)):
        image, instances = _read_image(told.files), read_labels(told.files.instances)[0]
        shown = (image.data, image.brain, instances, _numbers(told))
        columns.append(list(panels(made, order, visit, visits[0].grid, *shown)))
    names = [told.name for told in compared]
    return [
        save(side_by_side(pictures, words_of(track, names)), files.figure(f"track{number:03d}"))
        for number, (track, *pictures) in enumerate(zip(made, *columns, strict=True), 1)
    ]


def _follow_inputs(_: Session, files: SessionFiles, settings: Settings) -> list[Path]:
    return [path for one in _in_order(files, settings)[1] for path in _needed(one)]


def _follow_parameters(settings: Settings, session: Session) -> dict[str, Any]:
    order, own = _in_order(SessionFiles(settings.out_dir, session.participant, None), settings)
    told: list[Any]
    try:
        told = [(one.protocol, one.processing) for one in map(_read, own)]
    except DataError as error:  # the phase itself will raise it
        told = [str(error)]
    return {
        "version": 1,
        "order": [order.sessions, order.source, list(map(str, order.times.values()))],
        "told": told,
        "calibration": calibration_of(settings.lesions.model),
        "seed": settings.seed,
    }


FOLLOW = Phase("follow", follow, _follow_inputs, _follow_parameters)
