"""New microbleeds per year of follow-up."""

import pytest

from cmb_bidsapp.core.statistics import poisson
from cmb_bidsapp.group.collect import collect, write_sums
from cmb_bidsapp.group.people import ALL_ARMS
from cmb_bidsapp.group.rates import ANY, Rates
from cmb_bidsapp.group.session_records import records
from tests.group.sessions import (
    GRE,
    write_changes,
    write_session,
    write_tracks,
)
from tests.group.trial import rows


def test_rates_are_new_ones_by_the_years_between_visits_without_interval_of_few(trial):
    every = {row["kind"]: row for row in rows(trial, "rates", arm="all")}
    assert [every["any"][name] for name in ("new", "years", "rate")] == ["3", "4", "0.75"]
    assert every["lobar"]["new"] == "1"
    assert every["any"]["rate_low"] == "n/a"


def test_each_arm_has_rates_of_its_own(trial):
    assert {row["arm"] for row in rows(trial, "rates")} == {"all", "drug"}
    assert rows(trial, "rates", arm="drug", kind="any", new="3")


def test_who_has_no_arm_counts_among_all():
    rates = Rates()
    for arm in ("drug", "placebo", None, "drug", ALL_ARMS):
        rates.add("GRE", changed=False, intervals=[(365.25, {ANY: 1})], arm=arm)
    assert [(row["arm"], row["years"], row["new"]) for row in rates.rows()] == [
        ("all", 5, 5),
        ("drug", 2, 2),
        ("placebo", 1, 1),
    ]


def test_who_has_no_microbleed_has_zeros_and_is_in_the_time_of_every_kind(tmp_path):
    for session in "AB":
        write_session(tmp_path, "01", session, 0, GRE)
    write_changes(tmp_path, "01", {"days": 730.5})
    write_tracks(tmp_path, "01")
    cohort, _ = collect(records(tmp_path), tmp_path, limit=4)
    write_sums(cohort, tmp_path)
    assert {(row["new"], row["years"]) for row in rows(tmp_path, "rates")} == {("0", "2")}
    (row,) = rows(tmp_path, "changes")
    assert (row["new_lobar"], row["gone_deep"]) == ("0", "0")
    assert len(rows(tmp_path, "changes_long")) == 26


def test_intervals_of_rates_are_exact_from_ten_participants_on():
    rates = Rates()
    for number in range(10):
        new = int(number < 4)
        rates.add("GRE", changed=False, intervals=[(730.5, {ANY: new}), (None, {ANY: 9})])
    (row,) = rates.rows()
    assert (row["participants"], row["untimed"], row["new"], row["years"]) == (10, 10, 4, 20)
    # Garwood's table: 4 events, 1.090 to 10.242.
    assert (row["rate_low"], row["rate_high"]) == pytest.approx((0.0545, 0.5121), abs=1e-4)
    assert poisson(0)[0] == 0
