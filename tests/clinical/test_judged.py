"""Readers' words on microbleeds through time, over what the sessions have of them."""

import pytest

from cmb_bidsapp.clinical.decided import decide_tracks
from cmb_bidsapp.clinical.judged import Judgment, contradicted
from cmb_bidsapp.lesions.presence import Change, State
from tests.clinical.test_decided import (
    DARK,
    FOUND,
    GRE,
    LESION,
    NAMES,
    NOTHING,
    OUTSIDE,
    REJECTED,
    SWI,
    rows_of,
    sessions,
)

NEW, BEFORE, GONE, UNSURE = Judgment


def judged(seen, *lesions, protocols=(GRE,) * 3, **words):
    """States and changes of a microbleed after the words on its sessions."""
    own = lesions or [[LESION]] * 3
    rows = decide_tracks(
        rows_of(*seen, protocols=protocols),
        sessions(*own, protocols=protocols),
        NAMES,
        judgments={1: {f"ses-{name}": word for name, word in words.items()}},
    )
    return [row.change or row.state for row in rows]


def test_what_is_new_to_the_reader_was_there_in_no_session_before():
    seen = (DARK, DARK, FOUND)
    assert judged(seen)[2] is Change.ALREADY_THERE
    assert judged(seen, C=NEW) == [State.NOT_YET, State.NOT_YET, Change.NEW]


def test_what_was_there_before_is_not_new():
    seen = (NOTHING, NOTHING, FOUND)
    assert judged(seen)[2] is Change.NEW
    assert judged(seen, C=BEFORE) == [
        State.BELOW_THRESHOLD,
        State.BELOW_THRESHOLD,
        Change.ALREADY_THERE,
    ]
    # A no to the lesion at baseline alone makes it new, unless the reader says that it is not.
    no = ([REJECTED], [LESION], [LESION])
    seen = (FOUND, FOUND, FOUND)
    assert judged(seen, *no)[:2] == [State.NOT_YET, Change.NEW]
    assert judged(seen, *no, B=BEFORE)[:2] == [State.BELOW_THRESHOLD, Change.ALREADY_THERE]


def test_what_is_gone_to_the_reader_is_gone_though_something_is_dark():
    assert judged((FOUND, DARK, DARK), B=GONE) == [
        Change.BASELINE,
        State.GONE,
        State.BELOW_THRESHOLD,
    ]
    # And what is still there is not.
    assert judged((FOUND, NOTHING, NOTHING), C=BEFORE) == [
        Change.BASELINE,
        State.BELOW_THRESHOLD,
        State.BELOW_THRESHOLD,
    ]


def test_who_is_not_sure_leaves_it():
    seen = (DARK, NOTHING, FOUND)
    assert judged(seen, C=UNSURE) == judged(seen)


@pytest.mark.parametrize(
    ("seen", "protocols"),
    [((OUTSIDE, NOTHING, FOUND), (GRE,) * 3), ((NOTHING, NOTHING, FOUND), (GRE, GRE, SWI))],
)
def test_the_reader_knows_what_the_images_cannot_tell(seen, protocols):
    assert judged(seen, protocols=protocols)[0] in (State.NOT_COVERED, State.NOT_COMPARABLE)
    assert judged(seen, protocols=protocols, C=NEW)[0] is State.NOT_YET
    assert judged(seen, protocols=protocols, C=BEFORE)[2] is Change.ALREADY_THERE


def test_an_earlier_follow_up_knows_better_what_was_before_it():
    assert judged((DARK, FOUND, FOUND), B=NEW, C=BEFORE) == [
        State.NOT_YET,
        Change.NEW,
        Change.PERSISTENT,
    ]


def test_what_is_counted_stays_and_the_contradiction_is_told():
    seen = (FOUND, FOUND, FOUND)
    assert judged(seen, B=NEW, C=GONE) == judged(seen)
    said = {1: {"ses-B": NEW, "ses-C": GONE}}
    assert list(contradicted(rows_of(*seen), said)) == [(1, "ses-B"), (1, "ses-C")]
    assert list(contradicted(rows_of(NOTHING, FOUND, NOTHING), said)) == []


def test_what_is_said_to_be_absent_at_baseline_is_certain():
    rows = decide_tracks(
        rows_of(DARK, FOUND, FOUND),
        sessions([], [LESION], [LESION]),
        NAMES,
        judgments={1: {"ses-B": NEW}, 7: {"ses-B": NEW}},
    )
    assert [row.calibrated_probability for row in rows] == [0, 0.8, 0.8]
