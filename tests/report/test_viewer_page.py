"""The volume in a browser, without a network and without a graphics card."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.preprocess.ants import write_linear
from tests.report.heads import (
    LEFT_THALAMUS,
    RIGHT_FRONTAL,
    finish_session,
    session_of,
    tilted,
    write_report,
)
from tests.report.test_participant_changes import compared

#: Records what the viewer tells the page of clicks.
LISTEN = """
window.places = [];
document.addEventListener("cmb:place", (event) => window.places.push(event.detail));
"""


@pytest.fixture
def opened(tmp_path, open_page):
    """Opens the report of some sessions at its volume."""

    def at_volume(*labels, **options):
        for label in labels:
            # In session B the microbleeds are where they are not in A.
            places = [(4, 8, -4)] if label == "B" else [RIGHT_FRONTAL, LEFT_THALAMUS]
            finish_session(tmp_path, session=label, places=places, **options)
        sessions = [session_of(tmp_path, session=label) for label in labels]
        page = open_page(write_report(tmp_path, *sessions), viewport={"width": 1400, "height": 900})
        page.evaluate(LISTEN)
        page.locator("#viewer").scroll_into_view_if_needed()
        shown(page)
        return page

    return at_volume


def shown(page):
    page.locator(".viewer-message").wait_for(state="hidden", timeout=60000)


def settled(page):
    """Waits until what was asked for is drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")


def place(page):
    """World coordinates (mm) that the viewer says it shows."""
    told = page.locator(".viewer-place").inner_text()
    return [float(part.split()[1]) for part in re.split("[,;]", told.replace(" mm", ""))[:3]]


def moved(page, act):
    """Waits for another place after an act."""
    before = page.locator(".viewer-place").inner_text()
    act()
    page.wait_for_function(
        "before => document.querySelector('.viewer-place').innerText !== before", arg=before
    )
    shown(page)
    settled(page)


def pixels(page):
    """What the viewer has drawn; without its lower edge, whose place is a fraction of a pixel."""
    settled(page)
    picture = page.locator("#viewer .pane:not([hidden]) canvas").screenshot()
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)[:600]


def changed(one, other):
    """Share of pixels that differ by more than a shift of a fraction of a pixel."""
    return (np.abs(one - other).max(axis=-1) > 60).mean()


def set_to(page, name, value):
    page.locator(f"#viewer [name={name}]").evaluate(
        "(input, value) => { input.value = value; "
        "input.dispatchEvent(new Event('input', { bubbles: true })); }",
        value,
    )


def show(page, session, x, y, z):
    page.evaluate(
        "detail => document.dispatchEvent(new CustomEvent('cmb:show', { detail }))",
        {"session": session, "x": x, "y": y, "z": z},
    )
    start = f"x {x:.1f}, y {y:.1f}, z {z:.1f}"
    page.wait_for_function(
        "start => document.querySelector('.viewer-place').innerText.startsWith(start)", arg=start
    )
    shown(page)


def ruler(page):
    """Pixels that the ruler gives to a millimeter."""
    rule = page.locator("#viewer .rule").first
    return rule.bounding_box()["width"] / float(rule.inner_text().removesuffix(" mm"))


def near(page, expected, by):
    found = place(page)
    return all(abs(a - b) <= by for a, b in zip(found, expected, strict=True))


def test_it_opens_when_it_comes_into_sight_and_draws_the_head(opened):
    page = opened(None)
    assert (pixels(page).sum(axis=-1) > 150).mean() > 0.1
    # At the first candidate, with its region.
    assert near(page, RIGHT_FRONTAL, 2) or near(page, LEFT_THALAMUS, 2)
    assert (
        ", right" in page.locator(".viewer-place").inner_text()
        or ", left" in page.locator(".viewer-place").inner_text()
    )


def test_a_card_sends_it_to_its_candidate(opened):
    page = opened(None)
    for card in page.locator(".card").all():
        card.get_by_role("button", name="Show in volume").click()
        data = card.evaluate("card => ({ ...card.dataset })")
        page.wait_for_function(
            "x => document.querySelector('.viewer-place').textContent.includes(`x ${x}`)",
            arg=f"{float(data['x']):.1f}",
        )
        assert near(page, [float(data[axis]) for axis in "xyz"], 0.06)


