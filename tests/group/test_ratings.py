from cmb_bidsapp.group.ratings import read_ratings
from tests.group.readers import CANDIDATES, rating, row_of, write_ratings, write_session
from tests.group.test_reader_decisions import LATER, everything


def test_a_session_without_ratings_is_as_it_was(tmp_path, applied):
    other = write_session(tmp_path / "out", "02")
    _, ratings = applied(*everything("definite", "definite", "definite"))
    assert ratings.apply(other) is other


def test_sessions_are_told_apart(tmp_path):
    first, second = (write_session(tmp_path / "out", "01", label) for label in "AB")
    write_ratings(
        tmp_path,
        rating("1", "not-cmb", session_id="ses-A"),
        rating("1", "possible", session_id="ses-B"),
    )
    ratings = read_ratings(tmp_path)
    assert row_of(ratings.apply(first), "1").status == "rejected"
    assert row_of(ratings.apply(second), "1").grade == "possible"
    assert ratings.problems == ()


def test_a_session_without_candidates_is_read_where_the_reader_says_so(tmp_path):
    record = write_session(tmp_path / "out", candidates=[])
    write_ratings(tmp_path, rating(None, "read"))
    ratings = read_ratings(tmp_path)
    read = ratings.apply(record)
    assert (read.source, read.lesions) == ("reader AB", ())
    (reading,) = ratings.readings
    assert (reading.finished, reading.count("AB")) == (("AB",), 0)


# Files
def test_files_in_folders_of_folders_are_found(tmp_path, record):
    write_ratings(tmp_path / "site" / "reader", rating("1", "not-cmb"), name="x_ratings.tsv")
    assert row_of(read_ratings(tmp_path).apply(record), "1").status == "rejected"


def test_of_two_exports_the_later_decision_holds_and_it_is_said(tmp_path, record):
    new = write_ratings(tmp_path / "a", rating("1", "not-cmb", **LATER))
    old = write_ratings(tmp_path / "b", *everything("definite", "possible", "possible"))
    ratings = read_ratings(tmp_path)
    read = ratings.apply(record)
    assert row_of(read, "1").status == "rejected"
    assert (read.source, row_of(read, "2").status) == ("reader AB", "kept")
    (note,) = ratings.notes
    assert note.path == old
    assert f"candidate 1: a later decision of AB is used, from {new}" in note.reason


def test_copies_of_an_export_are_read_and_change_nothing(tmp_path, record):
    rows = [
        *everything("definite", "possible", "possible"),
        rating(None, "definite", place=(20, 2, 8)),
    ]
    write_ratings(tmp_path, *rows)
    write_ratings(tmp_path, *rows, name="sub-01_rater-AB_ratings (1).tsv")
    ratings = read_ratings(tmp_path)
    assert len(ratings.apply(record).lesions) == len(CANDIDATES) + 1
    assert (ratings.notes, ratings.problems) == ((), ())


def test_a_numbered_copy_alone_is_found(tmp_path, record):
    write_ratings(tmp_path, rating("1", "not-cmb"), name="sub-01_rater-AB_ratings (1).tsv")
    assert row_of(read_ratings(tmp_path).apply(record), "1").status == "rejected"


def test_dates_are_compared_across_time_zones(applied):
    read, _ = applied(
        rating("1", "not-cmb", date="2026-03-01T10:30:00+02:00"),  # 8:30 UTC
        rating("1", "possible", date="2026-03-01T09:00:00"),
    )
    assert row_of(read, "1").grade == "possible"


def test_a_name_in_other_letters_is_the_same_reader(applied):
    read, _ = applied(
        *everything("definite", "possible", "possible"), rating("1", "not-cmb", " ab ", **LATER)
    )
    assert read.source == "reader AB"
    assert row_of(read, "1").status == "rejected"
