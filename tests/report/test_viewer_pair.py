"""Two sessions side by side in a browser: which ones, where their letters are, and the way back."""

import numpy as np
import pytest

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.tables import write_table
from cmb_bidsapp.clinical.follow_up import CHANGE_COLUMNS
from cmb_bidsapp.clinical.tracks import TRACK_COLUMNS
from cmb_bidsapp.preprocess.ants import write_linear
from tests.report.heads import RIGHT_FRONTAL, finish_session, session_of, write_report
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

    def at_changes(viewport=SCREEN):
        files = [finish_session(tmp_path, session=label, places=[RIGHT_FRONTAL]) for label in "123"]
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
        page = open_page(write_report(tmp_path, *sessions), viewport=viewport)
        page.evaluate(LISTEN)
        return page

    return at_changes


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
