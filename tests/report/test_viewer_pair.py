"""Two sessions side by side in a browser: which ones, where their letters are, and the way back."""

import numpy as np
import pytest

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.tables import write_table
from cmb_bidsapp.clinical.follow_up import CHANGE_COLUMNS
from cmb_bidsapp.clinical.tracks import TRACK_COLUMNS
from cmb_bidsapp.preprocess.ants import write_linear
from cmb_bidsapp.report.viewer import volume_file
from tests.report.heads import RIGHT_FRONTAL, finish_session, session_of, write_report
from tests.report.reviewing import Reader
from tests.report.test_viewer_page import settled, shown

SCREEN = {"width": 1366, "height": 768}

#: Gives the panes that are on the screen, and notes what they write where.
LISTEN = """() => {
  window.panes = new Map();
  window.letters = () => [...panes.values()].filter((pane) => !pane.box.hidden).map((pane) => {
    const found = [];
    const write = pane.nv.drawText;
    pane.nv.drawText = (spot, text) => found.push([text, ...spot]);
    pane.nv.drawScene();
    pane.nv.drawText = write;
    const slices = pane.nv.screenSlices.map((one) => [one.axCorSag, ...one.leftTopWidthHeight]);
    return { found, slices };
  });
  const { prototype } = cmbPanes.Pane;
  const rule = prototype.rule;
  prototype.rule = function () { panes.set(this.session.key, this); rule.call(this); };
}"""


@pytest.fixture
def followed(tmp_path, open_page):
    """Opens the page of three sessions; one microbleed is new in the second, one in the third."""

    def at_changes(viewport=SCREEN, without=(), *, to_read=False):
        files = [finish_session(tmp_path, session=label, places=[RIGHT_FRONTAL]) for label in "123"]
        for label in without:
            volume_file(files["123".index(label)], "T2starw").unlink()
        for one in files[1:]:
            write_linear(np.eye(4), one.to_session("1"))
        together = SessionFiles(tmp_path / "out", "01", None)
        x, y, z = RIGHT_FRONTAL
        place = {"x": x, "y": y, "z": z, "region": "lobar", "mars_region": "frontal"}
        place |= {"side": "right", "grade": "definite", "diameter": 3.5, "contrast": 0.5}
        states = {
            1: (("not-yet", {}), ("present", {"change": "new", "lesion_id": 1}), ("gone", {})),
            2: (("not-yet", {}), ("not-yet", {}), ("present", {"change": "new", "lesion_id": 1})),
            3: (("present", {"change": "baseline", "lesion_id": 1}), ("gone", {}), ("gone", {})),
        }
        tracks = [
            {"track_id": track, "session_id": f"ses-{k + 1}", "state": state, **place, **more}
            for track, rows in states.items()
            for k, (state, more) in enumerate(rows)
        ]
        changes = [
            dict.fromkeys(CHANGE_COLUMNS, 0)
            | {"session_id": name, "baseline_session_id": "ses-1", "registration": "good"}
            | {"order": "labels", "order_note": None, "aria_h": "mild", "protocol_note": None}
            | {"protocol_changed": False, "processing_changed": False, "known_boston_deep": False}
            for name in ("ses-2", "ses-3")
        ]
        write_table(together.tracks, list(TRACK_COLUMNS), tracks)
        write_table(together.changes, list(CHANGE_COLUMNS), changes)
        sessions = [session_of(tmp_path, session=label) for label in "123"]
        report = write_report(tmp_path, *sessions)
        page = open_page(report, viewport=viewport, to_read=to_read)
        page.evaluate(LISTEN)
        return page

    return at_changes


#: Whether nothing lies over the middle of an element.
IS_FREE = """element => {
  element.scrollIntoView({ block: "nearest" });
  const { left, top, width, height } = element.getBoundingClientRect();
  return document.elementFromPoint(left + width / 2, top + height / 2) === element;
}"""


def row(page, number):
    return page.locator(".track").filter(has_text=f"Microbleed {number}")


def both(page, where, *sessions):
    """Shows two sessions at a row or card."""
    where.get_by_role("button", name="Show in both").click()
    on_screen(page, *sessions)


def on_screen(page, *sessions):
    page.locator(f"#viewer[data-shown='{' '.join(sessions)}']").wait_for(timeout=60000)
    shown(page)
    settled(page)


def right_is_on_the_left(page):
    """Whether R stands left of the middle of each axial and coronal slice, and beside no other."""
    axial, coronal = 0, 1
    for pane in page.evaluate("letters()"):
        slices = [one for one in pane["slices"] if one[0] in (axial, coronal)]
        spots = [spot for text, *spot in pane["found"] if text == "R"]
        assert len(slices) == len(spots) == 2
        for (_, left, top, width, height), (x, y) in zip(slices, spots, strict=True):
            assert left <= x < left + width / 10
            assert top < y < top + height


