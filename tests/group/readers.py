"""Sessions with regions and candidates, and what readers make of them."""

import numpy as np

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import write_image
from cmb_bidsapp.bids.tables import write_table
from cmb_bidsapp.core.labels import LEFT, MARS, RIGHT
from cmb_bidsapp.group.rating_rows import LATER_COLUMNS, RATING_COLUMNS
from cmb_bidsapp.group.reader_decisions import Reading
from cmb_bidsapp.group.session_records import read_record
from cmb_bidsapp.lesions.table import COLUMNS

#: Candidates of every session: number, status and grade of the algorithm, place.
CANDIDATES = [
    ("1", "kept", "definite", (10, 20, 30)),
    ("2", "kept", "possible", (12.5, -20, 30)),
    ("3", "kept", "macro", (-30, 0, 0)),
    ("4", "rejected", "possible", (40, 40, 0)),
]
AFFINE = np.array([[2, 0, 0, -50], [0, 2, 0, -50], [0, 0, 4, -40], [0, 0, 0, 1.0]])


D, P, N = "definite", "possible", "not-cmb"


def reading(participant, *marks, finished=("AB", "CD")):
    """A session; each mark is what algorithm, AB and CD say, ``None`` where they say nothing."""
    sides = ("algorithm", "AB", "CD")
    said = [{k: v for k, v in zip(sides, mark, strict=True) if v} for mark in marks]
    return Reading(participant=participant, session=None, marks=tuple(said), finished=finished)


READINGS = [
    reading("1", (D, D, D), (D, P, N), (P, N, N)),
    reading("2", (D, D, P), (N, P, None), (N, N, D)),
    reading("3", (D, D, D), (P, P, P), (N, N, N), (N, D, D)),
    reading("4"),
    reading("5", (D, N, None), (D, None, None), finished=()),
]


def candidate(number, status, grade, place):
    return {
        **dict.fromkeys(COLUMNS),
        "lesion_id": number,
        "status": status,
        "reason": "parenchyma" if status == "kept" else "periphery-not-brain",
        "grade": grade,
        "grade_reason": "numbers",
        "region": "lobar",
        "mars_region": "frontal",
        "side": "right",
        "border": False,
        **dict(zip("xyz", place, strict=True)),
        "diameter": 4.0,
        "calibrated_probability": 0.7,
    }


def write_session(out_dir, participant="01", session=None, candidates=CANDIDATES):
    """Results with a right frontal lobe (x > 0) and a left thalamus; returns the record."""
    files = SessionFiles(out_dir, participant, session)
    write_table(files.lesions, list(COLUMNS), [candidate(*one) for one in candidates])
    mars = np.zeros((50, 50, 20), np.uint8)
    mars[25:, 5:45, 4:16] = RIGHT + MARS["frontal"]
    mars[20:25, 20:30, 8:12] = LEFT + MARS["thalamus"]
    write_image(files.mars, mars, AFFINE)
    return read_record(files)


def rating(lesion, decision, rater="AB", **changes):
    """A row of a ratings file; of the candidates above, or with their place in ``changes``."""
    places = {number: place for number, _, _, place in CANDIDATES}
    place = changes.pop("place", places.get(lesion, (None, None, None)))
    return {
        "participant_id": "sub-01",
        "session_id": None,
        "rater": rater,
        "lesion_id": lesion,
        "decision": decision,
        **dict(zip("xyz", place, strict=True)),
        "note": None,
        "date": "2026-03-01T10:00:00.000Z",
        "version": "0.1",
        **changes,
    }


def write_ratings(folder, *rows, name="sub-01_rater-AB_ratings.tsv"):
    """A file as the report exports it, with the later columns that a row has; returns its path."""
    later = [name for name in LATER_COLUMNS if any(name in row for row in rows)]
    write_table(folder / name, [*RATING_COLUMNS, *later], rows)
    return folder / name


def row_of(record, number):
    (row,) = (row for row in record.lesions if row.lesion_id == int(number))
    return row
