"""Endpoints of a trial: counts by place and grade at each visit, rates, flow, participants."""

import re
from pathlib import Path

import pandas as pd
import pytest

from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.cli import main
from cmb_bidsapp.core.statistics import poisson
from cmb_bidsapp.group.collect import collect, write_sums
from cmb_bidsapp.group.people import Person, read_people
from cmb_bidsapp.group.rates import ANY, Rates
from cmb_bidsapp.group.records import records
from tests.group.sessions import (
    GRE,
    SWI,
    lesion,
    measure,
    write_changes,
    write_session,
    write_status,
    write_tracks,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "group.md"
WHEN = ("pool", "sequence", "visit", "baseline", "days")


def track(number, group, region, grade, **states):
    """A microbleed in ``ses-A``, ``ses-B``, ...: state and change of each."""
    return [
        {
            **{"track_id": number, "session_id": f"ses-{session}", "state": state},
            **{"change": change, "region": group, "mars_region": region, "grade": grade},
            "side": "left",
        }
        for session, (state, change) in states.items()
    ]


THERE, NOT = ("present", "baseline"), ("not-yet", None)
NEW, KEPT = ("present", "new"), ("present", "persistent")
TRACKS = [
    *track(1, "lobar", "frontal", "definite", A=THERE, B=KEPT, C=("gone", None)),
    *track(2, "lobar", "occipital", "definite", A=NOT, B=NEW, C=KEPT),
    *track(3, "deep", "thalamus", "possible", A=NOT, B=NEW, C=("below-threshold", None)),
    *track(4, "infratentorial", "cerebellum", "definite", A=NOT, B=NOT, C=NEW),
]


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """Two arms; sub-01 with three visits, whose labels are not in the order of time."""
    folder = tmp_path_factory.mktemp("endpoints") / "out"
    for session in "ABC":
        write_session(folder, "01", session, 2, GRE, [measure(flag="low")])
    write_session(folder, "02", None, [lesion("deep")], SWI)
    write_session(folder, "03", None, 1).lesions.unlink()
    follow_up = {"protocol_changed": False, "baseline_session_id": "ses-A"}
    write_changes(
        folder,
        "01",
        {**follow_up, "session_id": "ses-B", "days": 365.25, "new": 2, "persistent": 1},
        {
            **{**follow_up, "session_id": "ses-C", "days": 1461, "new": 1, "gone": 1},
            "below_threshold": 1,
        },
    )
    write_tracks(folder, "01", *TRACKS)
    write_status(folder, ("sub-04", None, "session", "skipped", "no T2*w image"))
    (folder / "participants.tsv").write_text(
        "participant_id\tAge\tsex\tarm\nsub-01\t71\tF\tdrug\nsub-02\t66.5\tM\tplacebo\n"
    )
    main([str(folder.parent / "absent"), str(folder), "group"])
    return folder


def rows(out, name, **wanted):
    found = read_table(out / f"group_{name}.tsv")
    return [row for row in found if all(row[key] == value for key, value in wanted.items())]


@pytest.mark.parametrize(
    "name", ["lesions", "mars", "mars_long", "summary", "changes", "changes_long", "tracks", "qc"]
)
def test_every_table_of_sessions_says_when_and_what_may_be_added_up(out, name):
    found = rows(out, name, session_id="ses-C")
    assert found
    for row in found:
        assert [row[column] for column in WHEN] == ["GRE", "T2starw", "3", "false", "1461"]
        assert [row[column] for column in ("age", "sex", "arm")] == ["71", "F", "drug"]


def test_the_baseline_is_the_first_visit_at_day_zero(out):
    found = {(row["participant_id"], row["session_id"]): row for row in rows(out, "summary")}
    for session in (("sub-01", "ses-A"), ("sub-02", "n/a")):
        row = found[session]
        assert [row[column] for column in ("visit", "baseline", "days")] == ["1", "true", "0"]


def test_changes_are_told_apart_by_place_and_grade(out):
    second, third = rows(out, "changes")
    told = {name: value for name, value in second.items() if re.match("(new|gone|below).*_", name)}
    assert (second["new_lobar"], second["new_deep"], second["new_infratentorial"]) == tuple("110")
    assert (second["new_definite"], second["new_possible"]) == ("1", "1")
    assert (third["gone_lobar"], third["below_threshold_deep"]) == ("1", "1")
    assert third["new_infratentorial"] == "1"
    assert told["gone_definite"] == "0"


def test_the_long_table_adds_up_to_the_changes_and_has_zeros(out):
    long = rows(out, "changes_long")
    assert len(long) == 2 * 13 * 2
    for row in rows(out, "changes"):
        own = [one for one in long if one["session_id"] == row["session_id"]]
        for fate in ("new", "below_threshold", "gone"):
            assert sum(int(one[fate]) for one in own) == int(row[fate])
    (cerebellum,) = rows(
        out, "changes_long", session_id="ses-C", region="cerebellum", grade="definite"
    )
    assert (cerebellum["new"], cerebellum["new_since_baseline"]) == ("1", "1")
    (occipital,) = rows(
        out, "changes_long", session_id="ses-C", region="occipital", grade="definite"
    )
    assert (occipital["new"], occipital["new_since_baseline"]) == ("0", "1")


def test_rates_are_new_ones_by_the_years_between_visits_without_interval_of_few(out):
    every = {row["kind"]: row for row in rows(out, "rates")}
    assert [every["any"][name] for name in ("new", "years", "rate")] == ["3", "4", "0.75"]
    assert every["lobar"]["new"] == "1"
    assert every["any"]["rate_low"] == "n/a"


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


def test_the_flow_has_everybody(out):
    flow = {row["step"]: (row["participants"], row["sessions"]) for row in rows(out, "flow")}
    assert flow["scanned"] == ("4", "6")
    assert (flow["processed"], flow["failed"], flow["no-t2star"]) == (
        ("2", "4"), ("1", "1"), ("1", "1"),
    )  # fmt: skip
    assert (flow["follow-ups"], flow["comparable"]) == (("1", "2"), ("1", "2"))


def test_without_participants_tsv_nothing_is_lacking(tmp_path):
    write_session(tmp_path, "01", None, 1, GRE)
    cohort, _ = collect(records(tmp_path), tmp_path, limit=4)
    write_sums(cohort, tmp_path)
    (row,) = rows(tmp_path, "summary")
    assert (row["age"], row["arm"], cohort.failed) == ("n/a", "n/a", 0)


def test_a_damaged_participants_tsv_is_told_and_everybody_counts(tmp_path, capsys):
    write_session(tmp_path / "out", "01", None, 1, GRE)
    (tmp_path / "out" / "participants.tsv").write_bytes(b"participant_id\tage\nsub-01\n")
    assert main([str(tmp_path / "absent"), str(tmp_path / "out"), "group"]) == 1
    assert "participants.tsv: a row does not have the columns" in capsys.readouterr().out
    assert len(rows(tmp_path / "out", "summary")) == 1


def test_arm_is_the_first_column_of_those_that_tell_it(tmp_path):
    path = tmp_path / "participants.tsv"
    path.write_text("participant_id\tgroup\ttreatment\n01\tpatient\tlecanemab\nsub-02\tx\tn/a\n")
    assert read_people(path) == {"01": Person(arm="lecanemab"), "02": Person()}


def test_the_examples_of_the_document_make_the_tables_of_a_paper(out, monkeypatch):
    monkeypatch.chdir(out)
    made = {}
    for code in re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL):
        exec(code, made)
    baseline, new = made["baseline"], made["new"]
    assert list(baseline.index) == ["drug", "placebo"]
    assert list(baseline["participants"]) == [1, 1]
    assert list(baseline["with microbleeds"]) == [1, 1]
    assert baseline.loc["drug", "age"] == 71
    assert new.loc["lobar", ("drug", 2)] == 1
    assert new.loc["infratentorial", ("drug", 3)] == 1
    assert isinstance(new, pd.DataFrame)
