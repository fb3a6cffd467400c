"""The codec of the lesion table: what is written comes back, and what is no lesion is refused."""

import json
from dataclasses import fields
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.bids.typed import decode, encode
from cmb_bidsapp.core.defaults import CfprMode
from cmb_bidsapp.lesions.lesion import (
    Grade,
    Lesion,
    PhaseSign,
    Reason,
    Region,
    Side,
    Status,
)
from cmb_bidsapp.lesions.table import COLUMNS, as_written, read_lesions, write_lesions

NUMBERS = st.floats(-1e6, 1e6) | st.none()

LESIONS = st.builds(
    Lesion,
    lesion_id=st.integers(1, 999) | st.none(),
    status=st.sampled_from(Status),
    reason=st.sampled_from([*Reason, None]),
    grade=st.sampled_from([*Grade, None]),
    grade_reason=st.just("diameter 4 mm"),
    region=st.sampled_from([*Region, None]),
    mars_region=st.sampled_from(["frontal", None]),
    side=st.sampled_from([*Side, None]),
    border=st.sampled_from([True, False, None]),
    x=NUMBERS,
    probability_max=NUMBERS,
    cfpr_mode=st.sampled_from([*get_args(CfprMode), None]),
    shell_own=st.integers(0, 9) | st.none(),
)


@given(LESIONS)
def test_cells_come_back_as_the_values_they_were(lesion):
    written = as_written(lesion)
    assert as_written(written) == written
    for field in fields(Lesion):
        value, back = getattr(lesion, field.name), getattr(written, field.name)
        assert type(back) is type(value)
        assert back == (pytest.approx(value, rel=1e-5) if isinstance(value, float) else value)
    assert encode(written) == encode(lesion)


def test_a_table_has_its_columns_in_order_and_describes_them(tmp_path):
    path = tmp_path / "lesions.tsv"
    lesion = Lesion(status=Status.KEPT, grade=Grade.POSSIBLE, phase_sign=PhaseSign.UNDECIDED)
    write_lesions(path, [lesion])
    (row,) = read_table(path)
    assert list(row) == list(COLUMNS)
    assert list(row)[:4] == ["lesion_id", "status", "reason", "grade"]
    assert json.loads(path.with_suffix(".json").read_text()) == COLUMNS
    assert all(column["Description"] for column in COLUMNS.values())
    assert read_lesions(path) == [lesion]


def test_every_value_that_occurs_is_a_described_level():
    described = {"status": Status, "grade": Grade, "region": Region}
    for name, values in described.items():
        assert set(COLUMNS[name]["Levels"]) == set(values)
    assert set(COLUMNS["cfpr_mode"]["Levels"]) == set(get_args(CfprMode))
    assert set(COLUMNS["reason"]["Levels"]) == set(Reason) - {Reason.READER}


@pytest.mark.parametrize(
    ("cells", "cause"),
    [
        ({"status": "n/a"}, "status n/a: expected one of kept, rejected"),
        (
            {"grade": "certain"},
            "grade certain: expected one of definite, possible, below-size, macro",
        ),
        ({"reason": "because"}, "reason because: expected one of parenchyma"),
        ({"diameter": "large"}, "diameter large: expected a number"),
        ({"lesion_id": "1.5"}, "lesion_id 1.5: expected a whole number"),
        ({"border": "yes"}, "border yes: expected one of true, false"),
        ({"cfpr_mode": "own"}, "cfpr_mode own: expected one of paper, reference"),
    ],
)
def test_a_cell_that_is_none_is_refused_and_says_what_is_expected(cells, cause):
    with pytest.raises(ValueError, match=cause):
        decode(Lesion, {"status": "kept", **cells})


def test_columns_that_a_table_lacks_are_not_known(tmp_path):
    path = tmp_path / "lesions.tsv"
    path.write_text("status\tgrade\nkept\tdefinite\n")
    assert read_lesions(path) == [Lesion(status=Status.KEPT, grade=Grade.DEFINITE)]
    with pytest.raises(ValueError, match="lacks region"):
        read_lesions(path, ("status", "region"))
