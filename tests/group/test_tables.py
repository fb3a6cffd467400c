"""Group tables from made-up lesion tables."""

import json

import pytest

from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.group.collect import collect, write_sums
from cmb_bidsapp.group.session_records import records
from cmb_bidsapp.group.tables import TABLES
from cmb_bidsapp.group.visits import VISIT_COLUMNS
from tests.group.sessions import (
    GRE,
    SWI,
    lesion,
    measure,
    write_changes,
    write_session,
    write_tracks,
)

LESIONS = [
    lesion("lobar", "definite"),
    lesion("lobar", "definite", border=True, side="left"),
    lesion("lobar", "possible"),
    lesion("deep", "possible", border=True),
    lesion("infratentorial", "definite"),
    lesion("unassigned", "possible", side="unassigned"),
    lesion("lobar", "below-size", border=True),
    lesion("deep", "below-size"),
    lesion("deep", "macro", border=True),
    lesion("lobar", "definite", "rejected", border=True),
    lesion("lobar", "macro", "rejected"),
    lesion("infratentorial", "below-size", "rejected"),
]


@pytest.fixture
def tables(tmp_path):
    """All tables of two participants, by name."""
    write_session(tmp_path, "01", "A", LESIONS, GRE, [measure()])
    write_session(tmp_path, "01", "B", [], SWI, [measure(value=5.0, flag="low")])
    write_session(tmp_path, "02", None, [lesion("brainstem")])
    write_session(tmp_path, "03", None, 1).lesions.unlink()
    write_changes(tmp_path, "01", {"protocol_changed": True, "gone": 6, "days": 400})
    place = {"grade": "possible", "region": "deep", "mars_region": "thalamus", "side": "left"}
    seen = [("ses-A", "present", "baseline", 0.998), ("ses-B", "below-threshold", None, 0.9)]
    write_tracks(
        tmp_path,
        "01",
        *(
            {
                **{"track_id": 1, "session_id": session, "state": state, "change": change},
                **{"since": "ses-A", "probability_max": probability, **place},
            }
            for session, state, change, probability in seen
        ),
    )
    cohort, _ = collect(records(tmp_path), tmp_path, limit=4)
    write_sums(cohort, tmp_path)
    return {
        path.stem.removeprefix("group_"): read_table(path) for path in tmp_path.glob("group_*.tsv")
    }


def sessions(rows):
    return [(row["participant_id"], row["session_id"]) for row in rows]


def test_every_table_has_a_dictionary_of_its_columns(tables, tmp_path):
    assert set(tables) == {*TABLES, "protocols", "qc", "rates", "flow"}
    for name in tables:
        header = (tmp_path / f"group_{name}.tsv").read_text().splitlines()[0].split("\t")
        described = json.loads((tmp_path / f"group_{name}.json").read_text())
        assert list(described) == header
        assert all(column["Description"] for column in described.values())


def test_every_table_of_numbers_says_whose_they_are(tables):
    for name in ("lesions", "mars", "mars_long", "summary", "changes", "tracks", "protocols"):
        assert {row["source"] for row in tables[name]} == {"algorithm"}


def test_the_lesion_table_has_every_candidate_with_its_session(tables):
    rows = tables["lesions"]
    assert sessions(rows) == [("sub-01", "ses-A")] * 12 + [("sub-02", "n/a")]
    assert [row["status"] for row in rows].count("rejected") == 3
    assert rows[1]["border"] == "true"


def test_counts_are_those_of_kept_definite_and_possible_lesions(tables):
    first, second, third = tables["mars"]
    assert sessions([first, second, third]) == [
        ("sub-01", "ses-A"),
        ("sub-01", "ses-B"),
        ("sub-02", "n/a"),
    ]
    expected = {
        **{"total": 6, "total_definite": 3, "total_possible": 3},
        **{"lobar": 3, "deep": 1, "infratentorial": 1, "cerebellum": 1, "unassigned": 1},
        **{"frontal_right_definite": 1, "frontal_left_definite": 1, "frontal_right_possible": 1},
        **{"border": 2, "below_size": 2, "macro": 1, "rejected": 3},
    }
    assert {name: int(first[name]) for name in expected} == expected
    assert (third["total"], third["brainstem"], third["cerebellum"]) == ("1", "1", "0")


def test_a_session_without_lesions_counts_with_zeros(tables):
    row = tables["mars"][1]
    named = ("participant_id", "session_id", "source", "mode", "sequence", "field_strength")
    named += ("echo_time", "slice_distance", "warned", *VISIT_COLUMNS)
    assert {value for name, value in row.items() if name not in named} == {"0"}


