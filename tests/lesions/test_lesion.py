"""What a lesion is."""

from cmb_bidsapp.lesions.lesion import (
    COUNTED,
    Grade,
    Lesion,
    Status,
)


def test_what_counts_is_kept_and_definite_or_possible():
    counted = [
        (status, grade)
        for status in Status
        for grade in (*Grade, None)
        if Lesion(status=status, grade=grade).counted
    ]
    assert counted == [(Status.KEPT, grade) for grade in COUNTED]
