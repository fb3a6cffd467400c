"""Measures of the anatomy: outside fixed limits, or unlike those of the cohort."""

import numpy as np
import pytest

from cmb_bidsapp.bids.tables import identity
from cmb_bidsapp.group.quality import QC_COLUMNS, Quality
from cmb_bidsapp.group.visits import VISIT_COLUMNS
from tests.group.sessions import measure


def text(rows):
    return [{name: str(value) for name, value in row.items()} for row in rows]


def session(participant, name=None, pool="GRE"):
    return {**identity(participant, name), "pool": pool}


def gathered(values, pool="GRE", **cells):
    """Sessions sub-0, sub-1, ... with one measure each."""
    quality = Quality()
    for number, value in enumerate(values):
        quality.add(session(str(number), pool=pool), text([measure(value=value, **cells)]))
    return quality


def test_a_measure_outside_its_limits_is_noted_however_small_the_cohort():
    quality = Quality()
    rows = text([measure(value=5.0, flag="low"), measure("caudate volume", 9.0)])
    assert quality.add(session("01", "A"), rows) == 1
    (row,) = quality.rows()
    # What is not of a measure comes with the session.
    others = {*VISIT_COLUMNS, "sequence"} - {"pool"}
    assert set(row) == set(QC_COLUMNS) - others
    assert (row["participant_id"], row["session_id"]) == ("sub-01", "ses-A")
    assert (row["measure"], row["value"], row["flag"]) == ("thalamus volume", 5.0, "low")
    assert np.isnan(row["robust_z"])


def test_who_is_unlike_the_others_is_noted_within_the_limits_too():
    values = np.random.default_rng(0).normal(15, 1, 60)
    values[17] = 24
    (row,) = gathered(values).rows()
    assert (row["participant_id"], row["flag"]) == ("sub-17", "ok")
    center = np.median(values)
    spread = 1.4826 * np.median(np.abs(values - center))
    assert row["robust_z"] == pytest.approx((24 - center) / spread, rel=1e-4)


def test_few_sessions_tell_no_outliers():
    assert list(gathered([15.0] * 10 + [14.0, 16.0, 14.5, 99.0]).rows()) == []


def test_small_differences_mean_nothing_where_nearly_all_are_alike():
    values = [0.9999 + 1e-5 * (number % 3) for number in range(40)]
    assert list(gathered([*values, 0.9950]).rows()) == []
    (row,) = gathered([*values, 0.60]).rows()
    assert row["participant_id"] == "sub-40"


def test_pools_are_looked_at_apart():
    quality = Quality()
    for number in range(60):
        pool, usual = ("GRE", 10) if number % 2 else ("SWI", 30)
        value = usual + 0.1 * (number % 7)
        quality.add(session(str(number), pool=pool), text([measure(value=value)]))
    assert list(quality.rows()) == []
    assert [(row["pool"], row["sessions"]) for row in quality.measures()] == [
        ("SWI", 30),
        ("GRE", 30),
    ]


def test_the_sessions_that_stand_out_most_come_first():
    quality = Quality()
    for number, flags in enumerate(("ok ok ok", "ok low ok", "high low high", "ok ok high")):
        rows = [measure(name, flag=flag) for name, flag in zip("abc", flags.split(), strict=True)]
        quality.add(session(str(number), None), text(rows))
    worst = quality.worst(2)
    assert [rows[0]["participant_id"] for rows in worst] == ["sub-2", "sub-1"]
    assert [row["measure"] for row in worst[0]] == ["a", "b", "c"]


def test_a_measure_without_a_number_is_no_outlier_and_hides_none():
    values = [*np.random.default_rng(0).normal(15, 1, 60), 40.0]
    quality = gathered(values)
    quality.add(session("x", None), text([measure(value="n/a", flag="low")]))
    rows = list(quality.rows())
    assert [row["participant_id"] for row in rows] == ["sub-60", "sub-x"]
    assert quality.measures()[0]["outliers"] == 1
    assert 14 < quality.measures()[0]["median"] < 16


@pytest.mark.parametrize("cells", [{"value": "much"}, {"flag": "odd"}])
def test_a_table_that_makes_no_sense_adds_nothing(cells):
    quality = Quality()
    rows = text([measure(), measure("caudate volume", **cells)])
    with pytest.raises(ValueError, match=r"much|odd"):
        quality.add(session("01", None), rows)
    assert quality.measures() == []
