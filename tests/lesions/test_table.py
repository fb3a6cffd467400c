import dataclasses
import math
from typing import get_args

import pytest

from cmb_bidsapp.core.defaults import CfprMode
from cmb_bidsapp.lesions.cfpr import Verdict
from cmb_bidsapp.lesions.grading import GRADES
from cmb_bidsapp.lesions.table import COLUMNS, rows
from tests.lesions.test_grading import CLEAR

KEPT = Verdict(1, "paper", True, "parenchyma", 0.75, 10, 5, 0, 5, 2, 0)
REJECTED = Verdict(2, "paper", False, "periphery-not-brain", 0.25, 4, 0, 1, 15, 0, 0)
LONE = Verdict(3, "paper", True, "no-periphery", math.nan, 0, 0, 0, 0, 0, 0)
CANDIDATES = [dataclasses.replace(CLEAR, lesion=n) for n in (1, 2, 3)]


def table(*, verdicts=(KEPT, REJECTED, LONE), **options):
    return rows(CANDIDATES, verdicts, **{"cfpr": True, "min_diameter": 2.0, **options})


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


def test_the_mode_of_cfpr_and_what_only_reference_counts_are_told():
    other = dataclasses.replace(KEPT, mode="reference", own=9)
    first, second, _ = table(verdicts=(other, REJECTED, LONE))
    assert (first["cfpr_mode"], first["shell_own"]) == ("reference", 9)
    assert (second["cfpr_mode"], second["shell_own"]) == ("paper", 0)


def test_without_a_calibration_there_is_no_calibrated_probability():
    assert all(math.isnan(row["calibrated_probability"]) for row in table())


@pytest.mark.parametrize("cfpr", [True, False])
def test_a_calibration_holds_for_candidates_that_pass_cfpr(cfpr):
    found = table(cfpr=cfpr, calibration=((0.999, 0.5), (0.999999, 0.9)))
    expected = [0.9, math.nan, 0.9]
    assert [row["calibrated_probability"] for row in found] == pytest.approx(expected, nan_ok=True)


def test_the_grade_uses_the_calibrated_probability_where_there_is_one():
    found = table(calibration=((0.999, 0.1), (0.999999, 0.7)))
    assert [row["grade"] for row in found] == ["possible", "definite", "possible"]
    assert found[0]["grade_reason"] == "calibrated probability 0.7, below 0.75"
    assert found[1]["grade_reason"].startswith("diameter 4 mm; uncalibrated probability 1;")


def test_the_grade_uses_the_chosen_size():
    assert {row["grade"] for row in table()} == {"definite"}
    assert {row["grade"] for row in table(min_diameter=5.0)} == {"below-size"}


def test_every_value_that_occurs_is_a_described_level():
    assert set(COLUMNS["grade"]["Levels"]) == set(GRADES)
    assert set(COLUMNS["cfpr_mode"]["Levels"]) == set(get_args(CfprMode))
    assert set(COLUMNS["status"]["Levels"]) == {"kept", "rejected"}
    reasons = {row["reason"] for cfpr in (True, False) for row in table(cfpr=cfpr)}
    assert set(COLUMNS["reason"]["Levels"]) == reasons


def test_a_candidate_without_a_verdict_is_an_error():
    with pytest.raises(KeyError):
        table(verdicts=(KEPT,))


def test_no_candidates_no_rows():
    assert rows([], [], cfpr=True, min_diameter=2.0) == []
