import dataclasses
import math

import pytest

from cmb_bidsapp.lesions.cfpr import Verdict
from cmb_bidsapp.lesions.grading import GRADES
from cmb_bidsapp.lesions.table import COLUMNS, rows
from tests.lesions.test_grading import CLEAR

KEPT = Verdict(1, True, "parenchyma", 0.75, 10, 5, 0, 5, 2)
REJECTED = Verdict(2, False, "periphery-not-brain", 0.25, 4, 0, 1, 15, 0)
LONE = Verdict(3, True, "no-periphery", math.nan, 0, 0, 0, 0, 0)
CANDIDATES = [dataclasses.replace(CLEAR, lesion=n) for n in (1, 2, 3)]


def table(*, cfpr=True, min_diameter=2.0, verdicts=(KEPT, REJECTED, LONE)):
    return rows(CANDIDATES, verdicts, cfpr=cfpr, min_diameter=min_diameter)


def test_every_column_is_filled_and_described():
    for row in table():
        assert set(row) == set(COLUMNS)
    assert all(column["Description"] for column in COLUMNS.values())


def test_columns_come_in_the_documented_order():
    assert list(COLUMNS)[:4] == ["lesion_id", "status", "reason", "grade"]


def test_rejected_candidates_stay_in_the_table():
    found = [(row["lesion_id"], row["status"], row["reason"]) for row in table()]
    assert found == [
        (1, "kept", "parenchyma"),
        (2, "rejected", "periphery-not-brain"),
        (3, "kept", "no-periphery"),
    ]


def test_without_cfpr_all_are_kept_and_the_verdict_is_still_reported():
    found = table(cfpr=False)
    assert {row["status"] for row in found} == {"kept"}
    assert {row["reason"] for row in found} == {"cfpr-off"}
    assert [row["cfpr_ratio"] for row in found[:2]] == [0.75, 0.25]
    assert found[1]["shell_background"] == 15


def test_the_shell_is_in_the_row_of_its_lesion_whatever_the_order():
    row = table(verdicts=(LONE, REJECTED, KEPT))[0]
    shell = ("lobar", "deep", "infratentorial", "background", "other_cmb")
    assert [row[f"shell_{name}"] for name in shell] == [10, 5, 0, 5, 2]
    assert row["cfpr_ratio"] == 0.75


def test_the_grade_uses_the_chosen_size():
    assert {row["grade"] for row in table()} == {"definite"}
    assert {row["grade"] for row in table(min_diameter=5.0)} == {"below-size"}


def test_every_value_that_occurs_is_a_described_level():
    assert set(COLUMNS["grade"]["Levels"]) == set(GRADES)
    assert set(COLUMNS["status"]["Levels"]) == {"kept", "rejected"}
    reasons = {row["reason"] for cfpr in (True, False) for row in table(cfpr=cfpr)}
    assert set(COLUMNS["reason"]["Levels"]) == reasons


def test_a_candidate_without_a_verdict_is_an_error():
    with pytest.raises(KeyError):
        table(verdicts=(KEPT,))


def test_no_candidates_no_rows():
    assert rows([], [], cfpr=True, min_diameter=2.0) == []
