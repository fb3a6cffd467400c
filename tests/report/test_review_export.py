"""From the page to the group level: what a reader exports is what the tables get."""

import pytest

from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.group.rating_rows import LATER_COLUMNS, RATING_COLUMNS
from cmb_bidsapp.group.ratings import read_ratings
from tests.group.readers import CANDIDATES, rating, row_of, write_ratings, write_session
from tests.report.reviewing import Reader, outputs_of, write_page

NASTY = 'a "tab"\there, <b>markup</b>, \u00e9 \u2014 =1+1'


@pytest.fixture
def opened(tmp_path, open_page):
    """A page with candidates 1 to 3, kept, and 4, rejected."""

    def opening(name="AB", mode="Aided", **options):
        return Reader(open_page(write_page(tmp_path, **options), to_read=True), name, mode)

    return opening


@pytest.fixture
def exports(tmp_path):
    return tmp_path / "exports"


# The round trip


def test_what_is_read_in_the_page_is_what_the_group_level_counts(tmp_path, opened, exports):
    record = write_session(tmp_path / "out")
    reader = opened()
    reader.page.get_by_text("Rejected").click()
    reader.press("j", "2", "j", "3", "j", "1", "j", "1")
    reader.note(1, "beside a vein")
    reader.click_volume(20, 2, 8)
    reader.button("Add as definite")
    assert reader.export(exports).name == "sub-01_rater-AB_ratings.tsv"
    ratings = read_ratings(exports)
    read = ratings.apply(record)
    assert (ratings.problems, ratings.notes) == ((), ())
    assert read.source == "reader AB"
    assert [(r.status, r.grade, r.algorithm) for r in read.lesions] == [
        ("kept", "possible", "definite"),
        ("rejected", "possible", "possible"),
        ("kept", "definite", "macro"),
        ("kept", "definite", "rejected"),
        ("kept", "definite", "absent"),
    ]
    assert row_of(read, "1").readers == "AB: possible (beside a vein)"
    assert [read.lesions[-1].x, read.lesions[-1].mars_region, read.lesions[-1].side] == [
        20,
        "frontal",
        "right",
    ]


def test_two_readers_of_one_page_are_told_apart(tmp_path, opened, exports):
    record = write_session(tmp_path / "out")
    reader = opened()
    reader.press("j", "1", "j", "1", "j", "1")
    reader.export(exports)
    reader.call("CD")
    reader.press("k", "k", "1", "j", "3", "j", "1")
    reader.export(exports)
    ratings = read_ratings(exports)
    assert ratings.apply(record).source == "majority of 2 readers (1 tied)"
    (reading,) = ratings.readings
    assert reading.finished == ("AB", "CD")
    assert (reading.count("AB"), reading.count("CD")) == (3, 2)


def test_several_sessions_are_in_one_file(tmp_path, opened, exports):
    records = [write_session(tmp_path / "out", "01", label) for label in "AB"]
    reader = opened(sessions=("ses-A", "ses-B"))
    reader.rate(1, "Not a CMB", "ses-B")
    reader.rate(1, "Possible", "ses-A")
    assert reader.export(exports).name == "sub-01_rater-AB_ratings.tsv"
    ratings = read_ratings(exports)
    first, second = (row_of(ratings.apply(record), "1") for record in records)
    assert (first.grade, second.status) == ("possible", "rejected")


def test_a_session_without_candidates_is_read(tmp_path, opened, exports):
    record = write_session(tmp_path / "out", "01", "A", candidates=[])
    reader = opened(sessions=("ses-A",), table=[])
    reader.button("More")
    reader.page.get_by_label("I have checked the whole scan").check()
    assert reader.export(exports).name == "sub-01_ses-A_rater-AB_ratings.tsv"
    assert read_ratings(exports).apply(record).source == "reader AB"


def test_a_lesion_taken_back_is_not_counted(tmp_path, opened, exports):
    record = write_session(tmp_path / "out")
    reader = opened()
    reader.click_volume(20, 2, 8)
    reader.button("Add as definite")
    reader.export(exports)
    reader.button("More")
    reader.page.locator(".review-added").get_by_role("radio", name="Not a CMB").click()
    reader.export(exports / "later")
    assert len(read_ratings(exports).apply(record).lesions) == len(CANDIDATES)


# The file


