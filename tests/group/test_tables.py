"""Group tables from made-up lesion tables."""

import json

import pytest

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import read_table, write_table
from cmb_bidsapp.group.tables import (
    LESION_COLUMNS,
    MARS_COLUMNS,
    REGIONS,
    collect,
    mars_row,
    write_tables,
)
from cmb_bidsapp.lesions.table import COLUMNS
from cmb_bidsapp.runtime.stamps import Stamp, write_stamp


def lesion(region="lobar", grade="definite", status="kept", *, border=False):
    values = dict.fromkeys(COLUMNS)
    return values | {"region": region, "grade": grade, "status": status, "border": border}


LESIONS = [
    lesion("lobar", "definite"),
    lesion("lobar", "definite", border=True),
    lesion("lobar", "possible"),
    lesion("deep", "possible", border=True),
    lesion("infratentorial", "definite"),
    lesion("unassigned", "possible"),
    lesion("lobar", "below-size", border=True),
    lesion("deep", "below-size"),
    lesion("deep", "macro", border=True),
    lesion("lobar", "definite", "rejected", border=True),
    lesion("lobar", "macro", "rejected"),
    lesion("infratentorial", "below-size", "rejected"),
]
GRE = {"sequence": "T2starw", "field_t": 3.0, "echo_s": 0.02, "voxel_mm": [0.43, 6.5, 0.43]}


def write_session(out_dir, participant, session=None, lesions=(), info=None):
    files = SessionFiles(out_dir, participant, session)
    write_table(files.lesions, list(COLUMNS), lesions, COLUMNS)
    if info is not None:
        write_stamp(files.stamp("finish"), Stamp("key", {}, {}, info))
    return files.lesions


@pytest.fixture
def out_dir(tmp_path):
    write_session(tmp_path, "01", "A", LESIONS, GRE)
    write_session(tmp_path, "01", "B", [], {**GRE, "sequence": "swi"})
    write_session(tmp_path, "02", None, [lesion("deep")])
    return tmp_path


def rows_of(out_dir):
    return [mars_row(session) for session in collect(out_dir).sessions]


def test_every_session_is_found_with_or_without_a_session_folder(out_dir):
    cohort = collect(out_dir)
    assert [(s.files.participant, s.files.session, len(s.lesions)) for s in cohort.sessions] == [
        ("01", "A", 12),
        ("01", "B", 0),
        ("02", None, 1),
    ]
    assert cohort.problems == ()


def test_an_empty_folder_is_an_empty_cohort(tmp_path):
    cohort = collect(tmp_path)
    assert (cohort.sessions, cohort.problems) == ((), ())


def test_kept_definite_and_possible_lesions_are_counted_by_region(out_dir):
    row = rows_of(out_dir)[0]
    assert {region: row[region] for region in (*REGIONS, "total")} == {
        "lobar": 3,
        "deep": 1,
        "infratentorial": 1,
        "unassigned": 1,
        "total": 6,
    }
    assert (row["lobar_definite"], row["lobar_possible"]) == (2, 1)
    assert (row["deep_definite"], row["deep_possible"]) == (0, 1)
    assert (row["total_definite"], row["total_possible"]) == (3, 3)


def test_what_is_not_counted_is_reported_apart(out_dir):
    row = rows_of(out_dir)[0]
    assert (row["below_size"], row["macro"], row["rejected"]) == (2, 1, 3)


def test_border_is_about_counted_lesions_only(out_dir):
    assert rows_of(out_dir)[0]["border"] == 2


def test_counts_add_up(out_dir):
    for row in rows_of(out_dir):
        assert row["total"] == sum(row[region] for region in REGIONS)
        assert row["total"] == row["total_definite"] + row["total_possible"]
        for region in REGIONS:
            assert row[region] == row[f"{region}_definite"] + row[f"{region}_possible"]
    first = rows_of(out_dir)[0]
    assert first["total"] + first["below_size"] + first["macro"] + first["rejected"] == 12


def test_a_session_without_lesions_counts_with_zeros(out_dir):
    row = rows_of(out_dir)[1]
    identity = ("participant_id", "session_id", "sequence", "field_strength", "echo_time")
    counts = {k: v for k, v in row.items() if k not in (*identity, "slice_distance")}
    assert counts
    assert set(counts.values()) == {0}
    assert (row["participant_id"], row["session_id"]) == ("sub-01", "ses-B")