def test_the_right_is_marked_on_the_left_of_each_slice(followed):
    page = followed()
    both(page, row(page, 1), "ses-1", "ses-2")
    right_is_on_the_left(page)
    page.locator("#viewer [name=flip]").click()
    on_screen(page, "ses-1")
    right_is_on_the_left(page)


def test_a_row_is_shown_with_the_session_before_it_and_a_new_one_with_the_baseline(followed):
    page = followed()
    zoom, other = (page.locator(f"#viewer [name={name}]") for name in ("zoom", "with"))
    both(page, row(page, 2), "ses-1", "ses-3")
    assert (zoom.input_value(), other.input_value()) == ("4", "ses-1")
    other.select_option("ses-2")
    on_screen(page, "ses-2", "ses-3")
    # What the reader chose holds for a card, and a row says itself with which session.
    page.locator("#viewer [name=session]").select_option("ses-1")
    on_screen(page, "ses-1", "ses-2")
    both(page, page.locator("#candidate-ses-3-1"), "ses-2", "ses-3")
    both(page, row(page, 2), "ses-1", "ses-3")
    both(page, row(page, 3), "ses-1", "ses-2")


def test_escape_leads_back_to_the_row(followed):
    page = followed()
    button = row(page, 2).get_by_role("button", name="Show in both")
    before = button.evaluate("button => scrollY")
    both(page, row(page, 2), "ses-1", "ses-3")
    assert button.evaluate(IS_FREE)
    page.keyboard.press("Escape")
    on_screen(page, "ses-3")
    assert button.evaluate("button => button === document.activeElement")
    assert button.evaluate(IS_FREE)
    assert abs(page.evaluate("scrollY") - before) < SCREEN["height"] / 2


def test_every_row_and_card_can_be_scrolled_free_of_the_two_sessions(followed):
    page = followed()
    both(page, row(page, 1), "ses-1", "ses-2")
    Reader(page).rate(1, "Definite", "ses-1")
    both(page, row(page, 1), "ses-1", "ses-2")
    buttons = [one for one in page.locator(".show").all() if one.is_visible()]
    assert len(buttons) == 9
    assert [one.evaluate(IS_FREE) for one in buttons] == [True] * 9
    counts = page.locator(".counts-by input").last
    assert counts.evaluate(IS_FREE)
    head, viewer = (page.locator(name).bounding_box() for name in (".top", "#viewer"))
    assert viewer["y"] == pytest.approx(head["y"] + head["height"], abs=1)


def test_where_the_page_lacks_a_volume_it_says_so_and_opens_no_other(followed):
    page = followed(without="1")
    for number in (1, 2, 3):
        assert "no volume of ses-1 in this page" in row(page, number).inner_text()
        assert row(page, number).get_by_role("button", name="Show in both").count() == 0
    card = page.locator("#candidate-ses-2-1")
    assert "no volume of ses-1 in this page" in card.inner_text()
    both(page, page.locator("#candidate-ses-3-1"), "ses-2", "ses-3")
    options = page.locator("#viewer [name=with] option").evaluate_all(
        "all => all.map(one => [one.text, one.disabled])"
    )
    lacking = ["ses-1 (no volume in this page)", True]
    assert options == [lacking, ["ses-2", False], ["ses-3", True]]


def test_the_crosshair_is_not_thinner_than_a_pixel(followed):
    page = followed({"width": 390, "height": 800})
    page.locator("#viewer").scroll_into_view_if_needed()
    shown(page)
    thinnest = page.evaluate("""() => {
      const { nv } = panes.get("ses-1");
      const scales = nv.screenSlices.map((one) => one.leftTopWidthHeight[2] / one.fovMM[0]);
      return [nv.opts.crosshairWidth, Math.min(...scales.map(Math.abs))];
    }""")
    assert thinnest[0] * thinnest[1] >= 1
    assert 0.3 * thinnest[1] < 1


def test_the_axial_row_of_a_card_stays_in_sight_with_its_buttons(followed):
    page = followed()
    Reader(page).press("j")
    settled(page)
    head, bar = (page.locator(name).bounding_box() for name in (".top", ".review-bar"))
    card = page.locator(".review-current")
    assert card.locator(".zoom").bounding_box()["y"] >= head["y"] + head["height"]
    choices = card.locator(".review").bounding_box()
    assert choices["y"] + choices["height"] <= bar["y"]


def test_blinded_two_sessions_can_be_compared_and_tell_nothing_of_the_algorithm(followed):
    page = followed(to_read=True)
    Reader(page, "AB", "Blinded")
    cards = page.locator(".card")
    assert page.get_by_role("button", name="Show in both").count() == cards.count() == 3
    both(page, cards.nth(1), "ses-1", "ses-2")
    assert page.locator("#viewer [name=regions]").is_disabled()
    assert "frontal" not in page.locator(".viewer-place").inner_text()
    cards.nth(1).locator("summary").click()
    told = cards.nth(1).inner_text()
    assert "Place" in told
    assert [word for word in ("frontal", "lobar", "Round", "mm,", "Size") if word in told] == []
