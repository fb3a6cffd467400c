"""What is printed: a clinical page for each session, the rest where it is asked for."""

import re

import pytest

from tests.report.heads import LEFT_THALAMUS, RIGHT_FRONTAL, session_of, write_report
from tests.report.reviewing import Reader
from tests.report.test_participant_changes import compared

#: An A4 sheet without its margins, in pixels.
SHEET = {"width": 718, "height": 1047}
#: What ends beyond the right edge of the sheet.
CUT = """width => [...document.querySelectorAll("body *")].filter((element) => {
  const { right, width: own } = element.getBoundingClientRect();
  return own > 0 && right > width + 1 && element.checkVisibility();
}).map(({ tagName, className, textContent }) => [tagName, className, textContent.slice(0, 40)])"""


@pytest.fixture
def reader(tmp_path, open_page):
    """Somebody who reads two sessions that were compared."""
    return Reader(open_page(compared(tmp_path), to_read=True, viewport=SHEET))


def printing(page):
    """Go to print, as far as the page knows."""
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")


def sheets(page):
    return len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4")))


def test_a_clinical_page_for_each_session_is_printed_and_nothing_else(reader):
    page = reader.page
    printing(page)
    papers = page.locator(".paper")
    assert [paper.locator("thead b").inner_text() for paper in papers.all()] == [
        "sub-01, ses-B",
        "sub-01, ses-A",
    ]
    assert page.locator("main").is_hidden()
    told = " ".join(papers.nth(1).inner_text().split())
    assert re.search("2 microbleeds 1 definite, 1 possible; mixed", told)
    assert "Changes days 0 found 0 persistent 0 new 1" in told
    assert "Microbleed Anatomical Rating Scale sub-01, ses-A" in told
    assert "Signature ____" in told
    assert "Changes" not in papers.nth(0).inner_text()
    pictures = papers.nth(1).locator(".paper-pictures img")
    assert pictures.count() == 2
    assert all(pictures.evaluate_all("all => all.map(one => one.complete && one.naturalWidth)"))
    # Of each its axial row.
    for seen in (part.bounding_box() for part in papers.nth(1).locator(".part").all()):
        assert seen["width"] / seen["height"] == pytest.approx(4, rel=0.02)
    # A name is that of one part alone, so that links lead there.
    names = page.locator("[id]").evaluate_all("all => all.map(one => one.id)")
    assert len(names) == len(set(names))
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert papers.count() == 0
    assert page.locator("main").is_visible()


def test_each_session_has_one_sheet_and_everything_has_more(reader):
    assert sheets(reader.page) == 2
    reader.page.get_by_role("checkbox", name="everything").check()
    # Nearly twice as many before pictures stood side by side.
    assert 6 < sheets(reader.page) < 12


def test_five_microbleeds_and_a_warning_leave_room_on_the_sheet(tmp_path, open_page):
    """Text is wider on other machines: a sheet that just holds it has an empty one after it."""
    more = [(-10, 12, 8), (10, -12, 8), (-10, -12, 4)]
    note = (
        "voxels are 6.5 mm apart, the lesion model was trained on 0.8 to 4 mm: expect more errors"
    )
    path = compared(tmp_path, places=(RIGHT_FRONTAL, LEFT_THALAMUS, *more), notes=[note])
    page = open_page(path, viewport=SHEET)
    page.add_style_tag(content=".paper .sign { padding-top: 6mm; }")
    assert sheets(page) == 2
    printing(page)
    paper = page.locator(".paper").nth(1)
    assert paper.locator(".paper-pictures figure").count() == 5
    assert note in paper.inner_text()


def test_what_is_printed_is_as_the_reader_decided(reader):
    reader.rate(1, "Not a CMB", "ses-A")
    printing(reader.page)
    paper = reader.page.locator(".paper").nth(1)
    told = " ".join(paper.inner_text().split())
    assert "1 microbleed" in told
    assert "new 0" in told
    assert paper.locator(".paper-pictures figcaption b").all_inner_texts() == ["Microbleed 1."]
    assert "Read by AB, aided: 1 of 4 rated. Signature" in told


def test_with_everything_each_part_is_printed_once_under_a_running_head(reader):
    page = reader.page
    page.get_by_role("checkbox", name="everything").check()
    printing(page)
    assert page.locator("#lesions").is_visible()
    assert page.locator("#settings pre").first.is_visible()
    assert page.locator(".paper .form").count() == 2
    assert page.locator("#forms").is_hidden()
    assert page.locator("#sessions").is_hidden()
    running = page.locator(".running")
    assert running.inner_text() == "sub-01: ses-B, ses-A"
    display = "one => [getComputedStyle(one).display, getComputedStyle(one).breakInside]"
    assert running.evaluate(display) == ["table-header-group", "avoid"]
    assert page.locator(".paper thead").first.evaluate(display)[0] == "table-header-group"


def test_nothing_is_cut_at_the_edge(reader):
    page = reader.page
    page.get_by_role("checkbox", name="everything").check()
    reader.rate(1, "Definite", "ses-A")
    printing(page)
    assert page.evaluate(CUT, SHEET["width"]) == []


def test_blinded_only_what_is_on_the_screen_is_printed(tmp_path, open_page):
    page = open_page(compared(tmp_path), to_read=True)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".paper").count() == 0
    Reader(page, "AB", "Blinded")
    printing(page)
    assert page.locator(".paper").count() == 0
    assert page.locator("#summary").is_hidden()


def test_a_failed_session_has_its_page_with_the_cause(tmp_path, open_page):
    failed = {None: "the file is damaged"}
    page = open_page(write_report(tmp_path, session_of(tmp_path), failed=failed))
    printing(page)
    (paper,) = page.locator(".paper").all()
    assert paper.inner_text().startswith("sub-01 Cerebral microbleeds on T2*w.")
    assert "This session failed: the file is damaged" in paper.inner_text()