def test_the_protocol_stands_beside_the_counts(out_dir):
    first, second, third = rows_of(out_dir)
    names = ("sequence", "field_strength", "echo_time", "slice_distance")
    assert [first[name] for name in names] == ["T2starw", 3.0, 0.02, 6.5]
    assert second["sequence"] == "swi"
    assert [third[name] for name in names] == [None] * 4


def test_a_row_holds_every_described_column(out_dir):
    for row in rows_of(out_dir):
        assert set(row) == set(MARS_COLUMNS)


def test_a_table_that_lacks_columns_is_a_problem_and_the_rest_goes_on(out_dir):
    path = SessionFiles(out_dir, "03", None).lesions
    write_table(path, ["lesion_id", "status"], [{"lesion_id": 1, "status": "kept"}])
    cohort = collect(out_dir)
    assert len(cohort.sessions) == 3
    (problem,) = cohort.problems
    assert str(path) in problem
    assert "lacks border, grade, region" in problem


def test_a_table_that_is_no_text_is_a_problem(out_dir):
    path = SessionFiles(out_dir, "03", None).lesions
    path.parent.mkdir(parents=True)
    path.write_bytes(b"status\tgrade\n\xff\xfe\x00\n")
    cohort = collect(out_dir)
    assert len(cohort.sessions) == 3
    assert str(path) in cohort.problems[0]


def test_an_empty_file_is_a_problem_not_a_session_without_lesions(out_dir):
    path = SessionFiles(out_dir, "03", None).lesions
    path.parent.mkdir(parents=True)
    path.touch()
    cohort = collect(out_dir)
    assert len(cohort.sessions) == 3
    assert len(cohort.problems) == 1


def test_a_table_cut_off_in_the_middle_is_a_problem(out_dir):
    path = SessionFiles(out_dir, "01", "A").lesions
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: text.rindex("\n", 0, -1) + 8], encoding="utf-8")
    cohort = collect(out_dir)
    assert len(cohort.problems) == 1
    assert len(cohort.sessions) == 2


def test_a_file_that_is_being_written_is_no_table(out_dir):
    """Atomic writes leave such a file behind when they are killed."""
    path = SessionFiles(out_dir, "02", None).lesions
    (path.parent / f".partial-x1-{path.name}").write_text("", encoding="utf-8")
    cohort = collect(out_dir)
    assert len(cohort.sessions) == 3
    assert cohort.problems == ()


def test_other_tables_are_left_alone(out_dir):
    anat = SessionFiles(out_dir, "02", None).lesions.parent
    (anat / "sub-02_label-CMB_mimics.tsv").write_text("kind\n", encoding="utf-8")
    (out_dir / "group_lesions.tsv").write_text("x\n", encoding="utf-8")
    assert len(collect(out_dir).sessions) == 3


def test_tables_are_written_with_dictionaries(out_dir):
    lesions, mars = write_tables(collect(out_dir), out_dir)
    assert (lesions.name, mars.name) == ("group_lesions.tsv", "group_mars.tsv")
    for path, columns in ((lesions, LESION_COLUMNS), (mars, MARS_COLUMNS)):
        assert path.read_text().splitlines()[0].split("\t") == list(columns)
        assert json.loads(path.with_suffix(".json").read_text()) == columns


def test_the_lesion_table_has_every_candidate_with_its_session(out_dir):
    rows = read_table(write_tables(collect(out_dir), out_dir)[0])
    assert len(rows) == 13
    assert {(r["participant_id"], r["session_id"]) for r in rows} == {
        ("sub-01", "ses-A"),
        ("sub-02", "n/a"),
    }
    assert [r["status"] for r in rows].count("rejected") == 3
    assert rows[1]["border"] == "true"


def test_the_mars_table_has_one_row_per_session(out_dir):
    rows = read_table(write_tables(collect(out_dir), out_dir)[1])
    assert [(r["participant_id"], r["session_id"], r["total"]) for r in rows] == [
        ("sub-01", "ses-A", "6"),
        ("sub-01", "ses-B", "0"),
        ("sub-02", "n/a", "1"),
    ]
    assert rows[2]["sequence"] == "n/a"


def test_an_empty_cohort_gives_tables_without_rows(tmp_path):
    for path in write_tables(collect(tmp_path), tmp_path):
        assert read_table(path) == []
        assert path.read_text().count("\n") == 1
