"""The participant report itself: read in a browser, exported, applied by the group level."""

import re

import numpy as np
import pytest

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import write_image
from cmb_bidsapp.clinical.mars import fill
from cmb_bidsapp.core.labels import LEFT, MARS, RIGHT
from cmb_bidsapp.group.ratings import read_ratings
from cmb_bidsapp.group.session_records import read_record
from cmb_bidsapp.lesions.candidates import measure
from cmb_bidsapp.lesions.cfpr import judge
from cmb_bidsapp.lesions.instances import find_instances
from cmb_bidsapp.lesions.rules import cfpr_rule, to_lesions
from cmb_bidsapp.lesions.table import write_lesions
from cmb_bidsapp.report.closeups import Periphery
from cmb_bidsapp.report.figures import session_figures
from cmb_bidsapp.report.participant import write_participant_report
from cmb_bidsapp.report.sessions import ReportedSession
from cmb_bidsapp.settings import Settings
from tests.report.reviewing import Reader
from tests.skeletons import session as session_of

#: Two lesions in the brain, 1 and 2, and 3 at its edge.
PLACES = [(14, 20, 4), (25, 20, 4), (36, 20, 4)]
AFFINE = np.array([[1, 0, 0, -20], [0, 1, 0, -20], [0, 0, 4, -16], [0, 0, 0, 1.0]])


@pytest.fixture
def results(tmp_path):
    """A session's derivatives with a left frontal lobe (x < 0) and a right thalamus."""
    files = SessionFiles(tmp_path / "out", "01", "A")
    brain = np.zeros((40, 40, 8), np.uint8)
    brain[4:36, 4:36, 1:7] = 1
    t2star = brain * np.float32(100)
    probability = np.zeros(brain.shape, np.float32)
    for x, y, z in PLACES:
        t2star[x - 1 : x + 2, y - 1 : y + 2, z] = 20
        probability[x - 1 : x + 2, y - 1 : y + 2, z] = 0.95
    probability[37:39, 19:22, 4] = 0.9
    instances = find_instances(probability, t2star, AFFINE, 0.5)
    left = np.arange(40)[:, None, None] < 20
    mars = brain * np.where(left, LEFT + MARS["frontal"], RIGHT + MARS["thalamus"])
    images = {
        files.t2star: t2star,
        files.t2star_brain: brain,
        files.proxy: brain,
        files.network_labels: brain,
        files.instances: instances.astype(np.uint8),
        files.mars: mars.astype(np.uint8),
    }
    for path, data in images.items():
        write_image(path, data, AFFINE)
    found = measure(instances, probability, t2star, mars, AFFINE)
    verdicts = judge(instances, brain, (1, 1, 4))
    table = to_lesions(found, verdicts, [cfpr_rule(verdicts)], min_diameter=2)
    write_lesions(files.lesions, table)
    session_figures(files, table, Periphery("paper", 2.0))
    return files


@pytest.fixture
def report(tmp_path, results):
    image = tmp_path / "bids" / "sub-01" / "ses-A" / "anat" / "sub-01_ses-A_T2starw.nii.gz"
    session = session_of("01", "A", image)
    settings = Settings(
        bids_dir=tmp_path / "bids", out_dir=tmp_path / "out", levels=("participant",)
    )
    return write_participant_report(settings, "01", [ReportedSession(session)])


def numbers(text):
    return tuple(float(number) for number in re.findall(r"-?[0-9.]+", text)[:3])


def test_a_reading_of_the_report_becomes_the_group_levels_counts(
    tmp_path, results, report, open_page
):
    record = read_record(results)
    assert [row.status for row in record.lesions] == ["kept", "kept", "rejected"]
    reader = Reader(open_page(report, to_read=True))
    reader.press("j", "3", "j", "2", "j", "1")
    reader.note(2, "in the thalamus?", "ses-A")
    # A click into the middle of the volume, where the crosshair of a candidate is not.
    reader.page.locator("#viewer").scroll_into_view_if_needed()
    reader.page.wait_for_function("() => document.querySelector('.viewer-message').hidden")
    reader.click_volume(-3, 9, 0, "ses-A")
    reader.button("Add as definite")
    path = reader.export(tmp_path / "exports")
    assert path.name == "sub-01_ses-A_rater-AB_ratings.tsv"
    ratings = read_ratings(tmp_path / "exports")
    read = ratings.apply(record)
    assert (ratings.problems, ratings.notes, read.source) == ((), (), "reader AB")
    assert [(row.status, row.grade) for row in read.lesions[1:]] == [
        ("kept", "possible"),
        ("kept", "definite"),
        ("kept", "definite"),
    ]
    form = fill(read.lesions)
    assert form.count("frontal", "left") == 1
    assert form.count("thalamus", "right", "possible") == 1
    assert read.lesions[1].readers == "AB: possible (in the thalamus?)"


def test_a_click_into_the_volume_offers_to_add_a_lesion_there(report, open_page):
    reader = Reader(open_page(report, to_read=True))
    canvas = reader.page.locator("#viewer .pane:not([hidden]) canvas")
    canvas.scroll_into_view_if_needed()
    reader.page.wait_for_function("() => document.querySelector('.viewer-message').hidden")
    box = canvas.bounding_box()
    for _ in range(2):  # the first click gives it the focus
        reader.page.mouse.click(box["x"] + 0.25 * box["width"], box["y"] + 0.4 * box["height"])
    reader.page.keyboard.press("PageUp")
    reader.button("Add as possible")
    reader.button("More")
    clicked = reader.page.locator(".viewer-place").inner_text()
    added = reader.page.locator(".review-added b").inner_text()
    assert numbers(added) == pytest.approx(numbers(clicked), abs=0.11)


def test_turning_to_a_card_brings_the_volume_there(report, open_page):
    reader = Reader(open_page(report, to_read=True))
    reader.press("j", "j")
    reader.page.wait_for_function("() => document.querySelector('.viewer-message').hidden")
    reader.page.wait_for_function(
        "() => /^x 5.0, y -?0.0, z -?0.0 mm/"
        ".test(document.querySelector('.viewer-place').textContent)"
    )
    assert reader.card(2, "ses-A").evaluate("card => card.matches('.review-current')")
