"""The review controls in a real browser: rating, notes, keys, undo, keeping, leaving."""

import pytest

from tests.report.reviewing import Reader, write_page

MARKUP = '<img src=x onerror="alert(1)">'


@pytest.fixture
def opened(tmp_path, open_page):
    """A page with candidates 1 to 3, kept, and 4, rejected."""

    def opening(name="AB", **options):
        return Reader(open_page(write_page(tmp_path, **options), to_read=True), name)

    return opening


@pytest.fixture
def reader(opened):
    return opened()


# Rating


def test_a_click_marks_a_candidate_and_the_bar_counts(reader):
    assert reader.progress == "0 of 3 rated"
    reader.rate(1, "Definite")
    reader.rate(2, "Not a CMB")
    assert reader.choices() == ["definite", "not-cmb", None, None]
    reader.rate(1, "Possible")
    assert reader.choices() == ["possible", "not-cmb", None, None]
    assert reader.progress == "2 of 3 rated"
    bar = reader.page.get_by_role("progressbar")
    assert (bar.get_attribute("value"), bar.get_attribute("max")) == ("2", "3")


def test_a_rejected_candidate_can_be_rated_but_need_not_be(reader):
    for lesion in (1, 2, 3):
        reader.rate(lesion, "Definite")
    assert reader.progress == "3 of 3 rated"
    reader.page.get_by_text("Rejected").click()
    reader.rate(4, "Possible")
    assert (reader.choices()[3], reader.progress) == ("possible", "3 of 3 rated")


def test_without_a_name_nothing_is_rated_and_the_name_is_asked_for(opened):
    reader = opened(None)
    reader.rate(1, "Definite")
    assert reader.choices() == [None] * 4
    assert reader.start.is_visible()
    reader.call(" ")
    assert reader.start.get_by_role("alert").inner_text() == "Enter your name or initials."
    assert reader.name.evaluate("field => field.matches(':focus')")


def test_choices_are_radio_groups_with_names(reader):
    group = reader.card(2).get_by_role("group", name="Your reading of candidate 2")
    radios = group.get_by_role("radio")
    assert radios.count() == 3
    assert group.get_by_role("radio", name="Not a CMB").count() == 1


def test_notes_stay_text_and_come_after_the_rating(reader):
    assert not reader.card(1).get_by_label("Note").is_visible()
    reader.rate(1, "Possible")
    reader.note(1, MARKUP)
    reader.click_volume(20, 2, 8)
    reader.button("Add as definite")
    reader.button("More")
    added = reader.page.locator(".review-added li").get_by_label("Note")
    added.fill(MARKUP)
    added.blur()
    assert reader.page.locator("img").count() == 0
    reader.page.emulate_media(media="print")
    assert reader.card(1).locator(".review-said").inner_text() == f"AB: possible, {MARKUP}"
    assert MARKUP in reader.page.locator(".review-summary").inner_text()


# Keys


def test_the_keyboard_alone_is_enough(reader):
    reader.press("j", "1", "j", "2", "ArrowDown", "3", "k")
    assert reader.choices() == ["definite", "possible", "not-cmb", None]
    assert reader.page.evaluate("document.activeElement.dataset.lesion") == "2"
    reader.press("ArrowUp", "ArrowUp", "k", "3")  # no further than the first
    assert reader.choices()[0] == "not-cmb"
    reader.press("u")
    assert reader.choices()[0] == "definite"


def test_the_viewer_is_told_which_candidate_the_reader_turns_to(reader):
    reader.press("j", "j")
    shown = reader.page.evaluate("shown")
    assert shown == [
        {"session": "n/a", "x": 10, "y": 20, "z": 30},
        {"session": "n/a", "x": 12.5, "y": -20, "z": 30},
    ]


def test_enter_starts_and_goes_back_to_the_card(opened):
    reader = opened(None)
    reader.press("j", "1")
    reader.name.fill("AB")
    reader.name.press("Enter")
    reader.press("1", "j", "2")
    assert reader.who == "AB, aided"
    assert reader.choices()[:2] == ["definite", "possible"]


