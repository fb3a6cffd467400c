"""A participant of two sessions, a year apart, whose microbleeds were followed by the algorithm."""

import numpy as np
from nibabel.affines import apply_affine

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import write_image
from cmb_bidsapp.bids.tables import write_table
from cmb_bidsapp.bids.times import order_of
from cmb_bidsapp.core.labels import MARS, RIGHT
from cmb_bidsapp.lesions.longitudinal import tracks
from cmb_bidsapp.lesions.presence import histories_of
from cmb_bidsapp.lesions.table import COLUMNS
from cmb_bidsapp.phases import follow
from cmb_bidsapp.preprocess.ants import write_linear
from cmb_bidsapp.preprocess.between import SessionRegistration
from cmb_bidsapp.settings import Settings
from tests.group.readers import AFFINE, candidate, rating
from tests.group.sessions import GRE

#: Places in the world of the first session, and what each session has there: number of the
#: candidate, whether it is kept. At ``MISSED`` the second one is dark, and no candidate.
STAYS, FAINT, HIDDEN, COMES = (10, 20, 8), (10, -20, 8), (30, 20, -8), (30, -20, -8)
MISSED, NOWHERE = (20, 0, 0), (40, 0, 0)
SESSIONS = {
    "A": {STAYS: ("1", "kept"), FAINT: ("2", "kept"), HIDDEN: ("3", "rejected")},
    "B": {
        STAYS: ("1", "kept"),
        COMES: ("2", "kept"),
        HIDDEN: ("3", "rejected"),
        FAINT: ("4", "rejected"),
    },
}
DARK = {"A": (), "B": (MISSED,)}
#: World of the first session to that of each: farther than any two lesions are matched.
SHIFT = {"A": (0, 0, 0), "B": (4, -6, 8)}
SHAPE = (50, 50, 20)
TIMES = {"A": "2020-01-01T10:00:00", "B": "2020-12-31T16:00:00"}


def write_followed(out_dir, label="01", *, poor=False, **protocol):
    """Results of both sessions and of their comparison; of the second one the protocol may differ.

    Where it is ``poor`` the second one could not be registered.
    """
    bids_dir = out_dir.parent / "bids"
    times = [{"session_id": f"ses-{name}", "acq_time": time} for name, time in TIMES.items()]
    table = bids_dir / f"sub-{label}" / f"sub-{label}_sessions.tsv"
    write_table(table, ("session_id", "acq_time"), times)
    for name in SESSIONS:
        _write_session(SessionFiles(out_dir, label, name), protocol if name == "B" else {})
    order = order_of(bids_dir, label, list(SESSIONS))
    files = SessionFiles(out_dir, label, None)
    sessions = [follow.read_followed(SessionFiles(out_dir, label, name)) for name in SESSIONS]
    between = SessionRegistration(
        pull=_motion("B"), mask_dice=0.2 if poor else 1.0, residual=0.0, rotation=0.0, shift=0.0
    )
    registrations = {"ses-B": between}
    if not poor:
        write_linear(between.pull, SessionFiles(out_dir, label, "B").to_session("A"))
    compared, visits = follow.visits_of(sessions, registrations)
    made = tracks(visits)
    evidence, _ = follow.look_at(made, compared, visits)
    histories = histories_of(made, evidence, [one.protocol for one in compared])
    rows = follow.rows_of(sessions, compared, histories)
    settings = Settings(bids_dir=bids_dir, out_dir=out_dir, levels=("participant",))
    changes = follow.changes_of(sessions, registrations, rows, order, settings)
    follow.write_tracks(files, rows, changes)
    return files


def said(session, lesion, decision, rater="AB", at=None):
    """What a reader says of a candidate, or of a place without one (``lesion`` is ``None``)."""
    places = {number: place for place, (number, _) in SESSIONS[session].items()}
    place = apply_affine(_motion(session), at or places[lesion])
    return rating(lesion, decision, rater, place=tuple(place), session_id=f"ses-{session}")


def _motion(session):
    motion = np.eye(4)
    motion[:3, 3] = SHIFT[session]
    return motion


def _write_session(files, protocol):
    name = files.session
    image = np.full(SHAPE, 100.0) + np.random.default_rng(ord(name)).normal(0, 1, SHAPE)
    probability, instances = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.int16)
    mars = np.zeros(SHAPE, np.uint8)
    mars[25:, 5:45, 4:16] = RIGHT + MARS["frontal"]
    rows = []
    for place in (*SESSIONS[name], *DARK[name]):
        here = apply_affine(_motion(name), place)
        x, y, z = np.round(apply_affine(np.linalg.inv(AFFINE), here)).astype(int)
        spot = (np.array([0, -1, 1, 0, 0]) + x, np.array([0, 0, 0, -1, 1]) + y, z)
        image[spot] *= 0.6
        if place in SESSIONS[name]:
            number, status = SESSIONS[name][place]
            chance = 0.999 if status == "kept" else 0.9
            instances[spot], probability[x, y, z] = int(number), chance
            row = candidate(number, status, "definite", tuple(here))
            rows.append({**row, "probability_max": chance})
    write_table(files.lesions, list(COLUMNS), rows)
    acquired = {**GRE, "VoxelSize": [2.0, 2.0, 4.0], **protocol}
    for path, data, sidecar in (
        (files.t2star, image.astype(np.float32), acquired),
        (files.t2star_brain, np.ones(SHAPE, np.uint8), {}),
        (files.probability, probability, {"ModelSHA256": "abc"}),
        (files.instances, instances, {}),
        (files.mask, (instances > 0).astype(np.uint8), {"Decisions": {}}),
        (files.mars, mars, {}),
    ):
        write_image(path, data, AFFINE, sidecar)