def test_a_click_moves_the_crosshair_and_tells_the_page_the_place(opened):
    page = opened(None)
    show(page, "n/a", 0, 0, 0)
    before = place(page)
    box = page.locator("#viewer .pane:not([hidden]) canvas").bounding_box()
    spot = box["x"] + 0.2 * box["width"], box["y"] + 0.35 * box["height"]
    moved(page, lambda: page.mouse.click(*spot))
    after = place(page)
    # In the large axial slice: to the right side of the patient, to the front, the slice stays.
    assert after[0] > before[0] + 3
    assert after[1] > before[1] + 3
    assert after[2] == pytest.approx(before[2], abs=0.1)
    told = page.evaluate("window.places.at(-1)")
    assert told["session"] == "n/a"
    assert [told[axis] for axis in "xyz"] == pytest.approx(after, abs=0.06)
    # The first click gives the volume the focus, the next one asks about the place.
    status = page.locator("#review [role=status]")
    assert status.inner_text() == "To start reading, enter your name, then rate the candidates."
    page.mouse.click(*spot)
    assert "A missed lesion?" in status.inner_text() or "lies there" in status.inner_text()
    page.keyboard.press("PageUp")
    assert f"{place(page)[2]:.1f} mm" in status.inner_text()


def test_keys_and_wheel_move_through_the_slices_once_it_has_the_focus(opened):
    page = opened(None)
    show(page, "n/a", 0, 0, 0)
    canvas = page.locator("#viewer .pane:not([hidden]) canvas")
    box = canvas.bounding_box()
    middle = box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"]
    page.mouse.move(*middle)
    scrolled = page.evaluate("scrollY")
    page.mouse.wheel(0, 60)
    page.wait_for_function("scrolled => scrollY > scrolled", arg=scrolled)
    start = place(page)
    canvas.focus()
    page.keyboard.press("PageUp")
    assert place(page) == pytest.approx([start[0], start[1], start[2] + 4], abs=0.1)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    assert place(page) == pytest.approx([start[0] + 1, start[1] + 1, start[2] + 4], abs=0.1)
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"])
    scrolled = page.evaluate("scrollY")
    moved(page, lambda: page.mouse.wheel(0, 100))
    assert page.evaluate("scrollY") == scrolled
    assert abs(place(page)[2] - (start[2] + 4)) > 2


def test_regions_outlines_and_the_other_image_are_switched_on_and_off(opened):
    page = opened(None)
    show(page, "n/a", *LEFT_THALAMUS)

    def colored():
        shades = pixels(page)
        return (np.ptp(shades, axis=-1) > 40).mean()

    plain = colored()
    set_to(page, "regions", "mars")
    assert colored() > plain + 0.05
    set_to(page, "regions", "")
    page.locator("#viewer [name=outlines]").uncheck()
    assert colored() < plain
    before = pixels(page)
    set_to(page, "blend", "1")
    assert changed(pixels(page), before) > 0.1
    set_to(page, "blend", "0")
    assert changed(pixels(page), before) < 0.03
    set_to(page, "white", "120")
    assert pixels(page).mean() > before.mean() + 2
    page.locator("#viewer [name=reset]").click()
    assert changed(pixels(page), before) < 0.03