def test_tab_reaches_every_control_and_the_focus_can_be_seen(reader):
    reader.press("j", "Tab", "Space")
    assert reader.choices()[0] == "definite"
    reader.press("ArrowRight")  # within the radio group
    assert reader.choices()[0] == "possible"
    style = "getComputedStyle(document.activeElement.nextElementSibling).outlineStyle"
    assert reader.page.evaluate(style) == "solid"
    reader.press("Tab", "a", "j", "1")  # the note: letters are letters
    assert reader.card(1).get_by_label("Note").input_value() == "aj1"
    assert reader.choices() == ["possible", None, None, None]
    reader.press("Escape", "j", "1")
    assert reader.choices()[:2] == ["possible", "definite"]


def test_keys_pass_over_what_is_folded_away_and_open_it_where_it_is_wanted(reader):
    reader.press("j", "j", "j", "j", "1")
    assert reader.choices() == [None, None, "definite", None]
    reader.click_volume(40, 40, 0)
    reader.button("Rate it")
    reader.press("2")
    assert reader.choices()[3] == "possible"
    assert reader.card(4).is_visible()


@pytest.mark.parametrize("key", ["1", "j", "u"])
def test_keys_of_the_viewer_and_of_the_browser_are_left_alone(reader, key):
    reader.press("j", "1")
    reader.page.locator("canvas").focus()
    reader.press(key)
    reader.press("Tab")
    assert reader.choices() == ["definite", None, None, None]
    reader.card(1).focus()
    reader.press(f"Control+{key}")
    assert reader.choices() == ["definite", None, None, None]


# Undo


def test_undo_takes_back_one_change_after_the_other(reader):
    reader.rate(1, "Definite")
    reader.rate(1, "Possible")
    reader.note(1, "faint")
    reader.click_volume(20, 2, 8)
    reader.button("Add as definite")
    assert reader.progress == "1 of 3 rated, 1 added"
    seen = []
    for _ in range(4):
        reader.button("Undo")
        seen.append((reader.choices()[0], reader.card(1).get_by_label("Note").input_value()))
    assert seen == [("possible", "faint"), ("possible", ""), ("definite", ""), (None, "")]
    assert reader.progress == "0 of 3 rated"
    assert reader.page.get_by_role("button", name="Undo").is_disabled()


# Missed lesions


def test_a_lesion_is_added_where_the_reader_clicked(reader):
    reader.click_volume(20.1234, 2, 8)
    assert "20.1, 2.0, 8.0 mm" in reader.message
    reader.button("Add as definite")
    reader.button("More")
    (item,) = reader.page.locator(".review-added li").all()
    assert reader.choice(item) == "definite"
    item.get_by_role("radio", name="Possible").click()
    assert reader.choice(item) == "possible"
    # The focus stays where the reader is, though the list is drawn anew.
    assert item.get_by_role("radio", name="Possible").evaluate("radio => radio.matches(':focus')")
    item.get_by_role("button", name="Show").click()
    assert reader.page.evaluate("shown.at(-1)") == {"session": "n/a", "x": 20.12, "y": 2, "z": 8}


def test_a_lesion_is_added_by_typing_its_place(reader):
    reader.button("More")
    reader.button("Add")
    assert "Give x, y and z" in reader.message
    for axis, value in zip("xyz", ("-6", "0.5", "12"), strict=True):
        reader.page.get_by_label(axis, exact=True).fill(value)
    reader.press("Enter")
    reader.button("Add as possible")
    assert reader.page.locator(".review-added b").inner_text() == "-6.0, 0.5, 12.0 mm"
    assert reader.choice(reader.page.locator(".review-added li")) == "possible"


def test_where_a_candidate_lies_that_one_is_to_be_rated(reader):
    reader.click_volume(10.5, 20, 31)
    assert reader.message == "Candidate 1 lies there."
    reader.button("Rate it")
    reader.press("2")
    assert (reader.choices()[0], reader.progress) == ("possible", "1 of 3 rated")


