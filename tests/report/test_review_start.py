"""How a reading begins: who reads, aided or blinded, and what a blinded reader cannot see."""

import re

import pytest

from cmb_bidsapp.bids.tables import read_table
from tests.report.heads import session_of, write_report
from tests.report.reviewing import Reader, write_page
from tests.report.test_participant_changes import compared

#: What a page says of the algorithm in words.
WORDS = re.compile(
    r"definite:|kept|rejected|probab|network|calibrated|CFPR|microbleeds? \(|lobar \d|MARS form"
    r"|new|since|below threshold|burden|likely",
    re.IGNORECASE,
)


@pytest.fixture
def report(tmp_path, finished):
    return write_report(tmp_path, session_of(tmp_path))


def seen(page):
    """Text on the screen, without that of the bar."""
    return page.evaluate(TEXTS)


TEXTS = """() => {
  const found = [];
  for (const root of document.querySelectorAll("main, header")) {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const { parentElement: element, textContent } = walker.currentNode;
      const part = element.closest("select") ?? element;
      const visible = part.checkVisibility({ visibilityProperty: true }) && !element.hidden;
      if (visible) found.push(textContent);
    }
  }
  return found.join(" ");
}"""


def shown(page, selector):
    return [one.is_visible() for one in page.locator(selector).all()]


def order_of(page):
    return page.locator(".card").evaluate_all("cards => cards.map(card => card.dataset.lesion)")


def test_nothing_of_the_page_is_seen_before_the_reader_has_said_how_to_read(report, open_page):
    page = open_page(report, to_read=True)
    assert shown(page, "main, .top, .review-bar") == [False] * 3
    page.keyboard.press("Escape")
    page.locator("main").wait_for()
    assert shown(page, "main, .top, .review-bar") == [True] * 3
    assert page.locator(".review-who").inner_text() == "Start reading"


def test_blinded_nothing_of_the_algorithm_is_seen_until_the_export(tmp_path, report, open_page):
    page = open_page(report, to_read=True)
    reader = Reader(page, "AB", "Blinded")
    assert WORDS.findall(seen(page)) == []
    assert shown(page, "main > section") == [one == "lesions" for one in sections(page)]
    assert not any(shown(page, "[data-verdict]"))
    assert page.get_by_label("outlines").is_disabled()
    # All candidates are places to decide, in the order of their numbers; nothing tells how many
    # the algorithm keeps.
    assert order_of(page) == ["1", "2", "3"]
    assert reader.progress == "0 of 3 rated"
    for lesion in (1, 2, 3):
        reader.rate(lesion, "Definite")
    assert WORDS.findall(seen(page)) == []
    reader.export(tmp_path)
    assert len(WORDS.findall(seen(page))) > 20
    assert all(shown(page, "main > section"))
    assert order_of(page) == ["1", "3", "2"]
    assert page.get_by_label("outlines").is_enabled()


def sections(page):
    return page.locator("main > section").evaluate_all("all => all.map(one => one.id)")


def test_blinded_changes_are_not_seen_either(tmp_path, open_page):
    page = open_page(compared(tmp_path), to_read=True)
    Reader(page, "AB", "Blinded")
    assert WORDS.findall(seen(page)) == []
    assert page.get_by_role("button", name="Show in both").count() == 0


def test_blinded_pictures_have_no_outline_large_or_small(report, open_page):
    page = open_page(report, to_read=True)
    Reader(page, "AB", "Blinded")
    cover = """image => {
      const box = image.parentElement.getBoundingClientRect();
      const style = getComputedStyle(image.parentElement, "::after");
      const left = new DOMMatrix(style.transform).e;
      const shares = [left / box.width, parseFloat(style.width) / box.width];
      return [...shares, parseFloat(style.height) / box.height, style.backgroundColor];
    }"""

    def covered(image):
        *shares, color = image.evaluate(cover)
        assert color == "rgb(0, 0, 0)"
        return shares

    # Whole, T2*w, outlined, T1w; the slices before and after it have no outline. Of the planes a
    # card has the axial one alone.
    axial = page.locator(".card .zoom img").first
    assert covered(axial) == pytest.approx([0.5, 0.25, 1], abs=0.01)
    page.locator(".card .zoom").first.click()
    assert covered(page.locator("#enlarged img")) == pytest.approx([0.5, 0.25, 0.75], abs=0.01)
    assert WORDS.findall(page.locator("#enlarged p").inner_text()) == []


