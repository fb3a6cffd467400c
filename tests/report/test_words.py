"""What was decided on a candidate, and what else it may be, in words."""

import pytest

from cmb_bidsapp.lesions.lesion import Grade, Lesion, Mimic, Reason, Status
from cmb_bidsapp.report.words import instead_in_words, verdict_in_words


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
