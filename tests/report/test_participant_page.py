"""The report in a browser: pictures, slider, order, print, keys, narrow and dark screens."""

import numpy as np
import pytest
from PIL import Image

from cmb_bidsapp.report.figures import closeup_name
from tests.report.accessible import broken_words, violations
from tests.report.heads import (
    LEFT_THALAMUS,
    RIGHT_FRONTAL,
    RIM,
    finish_session,
    session_of,
    write_report,
)
from tests.report.reviewing import Reader
from tests.report.test_participant_changes import compared


@pytest.fixture
def page(tmp_path, finished, open_page):
    return open_page(
        write_report(tmp_path, session_of(tmp_path)), viewport={"width": 1400, "height": 900}
    )


def order_of(page):
    return (
        page.locator(".cards")
        .first.locator(".card")
        .evaluate_all("cards => cards.map(card => card.dataset.lesion)")
    )


def test_every_picture_is_one_and_every_link_leads_somewhere(page):
    sizes = page.locator("img[src]").evaluate_all("all => all.map(i => i.naturalWidth)")
    assert len(sizes) >= 8
    assert min(sizes) > 100
    targets = page.locator("a[href^='#']").evaluate_all("all => all.map(a => a.hash.slice(1))")
    assert len(targets) >= 6
    for name in targets:
        assert page.evaluate("name => document.getElementById(name) !== null", name)


def test_a_picture_is_enlarged_by_click_or_key_and_others_follow(page):
    first, second = (page.locator(".card .zoom").nth(k) for k in (0, 1))
    enlarged = page.locator("#enlarged")
    first.click()
    assert enlarged.is_visible()
    # Its card has it twice: the upper part of it, and the lower one.
    own = first.locator("img").first
    assert enlarged.locator("img").get_attribute("src") == own.get_attribute("src")
    wide = enlarged.locator("img").evaluate("image => image.clientWidth")
    assert wide > 1.3 * own.evaluate("image => image.clientWidth")
    page.keyboard.press("ArrowRight")
    assert enlarged.locator("img").get_attribute("src") == second.locator(
        "img"
    ).first.get_attribute("src")
    page.keyboard.press("Escape")
    assert enlarged.is_hidden()
    assert page.evaluate("document.activeElement.classList.contains('zoom')")
    page.keyboard.press("Enter")
    assert enlarged.is_visible()
    enlarged.get_by_role("button", name="Close").click()
    assert enlarged.is_hidden()


def test_the_slider_and_the_pointer_uncover_the_t1w(page):
    pair, over = page.locator(".pair"), page.locator(".pair .over")

    def cut():
        return over.evaluate("image => getComputedStyle(image).clipPath")

    assert cut() == "inset(0px 0px 0px 50%)"
    slider = pair.get_by_role("slider")
    slider.fill("80")
    assert cut() == "inset(0px 0px 0px 80%)"
    slider.focus()
    page.keyboard.press("ArrowLeft")
    assert cut() == "inset(0px 0px 0px 79%)"
    pair.scroll_into_view_if_needed()
    box = over.bounding_box()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 20)
    assert slider.input_value() == "25"
    assert cut() == "inset(0px 0px 0px 25%)"


def test_cards_are_put_in_the_order_that_is_asked_for(tmp_path, open_page):
    # The number comes from the place, and the last one is the most likely.
    finish_session(tmp_path, places=[LEFT_THALAMUS, RIGHT_FRONTAL, RIM])
    page = open_page(write_report(tmp_path, session_of(tmp_path)))
    order = page.get_by_label("Order")
    assert order_of(page) == ["1", "3"]
    order.select_option("probability")
    assert order_of(page) == ["3", "1"]
    order.select_option("region")
    by_region = order_of(page)
    regions = (
        page.locator(".cards")
        .first.locator(".card")
        .evaluate_all("cards => cards.map(card => card.dataset.region)")
    )
    assert regions == sorted(regions)
    order.select_option("number")
    assert order_of(page) == ["1", "3"] == sorted(by_region)


