"""Decisions, measures and notes in words."""

import pytest

from cmb_bidsapp.anatomy.quality import Measure, warnings
from cmb_bidsapp.lesions.lesion import Grade, Lesion, Mimic, Reason, Status
from cmb_bidsapp.report.words import instead_in_words, note_in_words, verdict_in_words


def test_every_reason_is_told_in_words():
    for reason in (None, *Reason):
        for status in Status:
            words = verdict_in_words(Lesion(status=status, reason=reason))
            assert words.split()[0].rstrip(":") in ("Kept", "Rejected", "Not"), reason


@pytest.mark.parametrize(
    ("mimic", "share", "grade", "words"),
    [
        (Mimic.VESSEL, 0.6, Grade.POSSIBLE, "a vessel"),
        (Mimic.IRON, 0.9, None, "the iron of a nucleus"),
        (Mimic.VESSEL, 0.4, Grade.POSSIBLE, ""),
        (Mimic.VESSEL, 0.9, Grade.DEFINITE, ""),
        (Mimic.OTHER, 0.9, Grade.POSSIBLE, ""),
        (None, None, Grade.POSSIBLE, ""),
    ],
)
def test_a_mimic_is_told_where_it_is_likely_and_the_grade_leaves_room(mimic, share, grade, words):
    lesion = Lesion(status=Status.KEPT, mimic=mimic, mimic_share=share, grade=grade)
    assert instead_in_words(lesion) == words


def test_shares_of_a_note_are_in_percent_and_all_else_is_as_it_was():
    measures = [
        Measure(measure="thalamus asymmetry", value=0.386, units="share", high=0.25),
        Measure(measure="brain of the T1w within the T2*w", value=0.5, units="share", low=0.9),
        Measure(measure="putamen volume", value=24.7, units="ml", high=20.0),
    ]
    (note,) = warnings(measures)
    assert note_in_words(note) == (
        "check the anatomy: thalamus asymmetry is 38.6 % (expected at most 25 %); "
        "brain of the T1w within the T2*w is 50 % (expected at least 90 %); "
        "putamen volume is 24.7 ml (expected at most 20)"
    )
    assert note_in_words("no T1w: T2*w alone") == "no T1w: T2*w alone"
