"""The one pass over a cohort: what comes once, in which order, and what is left out."""

import dataclasses
import weakref

import pytest

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.group.changes import COUNTS
from cmb_bidsapp.group.collect import apply_ratings, write_sums
from cmb_bidsapp.group.ratings import read_ratings
from cmb_bidsapp.group.session_records import records
from cmb_bidsapp.report.group import write_group_report
from tests.group import readers
from tests.group.sessions import (
    GRE,
    SWI,
    counts,
    gather,
    lesion,
    write_changes,
    write_session,
    write_tracks,
)


def test_sessions_pass_by_and_are_forgotten(tmp_path):
    """The generator is read once, and nothing holds on to the records that came."""
    write_session(tmp_path, "01", None, 3, GRE)
    (record,) = records(tmp_path)
    given: list[weakref.ref] = []
    at_once = []

    def stream():
        for number in range(400):
            files = SessionFiles(tmp_path, f"{number:04d}", None)
            one = dataclasses.replace(record, files=files)
            given.append(weakref.ref(one))
            yield one
            del one
            at_once.append(sum(ref() is not None for ref in given))

    cohort = gather(tmp_path, stream())
    assert (cohort.participants, len(given)) == (400, 400)
    # Of a participant all sessions, and the first one of the next.
    assert max(at_once) <= 2
    assert len(read_table(tmp_path / "group_lesions.tsv")) == 1200


def test_participants_count_once_with_their_first_session(tmp_path):
    for session, number in (("A", 2), ("B", 9)):
        write_session(tmp_path, "01", session, number, GRE)
    write_session(tmp_path, "02", None, 0, GRE)
    pool = gather(tmp_path).pools["GRE"]
    assert (pool.sessions, pool.participants, counts(pool)) == (3, 2, {2: 1, 0: 1})
    assert pool.places == {("frontal", "right"): 2}
    assert pool.density.scans == 2


def test_the_baseline_of_the_follow_ups_is_the_first_session_whatever_its_name(tmp_path):
    write_session(tmp_path, "01", "late", 5, GRE)
    write_session(tmp_path, "01", "start", 2, GRE)
    row = {"session_id": "ses-late", "baseline_session_id": "ses-start"}
    write_changes(tmp_path, "01", row)
    assert counts(gather(tmp_path).pools["GRE"]) == {2: 1}


def test_where_the_first_session_cannot_be_read_the_next_one_counts(tmp_path):
    write_session(tmp_path, "01", "A", 5, GRE).lesions.write_text("x\n")
    write_session(tmp_path, "01", "B", 2, GRE)
    cohort = gather(tmp_path)
    assert (cohort.participants, cohort.failed) == (1, 1)
    assert counts(cohort.pools["GRE"]) == {2: 1}


def test_each_pool_has_a_map_and_one_of_an_earlier_run_goes(tmp_path):
    name = "group_space-MNI152NLin6Asym_res-2_label-CMB_desc-{}_density"
    write_session(tmp_path, "01", None, 1, SWI)
    write_sums(gather(tmp_path), tmp_path)
    swi = tmp_path / f"{name.format('SWI')}.nii.gz"
    assert swi.exists()
    write_session(tmp_path, "01", None, 1, GRE)
    written = write_sums(gather(tmp_path), tmp_path)
    assert tmp_path / f"{name.format('GRE')}.nii.gz" in written
    assert not swi.exists()
    assert not (tmp_path / f"{name.format('SWI')}.json").exists()