#: Which panels of a picture its card shows, as rows and columns, and the size of one.
PANELS = """picture => [...picture.querySelectorAll(".part")].map(part => {
  const seen = part.getBoundingClientRect(), whole = part.firstChild.getBoundingClientRect();
  const size = seen.height;
  return { size, row: (seen.top - whole.top) / size, column: (seen.left - whole.left) / size,
    count: seen.width / size, across: whole.width / size, down: whole.height / size };
})"""


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        # The axial row, and the slices before and after it.
        (4, [(0, 0, 4), (3, 0, 4)]),
        # With phase and SWI-like, the nearest of these slices.
        (6, [(0, 0, 4), (0, 4, 2), (3, 2, 2)]),
    ],
)
def test_panels_of_a_card_are_as_large_as_they_were_drawn(
    tmp_path, finished, open_page, columns, shown
):
    path = finished.figure(closeup_name(1))
    with Image.open(path) as picture:
        picture.resize((columns * picture.width // 4, picture.height)).save(path)
    size = {"width": 1366, "height": 768}
    page = open_page(write_report(tmp_path, session_of(tmp_path)), viewport=size)
    parts = page.locator(".card .zoom").first.evaluate(PANELS)
    assert min(part["size"] for part in parts) >= 180
    seen = [(part["row"], part["column"], part["count"]) for part in parts]
    assert np.array(seen) == pytest.approx(np.array(shown), abs=0.05)
    whole = [(part["across"], part["down"]) for part in parts]
    assert np.array(whole) == pytest.approx(np.array([(columns, 4)] * len(shown)), abs=0.05)


def test_the_form_is_printed_alone_or_on_a_page_of_its_own(page):
    page.evaluate("window.print = () => { window.printed = document.body.className; }")
    page.get_by_role("button", name="Print this form").click()
    assert page.evaluate("window.printed") == "one-form"
    page.emulate_media(media="print")
    assert page.locator(".form").is_visible()
    assert page.locator("#summary").is_hidden()
    assert page.locator(".top").is_hidden()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("#summary").is_visible()
    style = page.locator(".form").evaluate(
        "form => [getComputedStyle(form).breakBefore, getComputedStyle(form).breakAfter]"
    )
    assert style == ["page", "page"]
    assert page.locator(".sign").is_visible()
    assert page.locator("#viewer").is_hidden()


def test_what_is_closed_is_printed_too(page):
    closed = page.locator("#settings details").first
    assert closed.get_attribute("open") is None
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert closed.get_attribute("open") == ""
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert closed.get_attribute("open") is None


def test_a_printed_registration_shows_both_images(page):
    page.emulate_media(media="print")
    boxes = [image.bounding_box() for image in page.locator(".pair img").all()]
    assert boxes[1]["x"] >= boxes[0]["x"] + boxes[0]["width"]
    assert page.locator(".pair .over").evaluate("i => getComputedStyle(i).clipPath") == "none"


def test_text_stands_out_from_what_is_behind_it(page):
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        ratios = page.evaluate(CONTRAST)
        assert len(ratios) > 50
        assert {text: ratio for text, ratio in ratios if ratio < 4.5} == {}


@pytest.fixture(scope="module")
def two_sessions(tmp_path_factory):
    """A report with changes, made once."""
    return compared(tmp_path_factory.mktemp("compared"))


@pytest.mark.parametrize("width", [1366, 390])
def test_no_heading_is_broken_at_a_hyphen(two_sessions, open_page, width):
    page = open_page(two_sessions, viewport={"width": width, "height": 800})
    heads = page.locator("#summary thead").inner_text()
    assert "ARIA-H" in heads
    assert "new since ses-B" in " ".join(heads.split())
    assert broken_words(page, "thead th") == []


def test_no_range_of_classes_is_broken(two_sessions, open_page):
    page = open_page(two_sessions)
    page.evaluate("() => document.querySelectorAll('details').forEach((one) => (one.open = true))")
    for width in range(320, 460, 10):
        page.set_viewport_size({"width": width, "height": 800})
        assert broken_words(page, ".facts dd", r"\d-\d") == [], width


def test_headings_of_words_are_above_their_first_letter(two_sessions, open_page):
    page = open_page(two_sessions)
    for cell in page.locator("#summary tbody tr").first.locator("td.words").all():
        at = cell.evaluate("cell => cell.cellIndex")
        head = page.locator("#summary thead th").nth(at)
        assert head.evaluate("head => getComputedStyle(head).textAlign") == "left"


def test_sums_of_the_form_are_set_off_whatever_they_are(page):
    rows = page.locator(".form .sub-total")
    colors = "row => [...row.cells].slice(1).map((cell) => getComputedStyle(cell).backgroundColor)"
    shades = {shade for row in rows.all() for shade in row.evaluate(colors)}
    assert len(shades) == 1
    region = page.locator(".form .region td:not(.some)").first
    assert region.evaluate("cell => getComputedStyle(cell).backgroundColor") not in shades


def test_columns_of_changes_without_a_number_are_left_out(two_sessions, open_page):
    page = open_page(two_sessions, to_read=True, viewport={"width": 1366, "height": 800})
    heads = page.locator("#changes thead th:visible")
    reader = Reader(page)
    assert heads.all_inner_texts()[:6] == [
        "Session", "days", "found", "persistent", "new", "new since ses-B",
    ]  # fmt: skip
    # With a decision, the counts are of the tracks, which have one below the threshold.
    reader.rate(1, "Definite", "ses-A")
    assert "below threshold now" in heads.all_inner_texts()
    assert "gone" not in heads.all_inner_texts()


@pytest.mark.parametrize("width", [1366, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong(two_sessions, open_page, scheme, width):
    page = open_page(two_sessions, color_scheme=scheme, viewport={"width": width, "height": 800})
    page.get_by_role("button", name="More", exact=True).click()
    assert violations(page) == []
    page.get_by_role("button", name="Start reading").click()
    page.locator("#review-start[open]").wait_for()
    assert violations(page) == []


#: Contrast (WCAG 2) of every text with the nearest opaque background.
CONTRAST = """() => {
  const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    paint.clearRect(0, 0, 1, 1); paint.fillStyle = color; paint.fillRect(0, 0, 1, 1);
    return [...paint.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, k) => sum + v * [.2126, .7152, .0722][k], 0);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const found = rgba(getComputedStyle(e).backgroundColor);
      if (found[3] > 250) return found;
    }
    return [255, 255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("main *, header *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !element.checkVisibility() || element.matches("option")) continue;
    const [a, b] = [light(rgba(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    found.push([element.textContent.trim().slice(0, 40), ratio]);
  }
  return found;
}"""


def test_nothing_is_wider_than_the_screen(tmp_path, open_page):
    for session in "AB":
        finish_session(tmp_path, session=session)
    both = [session_of(tmp_path, session=session) for session in "AB"]
    page = open_page(write_report(tmp_path, *both))
    for width in (360, 800, 1920):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_page_can_be_used_with_the_keyboard(page):
    """Whatever can be clicked can be focused, and shows that it is."""
    for _ in range(4):
        page.keyboard.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    unreachable = page.locator("main [onclick], main .zoom:not(button), main .show:not(button)")
    assert unreachable.count() == 0
    nameless = page.locator("button, select, input").evaluate_all(
        "all => all.filter(e => e.checkVisibility()"
        " && !(e.innerText || e.ariaLabel || e.labels?.length || e.title)).length"
    )
    assert nameless == 0


def test_a_card_on_a_phone_has_its_words_side_by_side(page):
    page.set_viewport_size({"width": 390, "height": 844})
    about = page.locator(".card header p").first
    assert about.evaluate("one => one.offsetWidth") > 300


#: What of the card that is turned to is under the head of the page or under the bar, in pixels.
COVERED = """() => {
  const box = (selector) => document.querySelector(selector).getBoundingClientRect();
  const [head, card, bar] = [".top", ".card.review-current", ".review-bar"].map(box);
  const foot = getComputedStyle(document.querySelector(".review-bar")).position === "sticky"
    ? bar.top : innerHeight;
  return [Math.max(0, head.bottom - card.top), Math.max(0, card.bottom - foot)];
}"""


@pytest.mark.parametrize("size", [(1366, 768), (1024, 768), (768, 1024), (768, 768), (390, 844)])
@pytest.mark.parametrize("mode", ["Aided", "Blinded"])
def test_no_card_that_is_turned_to_is_covered(two_sessions, open_page, mode, size):
    width, height = size
    page = open_page(two_sessions, to_read=True, viewport={"width": width, "height": height})
    reader = Reader(page, "AB", mode)
    if mode == "Aided":
        reader.press("j")
    # Who reads blinded is at the first card, and needs no key.
    page.locator(".card.review-current").wait_for()
    for _ in range(3):
        assert page.evaluate(COVERED) == [0, 0]
        reader.press("1", "j")


@pytest.mark.parametrize("size", [(1280, 720), (1366, 768), (1920, 1080)])
@pytest.mark.parametrize("mode", ["Aided", "Blinded"])
def test_no_control_of_the_volume_is_under_the_bar(two_sessions, open_page, mode, size):
    width, height = size
    page = open_page(two_sessions, to_read=True, viewport={"width": width, "height": height})
    reader = Reader(page, "AB", mode)
    if mode == "Aided":
        reader.press("j")
    page.locator(".card.review-current").wait_for()
    for _ in range(3):
        viewer, bar = (page.locator(name).bounding_box() for name in ("#viewer", ".review-bar"))
        assert viewer["y"] + viewer["height"] < bar["y"]
        reader.press("1", "j")


def test_the_bar_has_no_line_for_words_that_it_does_not_say(two_sessions, open_page):
    page = open_page(two_sessions, to_read=True, viewport={"width": 1024, "height": 768})
    reader = Reader(page)
    reader.press("j")
    bar, strip = page.locator(".review-bar"), page.locator(".review-strip button:visible").first
    assert bar.bounding_box()["height"] < 2 * strip.bounding_box()["height"]
    # With words it has one, and the card is not under it.
    reader.click_volume(0, 0, 0, "ses-B")
    assert reader.message.startswith("No candidate at")
    assert bar.bounding_box()["height"] > 2 * strip.bounding_box()["height"]
    page.wait_for_function(f"() => ({COVERED})().every((covered) => covered === 0)")


@pytest.mark.parametrize("width", [1366, 390])
def test_the_cause_of_a_failure_can_be_read_in_the_overview(tmp_path, open_page, width):
    finish_session(tmp_path, session="A")
    cause = f"{'/data/bids/sub-01/ses-B/anat' * 3}.nii.gz shows a brain of 2428 ml; " * 2
    sessions = [session_of(tmp_path, session=name) for name in "AB"]
    report = write_report(tmp_path, *sessions, failed={"B": cause})
    page = open_page(report, viewport={"width": width, "height": 800})
    told = page.locator(".overview .bad span").bounding_box()
    assert told["x"] + told["width"] <= width
    # Of one volume there is no other session to flip to.
    assert "other session" not in page.locator(".viewer-help").inner_text()


def test_a_blinded_card_on_a_phone_has_no_empty_line(two_sessions, open_page):
    page = open_page(two_sessions, to_read=True, viewport={"width": 390, "height": 844})
    Reader(page, "AB", "Blinded")
    card = page.locator(".card.review-current")
    card.wait_for()
    name, show = (card.locator(one).first.bounding_box() for one in ("h4", ".show"))
    assert show["y"] - (name["y"] + name["height"]) < name["height"]