def test_the_file_has_the_columns_and_what_was_done(opened, exports):
    reader = opened("Dr. A. M\u00fcller-Lee ")
    reader.rate(2, "Not a CMB")
    reader.rate(1, "Definite")
    reader.click_volume(-6.789, 0, 12)
    reader.button("Add as definite")
    path = reader.export(exports)
    assert path.name == "sub-01_rater-DrAM\u00fcllerLee_ratings.tsv"
    rows = read_table(path)
    assert tuple(rows[0]) == (*RATING_COLUMNS, *LATER_COLUMNS)
    place = ("lesion_id", "decision", "x", "y", "z", "note")
    assert [tuple(row[name] for name in place) for row in rows] == [
        ("1", "definite", "10", "20", "30", "n/a"),
        ("2", "not-cmb", "12.5", "-20", "30", "n/a"),
        ("n/a", "definite", "-6.79", "0", "12", "n/a"),
    ]
    (who,) = {(r["participant_id"], r["session_id"], r["rater"], r["version"]) for r in rows}
    assert who == ("sub-01", "n/a", "Dr. A. M\u00fcller-Lee", "1.2")


def test_notes_survive_whatever_is_in_them(tmp_path, opened, exports):
    record = write_session(tmp_path / "out")
    reader = opened()
    for lesion, note in ((1, NASTY), (2, '"quoted"'), (3, '"')):
        reader.rate(lesion, "Definite")
        reader.note(lesion, note)
    path = reader.export(exports)
    assert [row["note"] for row in read_table(path)] == [NASTY.replace("\t", " "), '"quoted"', '"']
    read = read_ratings(exports).apply(record)
    assert read.source == "reader AB"
    # And back into a page that has never seen them.
    reader.page.evaluate("localStorage.clear()")
    reader.page.reload()
    reader.look()
    reader.read_in(path)
    assert reader.card(2).get_by_label("Note").input_value() == '"quoted"'
    assert reader.card(1).get_by_label("Note").input_value() == NASTY.replace("\t", " ")


def test_nothing_is_exported_without_a_name_or_a_decision(opened):
    reader = opened(None)
    reader.button("Export ratings")
    assert reader.start.is_visible()
    reader.call("AB")
    reader.button("Export ratings")
    assert reader.message == "There is nothing to export yet."


def test_the_reader_is_told_what_is_not_rated(opened, exports):
    reader = opened()
    reader.rate(1, "Definite")
    reader.export(exports)
    assert reader.message.endswith("2 candidates not rated yet.")


def test_the_file_says_how_long_each_took_in_which_mode_on_which_outputs(tmp_path, opened, exports):
    reader = opened(mode="Blinded")
    reader.press("k")
    reader.page.wait_for_timeout(700)
    reader.press("1", "j", "2")
    reader.page.get_by_text("Rejected").click()
    reader.press("j", "1", "j", "1")
    reader.click_volume(20, 2, 8)
    reader.button("Add as definite")
    rows = read_table(reader.export(exports))
    assert {(row["mode"], row["outputs"]) for row in rows} == {
        ("blinded", outputs_of(tmp_path, CANDIDATES))
    }
    seconds = [row["seconds"] for row in rows]
    assert seconds[-1] == "n/a"
    first, *others = map(float, seconds[:-1])
    assert 0.7 <= first < 5
    assert all(0 <= one < 5 for one in others)