@pytest.mark.parametrize("degrees", [0, 25])
def test_zooming_keeps_the_place_in_the_middle(opened, degrees):
    page = opened(None, affine=tilted(degrees))
    card = page.locator(".card").filter(has_text="frontal right")
    where = [float(card.get_attribute(f"data-{axis}")) for axis in "xyz"]
    show(page, "n/a", *where)
    assert "frontal, right" in page.locator(".viewer-place").inner_text()
    small = pixels(page)
    before = ruler(page)
    set_to(page, "zoom", "4")
    assert near(page, where, 0.1)
    assert ruler(page) == pytest.approx(4 * before, rel=0.05)
    large = pixels(page)
    height, width, _ = large.shape
    # The middle of the large slice; beside the lines of the crosshair.
    spot = large[height // 2 + 12 : height // 2 + 30, int(0.3 * width) + 12 : int(0.3 * width) + 30]
    assert spot.mean() < 90
    assert changed(large, small) > 0.1


def test_sessions_have_volumes_of_their_own_and_share_the_script(opened):
    page = opened("A", "B")
    assert page.locator("#viewer-script").count() == 1
    assert page.locator("script[data-volume]").count() == 8
    first = pixels(page)
    show(page, "ses-B", 4, 8, -4)
    assert page.locator("#viewer [name=session]").input_value() == "ses-B"
    assert near(page, (4, 8, -4), 0.1)
    assert changed(pixels(page), first) > 0.01
    page.locator("#viewer [name=session]").select_option("ses-A")
    page.locator("#viewer[data-session=ses-A]").wait_for()
    assert near(page, (4, 8, -4), 0.6)
    box = page.locator("#viewer .pane:not([hidden]) canvas").bounding_box()
    page.mouse.click(box["x"] + 0.3 * box["width"], box["y"] + 0.4 * box["height"])
    assert page.evaluate("window.places.at(-1).session") == "ses-A"


def test_two_registered_sessions_lie_side_by_side_at_the_same_place(tmp_path, open_page):
    compared(tmp_path)
    # What lies at x in ses-B, the earlier one, lies at x + 4 in ses-A.
    shift = np.eye(4)
    shift[0, 3] = 4
    write_linear(shift, SessionFiles(tmp_path / "out", "01", "A").to_session("B"))
    report = write_report(tmp_path, *(session_of(tmp_path, session=name) for name in "AB"))
    page = open_page(report, viewport={"width": 1400, "height": 900})
    page.locator("#viewer").scroll_into_view_if_needed()
    shown(page)
    card = page.locator(".card[data-session=ses-A]").first
    card.get_by_role("button", name="Show in both").click()
    page.locator("#viewer[data-shown='ses-B ses-A']").wait_for()
    shown(page)
    panes = page.locator("#viewer .pane:not([hidden])")
    assert panes.count() == 2
    at = [float(card.get_attribute(f"data-{axis}")) for axis in "xyz"]
    assert near(page, at, 0.6)
    told = page.locator(".viewer-place").inner_text()
    assert told.count("slice ") == 2
    panes.first.locator("canvas").focus()
    moved(page, lambda: page.keyboard.press("PageUp"))
    here = place(page)
    page.keyboard.press("f")
    page.locator("#viewer[data-shown=ses-B]").wait_for()
    page.locator("#viewer .pane:not([hidden]) canvas").focus()
    page.keyboard.press("f")
    page.locator("#viewer[data-shown=ses-A]").wait_for()
    there = place(page)
    assert abs(here[0] - there[0]) == pytest.approx(4, abs=0.11)
    assert here[1:] == pytest.approx(there[1:], abs=0.11)
    page.keyboard.press("Escape")
    page.locator("#viewer:not(.both)").wait_for()
    row = page.locator(".track").filter(has_text="Microbleed 2")
    row.get_by_role("button", name="Show in both").click()
    page.locator("#viewer[data-shown='ses-B ses-A']").wait_for()
    shown(page)
    # Its place is told in the world of the first session: what is active is the later one.
    at = [float(row.get_attribute(f"data-{axis}")) for axis in "xyz"]
    assert near(page, [at[0] + 4, *at[1:]], 0.11)


def test_without_a_registration_sessions_are_shown_one_at_a_time(opened):
    page = opened("A", "B")
    assert not page.locator("#viewer [name=both]").is_visible()


def test_one_walks_from_candidate_to_candidate(opened):
    page = opened("A", "B")
    page.locator("#viewer .pane:not([hidden]) canvas").focus()
    seen = []
    for _ in range(3):
        moved(page, lambda: page.keyboard.press("]"))
        seen.append(tuple(place(page)))
    assert len(set(seen)) == 3
    moved(page, page.locator("#viewer [name=previous]").click)
    assert tuple(place(page)) == seen[1]


def test_where_there_is_no_webgl_the_page_says_so_and_keeps_its_pictures(
    tmp_path, finished, chromium
):
    context = chromium.new_context(offline=True)
    page = context.new_page()
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
    page.add_init_script(
        "const get = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {"
        " return kind === 'webgl2' ? null : get.call(this, kind, ...rest); };"
    )
    page.goto(write_report(tmp_path, session_of(tmp_path)).as_uri())
    page.get_by_role("button", name="Just looking").click()
    page.locator("#viewer").scroll_into_view_if_needed()
    page.get_by_text("The volume viewer needs WebGL2").wait_for()
    assert page.locator("#viewer [name=regions]").is_disabled()
    assert page.locator(".card img").first.is_visible()
    page.locator(".card .show").first.click()
    assert wrong == []
    context.close()
