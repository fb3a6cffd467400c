"""Rows of microbleeds through time, and what is known at a session."""

import numpy as np
import pytest

from cmb_bidsapp.bids.typed import decode, encode
from cmb_bidsapp.clinical.tracks import TRACK_COLUMNS, TrackRow, known_at, track_rows
from cmb_bidsapp.lesions.lesion import Grade, Lesion, Region, Side, Status
from cmb_bidsapp.lesions.presence import Change, Evidence, Sighting, State

PLACE = np.array([1.0, 2.0, 3.0])
NAN = float("nan")


def lesion(number, **more):
    plain = {"grade": Grade.DEFINITE, "region": Region.DEEP, "mars_region": "thalamus"}
    return Lesion(
        lesion_id=number,
        status=Status.KEPT,
        side=Side.LEFT,
        diameter=4.0,
        calibrated_probability=0.8,
        probability_max=0.9999,
        **{**plain, **more},
    )


def sighting(state, change=None, lesion=None, distance=NAN, evidence=(NAN, NAN)):
    return Sighting(
        state=state,
        change=change,
        lesion=lesion,
        place=PLACE,
        distance=distance,
        evidence=Evidence(*evidence),
    )


LESIONS = {
    "ses-A": [lesion(7)],
    "ses-B": [lesion(1, grade=Grade.POSSIBLE), lesion(2, region=Region.LOBAR)],
}
HISTORIES = (
    (
        sighting(State.PRESENT, Change.BASELINE, 0, evidence=(1.0, 0.4)),
        sighting(State.PRESENT, Change.PERSISTENT, 0, 0.5),
    ),
    (
        sighting(State.BELOW_THRESHOLD, evidence=(0.9, 0.3)),
        sighting(State.PRESENT, Change.ALREADY_THERE, 1),
    ),
)


@pytest.fixture
def rows():
    return list(track_rows(HISTORIES, LESIONS, ["ses-A", "ses-B", "ses-C"]))


def test_every_track_has_a_row_of_every_session(rows):
    assert [(row.track_id, row.session_id, row.lesion_id) for row in rows] == [
        (1, "ses-A", 7),
        (1, "ses-B", 1),
        (1, "ses-C", None),
        (2, "ses-A", None),
        (2, "ses-B", 2),
        (2, "ses-C", None),
    ]
    assert set(vars(rows[0])) == set(TRACK_COLUMNS)


def test_a_session_that_was_not_compared_is_not_comparable(rows):
    assert {row.state for row in rows if row.session_id == "ses-C"} == {State.NOT_COMPARABLE}
    assert rows[2].x is None


def test_since_is_the_first_session_that_has_it(rows):
    assert {(row.track_id, row.since) for row in rows} == {(1, "ses-A"), (2, "ses-A")}
    history = (sighting(State.NOT_YET), sighting(State.PRESENT, Change.NEW, 0))
    assert {row.since for row in track_rows([history], LESIONS, list(LESIONS))} == {"ses-B"}


def test_the_probability_is_that_of_the_lesion_or_of_its_place(rows):
    assert [row.probability_max for row in rows[3:5]] == [0.9, 0.9999]
    assert [row.contrast for row in rows[:1]] == [0.4]
    assert rows[3].contrast == 0.3


def test_grade_and_place_stay_known_where_it_is_not_found(rows):
    assert [row.grade for row in rows[:3]] == [Grade.DEFINITE, Grade.POSSIBLE, Grade.POSSIBLE]
    assert [row.region for row in rows[3:]] == [Region.LOBAR] * 3
    assert (rows[3].diameter, rows[3].calibrated_probability) == (None, None)


def test_rows_are_read_as_they_were_written(rows):
    for row in rows:
        again = decode(TrackRow, encode(row))
        assert (again.state, again.change, again.grade) == (row.state, row.change, row.grade)


def test_what_is_known_is_there_or_was_found_before_and_cannot_be_judged(rows):
    def grades(session):
        return [one.grade for one in known_at(rows, session)]

    assert grades("ses-A") == [Grade.DEFINITE, Grade.DEFINITE]
    assert grades("ses-C") == [Grade.POSSIBLE, Grade.DEFINITE]


def test_what_is_gone_or_not_there_yet_is_not_known():
    history = (
        sighting(State.NOT_YET),
        sighting(State.PRESENT, Change.NEW, 0),
        sighting(State.GONE),
    )
    lesions = {**LESIONS, "ses-C": []}
    made = list(track_rows([history], lesions, list(lesions)))
    assert [len(known_at(made, name)) for name in lesions] == [0, 1, 0]