@pytest.mark.parametrize(
    ("cells", "cause"),
    [
        ({"grade": "huge"}, "grade huge: expected one of"),
        ({"mni_x": "left"}, "mni_x left: expected a number"),
        ({"calibrated_probability": "maybe"}, "calibrated_probability maybe: expected a number"),
        ({"calibrated_probability": 7}, "calibrated_probability 7: expected a number from 0 to 1"),
        ({"mars_region": "nowhere"}, "mars_region nowhere: expected one of"),
        ({"mars_region": "thalamus"}, "mars_region thalamus is deep, not lobar"),
        ({"lesion_id": 1}, "lesion_id 1: expected unique whole numbers from 1"),
        ({"lesion_id": -1}, "lesion_id -1: expected unique whole numbers from 1"),
    ],
)
def test_cells_that_make_no_sense_leave_the_whole_session_out(tmp_path, cells, cause):
    write_session(tmp_path, "01", None, [lesion(lesion_id=1), lesion(**cells)], GRE)
    write_session(tmp_path, "04", None, [lesion(lesion_id=1), lesion(lesion_id=2)], GRE)
    told = []
    cohort = gather(tmp_path, tell=told.append)
    assert [problem.files.participant for problem in told] == ["01"]
    assert cause in told[0].reason
    assert cohort.problems == told
    assert (cohort.total.sessions, counts(cohort.pools["GRE"])) == (1, {2: 1})
    for name in ("lesions", "mars", "mars_long", "summary"):
        rows = read_table(tmp_path / f"group_{name}.tsv")
        assert {row["participant_id"] for row in rows} == {"sub-04"}


@pytest.mark.parametrize("text", ["measure\tvalue\n", "\x00\x01", ""])
def test_a_broken_table_of_the_anatomy_is_told_and_the_session_counts(tmp_path, text):
    write_session(tmp_path, "01", None, 1, GRE, []).quality.write_text(text)
    cohort = gather(tmp_path)
    assert (cohort.total.sessions, cohort.failed) == (1, 1)
    assert cohort.problems[0].path.name.endswith("_qc.tsv")


@pytest.mark.parametrize("cells", [{"new": "many"}, {"gone": None}])
def test_a_broken_table_of_changes_is_told_and_its_sessions_count(tmp_path, cells):
    for session in "AB":
        write_session(tmp_path, "01", session, 1, GRE)
    write_changes(tmp_path, "01", {}, cells)
    cohort = gather(tmp_path)
    assert (cohort.total.sessions, cohort.failed) == (2, 1)
    assert not cohort.changes.by_pool
    assert read_table(tmp_path / "group_changes.tsv") == []


def test_follow_ups_are_summed_and_those_done_otherwise_stand_apart(tmp_path):
    for session in "ABCD":
        write_session(tmp_path, "01", session, 1, GRE)
    for session in "AB":
        write_session(tmp_path, "02", session, 1, GRE)
    write_changes(
        tmp_path,
        "01",
        {"session_id": "ses-B", "new": 2, "persistent": 1, "aria_h": "mild"},
        {"session_id": "ses-C", "new": 5, "persistent": 1, "aria_h": "moderate"},
        {"session_id": "ses-D", "new": 40, "processing_changed": True, "aria_h": "severe"},
    )
    write_changes(tmp_path, "02", {"gone": 1, "below_threshold": 2})
    found = gather(tmp_path).changes.by_pool
    as_before, otherwise = found["GRE", False], found["GRE", True]
    assert +as_before.sums == {"persistent": 2, "new": 7, "gone": 1, "below_threshold": 2}
    assert (as_before.sessions, as_before.participants) == (3, 2)
    assert +as_before.classes == {"moderate": 1, "none": 1}
    assert (otherwise.sums["new"], +otherwise.classes) == (40, {"severe": 1})


def test_follow_ups_that_were_not_registered_are_in_the_table_and_in_no_sum(tmp_path):
    for session in "AB":
        write_session(tmp_path, "01", session, 1, GRE)
    nothing = dict.fromkeys((*COUNTS, "aria_h"))
    write_changes(tmp_path, "01", {"registration": "poor", **nothing})
    changes = gather(tmp_path).changes
    assert (changes.poor, dict(changes.by_pool)) == (1, {})
    assert len(read_table(tmp_path / "group_changes.tsv")) == 1