def test_after_a_blinded_export_decisions_are_locked(tmp_path, open_page):
    page = open_page(write_page(tmp_path), to_read=True)
    reader = Reader(page, "AB", "Blinded")
    page.get_by_text("Rejected").click()
    reader.press("k", "1", "j", "2", "j", "3", "j", "1")
    rows = read_table(reader.export(tmp_path))
    assert reader.message.endswith("Your decisions are locked.")
    reader.press("k", "3", "u")
    assert "locked" in reader.message
    page.reload()
    assert reader.choices() == [row["decision"] for row in rows]
    assert reader.who == "AB, blinded"
    assert page.get_by_role("radio").first.is_disabled()
    # Another reading is another one.
    reader.call("AB", "Aided")
    assert reader.choices() == [None] * 4
    reader.rate(1, "Possible")
    reader.call("AB", "Blinded")
    assert reader.choices() == [row["decision"] for row in rows]


def test_an_export_that_ends_a_half_finished_blinded_reading_is_asked_about(tmp_path, open_page):
    reader = Reader(open_page(write_page(tmp_path), to_read=True), "AB", "Blinded")
    assert reader.progress == "0 of 4 rated"
    reader.rate(1, "Definite")
    reader.button("Export ratings")
    assert reader.message == "3 candidates not rated yet. The export ends the blinded reading."
    reader.rate(1, "Possible")
    reader.button("Export ratings")
    with reader.page.expect_download():
        reader.button("Export and see")
    assert not reader.page.locator("body.blinded").count()


def test_a_blinded_reading_goes_on_blinded(tmp_path, report, open_page):
    page = open_page(report, to_read=True)
    reader = Reader(page, "AB", "Blinded")
    reader.rate(1, "Definite")
    page.reload()
    assert reader.who == "AB, blinded"
    assert WORDS.findall(seen(page)) == []
    # To look at the dialog again changes nothing.
    page.locator(".review-who").click()
    page.keyboard.press("Escape")
    assert WORDS.findall(seen(page)) == []


def test_who_has_seen_what_the_algorithm_found_cannot_read_blinded(tmp_path, open_page):
    reader = Reader(open_page(write_page(tmp_path), to_read=True), "AB")
    reader.rate(1, "Definite")
    reader.call("CD", "Blinded")
    assert "were shown on this screen" in reader.start.get_by_role("alert").inner_text()
    reader.page.reload()
    # The page does not go on with the reading of AB, who may do so later.
    reader.call("AB", "Blinded")
    assert (
        reader.start.get_by_role("alert").inner_text()
        == "AB has already read this participant in aided mode."
    )
    reader.call("CD", "Blinded")
    assert (reader.who, reader.choices()[0]) == ("CD, blinded", None)
    reader.call("AB", "Aided")
    assert reader.choices()[0] == "definite"


def test_a_blinded_session_is_read_by_its_candidates_whatever_became_of_them(tmp_path, open_page):
    rejected = [("1", "rejected", "possible", (40, 40, 0))]
    page = open_page(write_page(tmp_path, table=rejected), to_read=True)
    reader = Reader(page, "AB", "Blinded")
    reader.button("More")
    assert page.locator(".review-sessions").inner_text() == "This session: 0 of 1 rated"


def test_the_first_key_of_a_blinded_reading_leads_to_the_first_card(tmp_path, open_page):
    reader = Reader(open_page(write_page(tmp_path), to_read=True), "AB", "Blinded")
    current = reader.page.locator(".card.review-current")
    current.wait_for()
    reader.press("j")
    assert current.get_attribute("data-lesion") == "1"
    reader.press("j")
    assert current.get_attribute("data-lesion") == "2"


def test_who_has_rated_the_first_card_goes_on_to_the_second(tmp_path, open_page):
    reader = Reader(open_page(write_page(tmp_path), to_read=True), "AB", "Blinded")
    current = reader.page.locator(".card.review-current")
    current.wait_for()
    reader.press("1", "j")
    assert current.get_attribute("data-lesion") == "2"
