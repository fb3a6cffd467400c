"""Made-up results of sessions, as the participant level leaves them: tables and sidecars."""

from collections import Counter

from cmb_bidsapp.anatomy.quality import COLUMNS as MEASURES
from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import sidecar_of, write_json
from cmb_bidsapp.bids.tables import write_table
from cmb_bidsapp.clinical.follow_up import CHANGE_COLUMNS
from cmb_bidsapp.clinical.tracks import TRACK_COLUMNS
from cmb_bidsapp.core.labels import MARS_FORM
from cmb_bidsapp.group.changes import COUNTS
from cmb_bidsapp.group.collect import collect
from cmb_bidsapp.group.session_records import records
from cmb_bidsapp.lesions.table import COLUMNS

GRE = {
    "SequenceKind": "T2starw",
    "MagneticFieldStrength": 3.0,
    "EchoTime": 0.02,
    "VoxelSize": [0.43, 6.5, 0.43],
}
SWI = {**GRE, "SequenceKind": "swi", "VoxelSize": [0.8, 0.8, 3.0]}
#: A region of the MARS form for each group.
REGION = {"lobar": "frontal", "deep": "thalamus", "infratentorial": "cerebellum"}


def lesion(region="lobar", grade="definite", status="kept", *, border=False, **cells):
    """A row of the lesion table; ``region`` is a group or a region of the MARS form."""
    name = REGION.get(region, region)
    group = MARS_FORM[name][1] if name in MARS_FORM else "unassigned"
    return {
        **dict.fromkeys(COLUMNS),
        **{"region": group, "mars_region": name, "side": "right", "border": border},
        **{"grade": grade, "status": status, "mni_x": 30, "mni_y": -20, "mni_z": 40},
        "calibrated_probability": 0.9 if status == "kept" else None,
        **cells,
    }


def measure(name="thalamus volume", value=12.0, flag="ok", units="ml"):
    """A row of the table of the anatomy."""
    return dict(zip(MEASURES, (name, value, units, 8, 27, flag), strict=True))


def write_session(out_dir, participant, session=None, lesions=(), acquired=None, quality=None):
    """Write what a session leaves; numbers of lesions, or rows of them."""
    files = SessionFiles(out_dir, participant, session)
    rows = [lesion()] * lesions if isinstance(lesions, int) else lesions
    write_table(files.lesions, list(COLUMNS), rows, COLUMNS)
    if acquired is not None:
        write_json(sidecar_of(files.t2star), acquired)
    if quality is not None:
        write_table(files.quality, list(MEASURES), quality)
    return files


def write_changes(out_dir, participant, *rows):
    """Write a participant's table of changes; ses-A is the baseline where a row names none."""
    path = SessionFiles(out_dir, participant, None).changes
    plain = {
        **{"session_id": "ses-B", "baseline_session_id": "ses-A", "registration": "good"},
        **{"protocol_changed": False, "processing_changed": False, "aria_h": "none"},
        **dict.fromkeys(COUNTS, 0),
    }
    write_table(path, list(CHANGE_COLUMNS), [{**plain, **row} for row in rows])
    return path


def write_tracks(out_dir, participant, *rows):
    """Write a participant's microbleeds through time."""
    path = SessionFiles(out_dir, participant, None).tracks
    write_table(path, list(TRACK_COLUMNS), rows)
    return path


def write_status(out_dir, *rows):
    """Write the status of the last run: participant, session, stage, status, message."""
    columns = ("participant_id", "session_id", "stage", "status", "message")
    rows = [dict(zip(columns, row, strict=True)) for row in rows]
    write_table(out_dir / "logs" / "status.tsv", columns, rows)


def gather(out_dir, found=None, **options):
    return collect(records(out_dir) if found is None else found, out_dir, limit=4, **options)[0]


def counts(pool):
    """Participants by count, without counts that nobody has."""
    return +Counter(pool.counts)