def test_a_lesion_is_not_added_twice(reader):
    for x in (20, 20.3, 21):
        reader.click_volume(x, 2, 8)
        reader.button("Add as definite")
    assert reader.progress == "0 of 3 rated, 2 added"


# Sessions


def test_each_session_has_its_candidates_and_its_progress(opened):
    reader = opened(sessions=("ses-A", "ses-B"))
    reader.rate(1, "Definite", "ses-B")
    assert reader.choices() == [None] * 4 + ["definite", None, None, None]
    assert reader.progress == "1 of 6 rated"
    reader.button("More")
    assert reader.page.locator(".review-sessions li").all_inner_texts() == [
        "ses-A: 0 of 3 rated",
        "ses-B: 1 of 3 rated",
    ]
    reader.click_volume(20, 2, 8, "ses-B")
    assert "20.0, 2.0, 8.0 mm of ses-B" in reader.message
    reader.button("Add as definite")
    assert reader.page.locator(".review-added b").inner_text() == "20.0, 2.0, 8.0 mm of ses-B"


def test_a_session_without_candidates_is_read_by_saying_so(opened):
    reader = opened(table=[])
    reader.button("More")
    box = reader.page.get_by_label("This session has no candidate; I have checked the whole scan")
    box.check()
    reader.button("Undo")
    assert not box.is_checked()


# Keeping and leaving


def test_decisions_are_there_after_a_reload_with_the_name(reader):
    reader.rate(1, "Definite")
    reader.note(1, "round")
    reader.page.reload()
    assert reader.who == "AB, aided"
    assert reader.choices() == ["definite", None, None, None]
    assert reader.card(1).get_by_label("Note").input_value() == "round"
    assert reader.message == "1 decision of AB, from before."


def test_readers_do_not_see_each_others_decisions(reader):
    reader.rate(1, "Definite")
    reader.call("CD")
    assert reader.choices() == [None] * 4
    reader.rate(2, "Possible")
    reader.call("ab")
    assert reader.choices() == ["definite", None, None, None]


def test_who_mistyped_a_name_takes_the_decisions_along(reader):
    reader.rate(1, "Definite")
    reader.call("ABC")
    reader.button("They are ABC's")
    assert reader.choices() == ["definite", None, None, None]


def test_other_results_of_the_same_page_start_anew(tmp_path, reader):
    reader.rate(1, "Definite")
    moved = [("1", "kept", "definite", (10, 20, 33))]
    write_page(tmp_path, table=moved)
    reader.page.reload()
    assert reader.start.is_visible()
    assert reader.choices() == [None]


def test_leaving_without_an_export_is_asked_about(tmp_path, reader):
    reader.page.reload()
    reader.rate(1, "Definite")
    reader.page.reload()
    assert reader.asked == ["beforeunload"]
    reader.export(tmp_path)
    reader.page.reload()
    assert reader.asked == ["beforeunload"]


def test_a_browser_that_keeps_nothing_says_so_and_works_on(tmp_path, opened):
    reader = opened(None)
    reader.page.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new Error('refused'); }})"
    )
    reader.page.reload()
    reader.call("AB")
    reader.rate(1, "Definite")
    assert "This browser cannot save your reading" in reader.message
    reader.call("CD")
    reader.call("AB")
    assert reader.choices()[0] == "definite"


def test_paper_shows_decisions_and_no_controls(reader):
    reader.rate(2, "Not a CMB")
    reader.page.emulate_media(media="print")
    assert not reader.card(2).get_by_role("radio").first.is_visible()
    assert not reader.page.get_by_role("button").first.is_visible()
    assert reader.card(2).locator(".review-said").is_visible()
    assert not reader.card(1).locator(".review-said").is_visible()
    summary = reader.page.locator(".review-summary").inner_text()
    assert summary == "Read by AB, aided: 1 of 3 rated."