def test_a_broken_table_of_tracks_is_told_and_the_changes_count(tmp_path):
    for session in "AB":
        write_session(tmp_path, "01", session, 1, GRE)
    write_changes(tmp_path, "01", {"new": 1})
    write_tracks(tmp_path, "01", {"track_id": 1, "session_id": "ses-A", "state": "lost"})
    cohort = gather(tmp_path)
    assert "below-threshold" in cohort.problems[0].reason
    assert cohort.changes.by_pool["GRE", False].sums["new"] == 1
    assert read_table(tmp_path / "group_tracks.tsv") == []


def test_tracks_of_sessions_that_are_left_out_are_left_out(tmp_path):
    for session in "AB":
        write_session(tmp_path, "01", session, 1, GRE)
    SessionFiles(tmp_path, "01", "B").lesions.unlink()
    write_changes(tmp_path, "01", {})
    rows = [{"track_id": 1, "session_id": f"ses-{name}", "state": "present"} for name in "AB"]
    write_tracks(tmp_path, "01", *rows)
    gather(tmp_path)
    assert [row["session_id"] for row in read_table(tmp_path / "group_tracks.tsv")] == ["ses-A"]


def test_follow_ups_of_sessions_that_are_left_out_are_left_out(tmp_path):
    write_session(tmp_path, "01", "A", 1, GRE)
    write_session(tmp_path, "01", "B", 1, GRE).lesions.unlink()
    write_changes(tmp_path, "01", {"new": 3})
    cohort = gather(tmp_path)
    assert not cohort.changes.by_pool
    assert read_table(tmp_path / "group_changes.tsv") == []


def test_what_must_be_known_before_use_is_beside_every_count(tmp_path):
    write_session(tmp_path, "01", "A", 1, {**GRE, "Notes": ["cut by the field of view"]})
    write_session(tmp_path, "01", "B", 1, GRE)
    write_session(tmp_path, "02", "A", 1, GRE)
    write_changes(tmp_path, "01", {"new": 1})
    rows = [{"track_id": 1, "session_id": f"ses-{name}", "state": "present"} for name in "AB"]
    write_tracks(tmp_path, "01", *rows)
    cohort = gather(tmp_path)
    for name in ("lesions", "mars", "mars_long", "summary", "tracks"):
        for row in read_table(tmp_path / f"group_{name}.tsv"):
            warned = (row["participant_id"], row["session_id"]) == ("sub-01", "ses-A")
            assert row["warned"] == ("true" if warned else "false"), name
    # A difference is as good as the worse of what is compared.
    for name in ("changes", "changes_long"):
        assert {row["warned"] for row in read_table(tmp_path / f"group_{name}.tsv")} == {"true"}
    page = write_group_report(cohort, tmp_path).read_text(encoding="utf-8")
    assert page.count("cut by the field of view") == 1


def test_readers_decide_and_every_table_says_so(tmp_path):
    out_dir, ratings = tmp_path / "out", tmp_path / "ratings"
    readers.write_session(out_dir, "01")
    readers.write_session(out_dir, "02")
    said = [readers.rating(str(number), "not-cmb") for number in (1, 2, 3)]
    readers.write_ratings(ratings, *said, readers.rating("77", "definite"))
    read = read_ratings(ratings)
    cohort = gather(out_dir, apply_ratings(records(out_dir), read))
    first, second = read_table(out_dir / "group_mars.tsv")
    assert (first["total"], second["total"]) == ("0", "2")
    assert first["source"].startswith("reader AB")
    assert second["source"] == "algorithm"
    sources = {row["source"] for row in read_table(out_dir / "group_lesions.tsv")}
    assert {"algorithm", "reader AB"} <= sources
    assert cohort.total.source == "readers (1 of 2 sessions), else algorithm"
    assert cohort.protocol_rows()[0]["source"] == cohort.total.source
    assert [problem.path for problem in cohort.problems] == [
        ratings / "sub-01_rater-AB_ratings.tsv"
    ]
