"""The order of sessions, from tables or labels."""

import os

import pytest

from cmb_bidsapp.bids.tables import write_table
from cmb_bidsapp.bids.times import order_of

LABELS = ("10", "2", "base")


def sessions_table(folder, times):
    rows = [{"session_id": f"ses-{label}", "acq_time": time} for label, time in times.items()]
    path = folder / "sub-01" / "sub-01_sessions.tsv"
    write_table(path, ("session_id", "acq_time"), rows)
    return path


def scans_table(folder, label, *times):
    rows = [{"filename": f"anat/{n}.nii.gz", "acq_time": time} for n, time in enumerate(times)]
    path = folder / "sub-01" / f"ses-{label}" / f"sub-01_ses-{label}_scans.tsv"
    write_table(path, ("filename", "acq_time"), rows)


def order(folder, labels=LABELS):
    found = order_of(folder, "01", labels)
    return found.source, found.sessions


def test_without_tables_labels_are_ordered_as_people_count(tmp_path):
    assert order(tmp_path) == ("labels", ("base", "2", "10"))
    assert order_of(tmp_path, "01", LABELS).days("10") is None


@pytest.mark.parametrize(
    "times",
    [
        ("2021-01-01T00:00:00", "2020-06-01T00:00:00", "2019-01-01T00:00:00"),
        # Shifted before 1925 to hide the date, with fractions of a second, in universal time.
        ("1900-01-03T00:00:00.250000", "1900-01-02T12:00:00.5", "1850-01-01T00:00:00Z"),
        ("2021-01-01", "2020-06-01", "2019-01-01"),
    ],
)
def test_times_of_the_sessions_come_first(tmp_path, times):
    sessions_table(tmp_path, dict(zip(LABELS, times, strict=True)))
    for label in LABELS:
        scans_table(tmp_path, label, f"2020-01-{len(label):02d}T00:00:00")
    assert order(tmp_path) == ("sessions.tsv", ("base", "2", "10"))


def test_days_since_the_first_session(tmp_path):
    times = ("2020-01-02T12:00:00", "2020-01-11T00:00:00", "2020-01-01T00:00:00")
    sessions_table(tmp_path, dict(zip(LABELS, times, strict=True)))
    found = order_of(tmp_path, "01", LABELS)
    assert [found.days(label) for label in found.sessions] == [0, 1.5, 10]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_does_not_change_the_order(tmp_path, encoding):
    times = ("2021-01-01", "2020-06-01", "2022-01-01")
    table = sessions_table(tmp_path, dict(zip(LABELS, times, strict=True)))
    table.write_text(table.read_text(encoding="utf-8"), encoding=encoding)
    assert order(tmp_path) == ("sessions.tsv", ("2", "10", "base"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda table: table.write_bytes(b"session_id\tacq_time\nses-2\tM\xfcnchen\n"),
        lambda table: table.write_text("session_id\tacq_time\nses-2"),
        lambda table: (table.unlink(), table.symlink_to("nowhere")),
        lambda table: (table.unlink(), os.mkfifo(table)),
    ],
)
def test_a_table_that_cannot_be_read_is_told(tmp_path, damage):
    table = sessions_table(tmp_path, dict.fromkeys(LABELS, "2020-01-01"))
    damage(table)
    found = order_of(tmp_path, "01", LABELS)
    assert found.source == "labels"
    (problem,) = found.problems
    assert str(table) in problem


@pytest.mark.parametrize("time", ["01/02/2020", "1.2.2020", "44197", "'2020-01-01"])
def test_a_time_that_is_none_is_told(tmp_path, time):
    table = sessions_table(tmp_path, {"2": time, "10": "today", "base": "yesterday"})
    found = order_of(tmp_path, "01", ("10", "2"))
    assert found.source == "labels"
    assert found.problems == (f"{table}: {time} is not an acq_time such as 2020-01-31T10:00:00",)


def test_two_times_of_a_session_are_told_and_none_is_taken(tmp_path):
    table = sessions_table(tmp_path, {"10": " 2021-01-01 ", "2": "2020-01-01"})
    assert order(tmp_path, ("10", "2")) == ("sessions.tsv", ("2", "10"))
    again = table.read_text() + "ses-2\t2022-01-01\n"
    table.write_text(again)
    found = order_of(tmp_path, "01", ("10", "2"))
    assert found.source == "labels"
    assert found.problems == (f"{table} has several times of ses-2, of which none is taken",)


@pytest.mark.parametrize("time", ["n/a", "", "yesterday", "2019-01-01T00:00:00"])
def test_a_table_that_does_not_tell_all_times_apart_is_not_used(tmp_path, time):
    sessions_table(
        tmp_path, {"10": "2019-01-01T00:00:00", "2": "2018-01-01T00:00:00", "base": time}
    )
    assert order(tmp_path)[0] == "labels"
    # Of the sessions that are compared, it does.
    assert order(tmp_path, ("10", "2")) == ("sessions.tsv", ("2", "10"))


def test_a_table_without_the_column_or_that_is_none_is_not_used(tmp_path):
    path = sessions_table(tmp_path, {"10": "2020-01-01T00:00:00"})
    for text in ("session_id\tage\nses-10\t70\n", "session_id\tacq_time\nses-10\n", "\0"):
        path.write_text(text)
        assert order(tmp_path)[0] == "labels"
    path.write_bytes(b"\xff\xfe\xfa")
    assert order(tmp_path)[0] == "labels"


def test_the_earliest_scan_is_when_a_session_was(tmp_path):
    scans_table(tmp_path, "10", "n/a", "2020-01-05T10:00:00", "2020-01-05T09:00:00")
    scans_table(tmp_path, "2", "2020-01-05T09:30:00")
    scans_table(tmp_path, "base", "2021-01-05T09:30:00", "2022-01-01T00:00:00")
    assert order(tmp_path) == ("scans.tsv", ("10", "2", "base"))


def test_scans_of_some_sessions_only_order_nothing(tmp_path):
    scans_table(tmp_path, "10", "2020-01-05T10:00:00")
    scans_table(tmp_path, "2", "n/a")
    assert order(tmp_path)[0] == "labels"
