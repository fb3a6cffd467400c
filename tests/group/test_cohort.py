"""What a cohort has in sum."""

import pytest

from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.group import cohort as sums
from cmb_bidsapp.group.cohort import Largest, Share
from cmb_bidsapp.group.session_records import Problem
from tests.group.sessions import GRE, SWI, counts, gather, write_session


def test_swi_and_gre_are_never_pooled(tmp_path):
    for label, number, acquired in (
        ("01", 1, GRE),
        ("02", 0, {**GRE, "SequenceKind": "MEGRE"}),
        ("03", 8, SWI),
        ("04", 3, None),
    ):
        write_session(tmp_path, label, None, number, acquired)
    write_session(tmp_path, "05", "A", 2, GRE)
    write_session(tmp_path, "05", "B", 4, SWI)
    cohort = gather(tmp_path)
    assert cohort.participants == 5
    assert {name: counts(pool) for name, pool in cohort.pools.items()} == {
        "GRE": {1: 1, 0: 1, 2: 1},
        "SWI": {8: 1, 4: 1},
        "unknown": {3: 1},
    }
    assert [row["pool"] for row in cohort.protocol_rows()] == [
        "GRE",
        "GRE",
        "SWI",
        "unknown",
    ]


def test_protocols_that_differ_in_the_last_digits_are_one(tmp_path):
    for label, field, echo in (("01", 3.0, 0.02), ("02", 2.9936, 0.0200001), ("03", 1.5, 0.02)):
        write_session(
            tmp_path, label, None, 1, {**GRE, "MagneticFieldStrength": field, "EchoTime": echo}
        )
    rows = gather(tmp_path).protocol_rows()
    assert [(row["field_strength"], row["participants"]) for row in rows] == [(3.0, 2), (1.5, 1)]


def test_problems_beyond_what_the_page_shows_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(sums, "MOST", 3)
    found = (Problem(path=tmp_path / f"{number}", reason="broken") for number in range(10))
    cohort = gather(tmp_path, found)
    assert (cohort.failed, len(cohort.problems)) == (10, 3)
    assert len(read_table(tmp_path / "group_problems.tsv")) == 10


def test_the_largest_rows_are_kept_in_the_order_they_came(monkeypatch):
    monkeypatch.setattr(sums, "MOST", 3)
    largest = Largest()
    for number, count in enumerate((0, 5, 0, 7, 1, 1, 0)):
        largest.add(count, {"number": number})
    assert [row["number"] for row in largest.rows] == [1, 3, 4]


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_intervals_are_those_of_wilson(part, whole, low, high):
    assert Share(part, whole).interval == pytest.approx((low, high), abs=5e-5)


def test_nobody_has_no_share():
    assert str(Share(0, 0).value) == "nan"
