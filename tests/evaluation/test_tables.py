"""The tables of an evaluation, from results that are written down."""

import json

import pytest

from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.evaluation.columns import COLUMNS
from cmb_bidsapp.evaluation.results import AFTER, BEFORE
from cmb_bidsapp.evaluation.tables import lesion_rows, session_rows, tables_of, write_tables
from tests.evaluation.results import false, found, missed, result

RESULTS = [
    result("02", *found(1), before=(*found(1), *false(2))),
    result("01", *missed(), session="B", before=missed()),
    result("01", *found(1), session="A", before=found(1)),
    result("01", *false(1), session="A", method="other", before=false(1)),
]
LEFT_OUT = {"method": "app", "participant_id": "sub-03", "session_id": None, "status": "failed"}


@pytest.fixture(scope="module")
def tables():
    return tables_of(RESULTS, [LEFT_OUT], seed=0)


def test_a_session_has_a_row_for_each_stage():
    before, after = session_rows(RESULTS[0])
    assert (before["stage"], after["stage"]) == (BEFORE, AFTER)
    assert (before["fp"], after["fp"]) == (1, 0)
    assert (before["count_error"], after["count_error"]) == (1, 0)
    assert (after["participant_id"], after["session_id"]) == ("sub-02", None)
    assert after["matched_dice"] == pytest.approx(0.8)


def test_every_lesion_of_both_sides_has_a_row():
    rows = [row for row in lesion_rows(RESULTS[0]) if row["stage"] == BEFORE]
    assert [(row["side"], row["fate"]) for row in rows] == [
        ("reference", "found"), ("predicted", "true-positive"), ("predicted", "false-positive"),
    ]  # fmt: skip
    assert [rows[0][axis] for axis in "xyz"] == [1.0, 2.0, 3.0]


def test_sessions_are_in_order_of_method_participant_and_session(tables):
    names = [
        (row["method"], row["participant_id"], row["session_id"]) for row in tables["sessions"]
    ]
    assert list(dict.fromkeys(names)) == [
        ("app", "sub-01", "ses-A"), ("app", "sub-01", "ses-B"), ("app", "sub-02", None),
        ("app", "sub-03", None), ("other", "sub-01", "ses-A"),
    ]  # fmt: skip


def test_confusions_are_complete(tables):
    classes = [row for row in tables["burden"] if row["method"] == "app" and row["group"] == "all"]
    assert len(classes) == 2 * 5
    after = [row for row in classes if row["stage"] == AFTER]
    cells = [row[f"predicted_{number}"] for row in after for number in range(5)]
    assert sum(cells) == 3


def test_every_table_is_written_with_words_for_every_column(tables, tmp_path):
    written = write_tables(tmp_path, tables, RESULTS)
    assert {path.name for path in written} == {f"evaluation_{name}.tsv" for name in COLUMNS}
    for path in written:
        described = json.loads(path.with_suffix(".json").read_text())
        assert all(entry["Description"] for entry in described.values())
        header = path.read_text().splitlines()[0].split("\t")
        assert header == list(described)
    assert len(read_table(tmp_path / "evaluation_lesions.tsv")) == sum(
        len(stage.fates) for one in RESULTS for stage in one.stages.values()
    )