def test_time_out_of_sight_is_not_counted(opened, exports):
    reader = opened()
    reader.press("j", "1")
    hide = """hidden => {
      Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    reader.page.evaluate(hide, True)
    reader.page.wait_for_timeout(1500)
    reader.page.evaluate(hide, False)
    (row,) = read_table(reader.export(exports))
    assert float(row["seconds"]) < 1.5


# Going on from an earlier export


def test_a_reader_goes_on_from_an_export_on_another_computer(tmp_path, opened, exports):
    record = write_session(tmp_path / "out")
    first = opened()
    first.rate(1, "Not a CMB")
    first.note(1, "vein")
    first.click_volume(20, 2, 8)
    first.button("Add as definite")
    path = first.export(exports)
    second = opened(None)  # a context of its own: nothing is remembered
    second.read_in(path)
    assert second.who == "AB, aided"
    assert second.message == "2 decisions read in."
    assert second.choices() == ["not-cmb", None, None, None]
    assert second.progress == "1 of 3 rated, 1 added"
    second.press("j", "j", "1", "j", "1")
    second.export(exports / "all")
    ratings = read_ratings(exports)
    read = ratings.apply(record)
    assert (ratings.notes, ratings.problems) == ((), ())
    assert (read.source, len(read.lesions)) == ("reader AB", len(CANDIDATES) + 1)


def test_the_later_decision_holds_and_importing_can_be_undone(tmp_path, opened):
    reader = opened()
    reader.rate(1, "Possible")
    early = write_ratings(
        tmp_path, rating("1", "definite"), rating("2", "definite"), name="early_ratings.tsv"
    )
    late = write_ratings(
        tmp_path, rating("1", "not-cmb", date="2999-01-01T00:00:00.000Z"), name="late_ratings.tsv"
    )
    reader.read_in(early)
    assert reader.choices() == ["possible", "definite", None, None]
    reader.read_in(late)
    assert reader.choices() == ["not-cmb", "definite", None, None]
    reader.button("Undo")
    reader.button("Undo")
    assert reader.choices() == ["possible", None, None, None]


def test_what_is_read_in_keeps_its_mode_and_outputs_until_it_is_decided_anew(tmp_path, opened):
    later = {"mode": "aided", "seconds": "12.5", "outputs": "ba9876543210"}
    rows = [rating(lesion, "definite", **later) for lesion in "12"]
    path = write_ratings(tmp_path, *rows)
    reader = opened()
    reader.read_in(path)
    assert reader.message == "2 decisions read in; 2 of them made on different outputs."
    reader.rate(2, "Possible")
    first, second = read_table(reader.export(tmp_path / "new"))
    assert (first["outputs"], second["outputs"]) == (
        "ba9876543210",
        outputs_of(tmp_path, CANDIDATES),
    )
    assert float(first["seconds"]) == 12.5
    assert float(second["seconds"]) >= 12.5
    reader.read_in(write_ratings(tmp_path, rating("3", "definite")))
    assert read_table(reader.export(tmp_path / "newest"))[2]["mode"] == "n/a"


def test_an_export_that_was_blinded_is_read_in_locked(tmp_path, opened):
    path = write_ratings(tmp_path, rating("1", "definite", mode="blinded"))
    aided = opened()
    aided.read_in(path)
    assert (
        aided.message == "sub-01_rater-AB_ratings.tsv was read blinded, but you are reading aided."
    )
    looking = opened(None)
    looking.read_in(path)
    assert (looking.who, looking.choices()[0]) == ("AB, blinded", "definite")
    looking.press("j", "2")
    assert looking.choices()[0] == "definite"
    blinded = opened("CD", mode="Blinded")
    blinded.read_in(write_ratings(tmp_path, rating("1", "definite", "CD")))
    assert (
        blinded.message
        == "sub-01_rater-AB_ratings.tsv was read aided, but you are reading blinded."
    )


def test_rows_of_other_results_are_left_out_and_counted(tmp_path, opened):
    reader = opened()
    rows = [
        rating("1", "definite"),
        rating("1", "definite", participant_id="sub-02"),
        rating("2", "definite", place=(12.5, -20, 31)),
        rating("9", "definite", place=(0, 0, 0)),
        rating("3", "maybe"),
        rating("3", "toString"),
        rating("3", "definite", session_id="ses-X"),
        rating(None, "definite"),
    ]
    reader.read_in(write_ratings(tmp_path, *rows))
    assert reader.choices() == ["definite", None, None, None]
    assert reader.message == "1 decision read in; 7 left out (from other results, or damaged)."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("rater\tdecision\nAB\tdefinite\n", "cannot be read: columns are missing"),
        ("", "cannot be read: columns are missing"),
    ],
)
def test_a_file_that_is_no_export_changes_nothing(tmp_path, opened, content, message):
    path = tmp_path / "x_ratings.tsv"
    path.write_text(content)
    reader = opened()
    reader.read_in(path)
    assert message in reader.message
    assert reader.choices() == [None] * 4


def test_ratings_of_another_reader_are_not_mixed_in(tmp_path, opened):
    reader = opened()
    reader.read_in(write_ratings(tmp_path, rating("1", "definite", "CD")))
    assert reader.message == "sub-01_rater-AB_ratings.tsv is from CD, but you are reading as AB."
    assert reader.choices() == [None] * 4


def test_a_table_that_went_through_a_spreadsheet_is_read(tmp_path, opened):
    path = write_ratings(tmp_path, rating("1", "definite", note="x"))
    text = path.read_text().replace("\n", "\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    reader = opened()
    reader.read_in(path)
    assert reader.choices()[0] == "definite"