def test_the_protocol_stands_beside_the_counts(tables):
    names = ("sequence", "field_strength", "echo_time", "slice_distance")
    for table in ("mars", "summary"):
        shown = [[row[name] for name in names] for row in tables[table]]
        assert shown[0] == ["T2starw", "3", "0.02", "6.5"]
        assert shown[2] == ["unknown", "n/a", "n/a", "n/a"]


def test_the_long_table_adds_up_to_the_wide_one(tables):
    long = tables["mars_long"]
    for wide in tables["mars"]:
        own = [row for row in long if sessions([row]) == sessions([wide])]
        assert len(own) >= 13 * 2 * 2
        assert sum(int(row["count"]) for row in own) == int(wide["total"])
        for row in own:
            if "unassigned" not in (row["region"], row["side"]):
                cell = f"{row['region'].replace('-', '_')}_{row['side']}_{row['grade']}"
                assert row["count"] == wide[cell]


def test_only_what_has_no_region_or_side_is_told_apart_in_the_long_table(tables):
    odd = [row for row in tables["mars_long"] if "unassigned" in (row["region"], row["side"])]
    assert [(row["group"], row["grade"], row["count"]) for row in odd] == [
        ("unassigned", "definite", "0"),
        ("unassigned", "possible", "1"),
    ]


def test_the_summary_has_a_row_for_every_session(tables):
    rows = tables["summary"]
    assert [(row["count"], row["category"]) for row in rows[:2]] == [("6", "mixed"), ("0", "none")]
    assert float(rows[0]["at_least_1_probability"]) > 0.99


def test_follow_ups_have_no_class_before_treatment(tables):
    told = [(row["baseline"], row["aria_h_baseline"]) for row in tables["summary"]]
    assert told == [("true", ">4"), ("false", "n/a"), ("true", "1-4")]
    assert tables["summary"][1]["aria_h_baseline_code"] == "n/a"


def test_tracks_have_a_row_per_microbleed_and_session_and_its_protocol(tables):
    told = ("participant_id", "session_id", "sequence", "baseline_session_id", "days")
    told += ("track_id", "state", "change", "region", "probability_max")
    assert [tuple(row[name] for name in told) for row in tables["tracks"]] == [
        ("sub-01", "ses-A", "T2starw", "ses-A", "0", "1", "present", "baseline", "deep", "0.998"),
        ("sub-01", "ses-B", "swi", "ses-A", "400", "1", "below-threshold", "n/a", "deep", "0.9"),
    ]


def test_changes_have_the_protocol_of_the_later_session(tables):
    (row,) = tables["changes"]
    assert (row["participant_id"], row["session_id"], row["baseline_session_id"]) == (
        "sub-01",
        "ses-B",
        "ses-A",
    )
    assert (row["sequence"], row["gone"], row["protocol_changed"]) == ("swi", "6", "true")


def test_what_could_not_be_read_is_in_a_table(tables):
    (row,) = tables["problems"]
    assert sessions([row]) == [("sub-03", "n/a")]
    assert row["file"] == "sub-03/anat/sub-03_label-CMB_lesions.tsv"
    assert "not finished" in row["reason"]


def test_measures_outside_their_limits_are_in_a_table(tables):
    (row,) = tables["qc"]
    assert sessions([row]) == [("sub-01", "ses-B")]
    assert (row["measure"], row["value"], row["flag"], row["robust_z"]) == (
        "thalamus volume",
        "5",
        "low",
        "n/a",
    )


def test_protocols_have_a_row_each_with_prevalence_and_its_interval(tables):
    rows = {row["sequence"]: row for row in tables["protocols"]}
    assert set(rows) == {"T2starw", "swi", "unknown"}
    first = rows["T2starw"]
    assert (first["participants"], first["positive"], first["prevalence"]) == ("1", "1", "1")
    assert (first["prevalence_low"], first["prevalence_high"]) == ("n/a", "n/a")
    assert (first["mean_count"], first["count_per_positive"]) == ("6", "6")
    assert rows["swi"]["count_per_positive"] == "n/a"


def test_no_sessions_give_tables_without_rows(tmp_path):
    cohort, written = collect(records(tmp_path), tmp_path, limit=4)
    for path in (*written, *write_sums(cohort, tmp_path)):
        rows = read_table(path)
        if path.stem == "group_flow":
            assert {row["sessions"] for row in rows} == {"0"}
        else:
            assert rows == []
