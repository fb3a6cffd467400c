import dataclasses
from pathlib import Path

import numpy as np
import pytest

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.inputs import Scan, Session
from cmb_bidsapp.bids.outputs import write_image, write_table
from cmb_bidsapp.group.tables import collect
from cmb_bidsapp.labels import MARS, RIGHT
from cmb_bidsapp.lesions.candidates import find_instances, measure
from cmb_bidsapp.lesions.cfpr import judge
from cmb_bidsapp.lesions.table import COLUMNS, rows
from cmb_bidsapp.report.figures import session_figures
from cmb_bidsapp.report.group import write_group_report
from cmb_bidsapp.report.participant import write_participant_report
from cmb_bidsapp.runtime.engine import Outcome
from cmb_bidsapp.runtime.stamps import Stamp, write_stamp
from cmb_bidsapp.settings import Settings

MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture
def finished(tmp_path: Path) -> tuple[Settings, Session, SessionFiles]:
    """A session with one lesion in the brain and one candidate at its edge."""
    bids, out = tmp_path / "bids", tmp_path / "out"
    scan = Scan(bids / "sub-01" / "anat" / "sub-01_T2starw.nii.gz", {"suffix": "T2starw"}, {}, 1.0)
    session = Session("01", None, scan, None, (MARKUP,))
    files = SessionFiles(out, "01", None)
    affine = np.diag([1.0, 1.0, 4.0, 1.0])
    brain = np.zeros((40, 40, 8), np.uint8)
    brain[8:32, 8:32, 1:7] = 1
    t2star = brain * np.float32(100)
    t2star[19:22, 19:22, 4] = 20
    probability = np.zeros(brain.shape, np.float32)
    probability[19:22, 19:22, 4] = 0.95
    probability[5:7, 20:22, 4] = 0.9
    write_image(files.t2star, t2star, affine)
    write_image(files.t2star_brain, brain, affine)
    write_image(files.proxy, brain, affine)
    instances = find_instances(probability, 0.5)
    write_image(files.instances, instances, affine)
    mars = brain * (RIGHT + MARS["frontal"])
    write_image(files.mars, mars, affine)
    candidates = measure(instances, probability, t2star, mars, affine)
    table = rows(candidates, judge(instances, brain, (1, 1, 4)), cfpr=True, min_diameter=2)
    write_table(files.lesions, list(COLUMNS), table, COLUMNS)
    session_figures(files, table)
    write_stamp(files.stamp("finish"), Stamp("key", {}, {}, {"seconds": {}}))
    return Settings(bids, out, ("participant",)), session, files


def test_the_report_shows_kept_and_rejected_candidates_with_pictures(finished) -> None:
    settings, session, _ = finished
    page = write_participant_report(settings, "01", [Outcome(session, 0, "", (), 0)]).read_text()
    assert "Microbleeds (1)" in page
    assert "Rejected candidates (1)" in page
    assert "periphery-not-brain" in page
    # brain, registration, regions, and one picture per candidate
    assert page.count("data:image/png;base64,") == 5


def test_text_from_outside_stays_text(finished) -> None:
    settings, session, _ = finished
    failed = Outcome(session, 65, MARKUP, (), 0)
    page = write_participant_report(settings, "01", [failed]).read_text()
    assert MARKUP not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") == 2


def test_a_failed_session_shows_its_cause_and_no_counts(finished) -> None:
    settings, session, _ = finished
    failed = Outcome(session, 65, "the file is damaged", (), 0)
    page = write_participant_report(settings, "01", [failed]).read_text()
    assert "This session failed: the file is damaged" in page
    assert "Microbleeds (" not in page


def test_the_notes_of_a_phase_are_shown(finished) -> None:
    settings, session, files = finished
    info = {"notes": ["the registration of T1w to T2*w is <poor>"]}
    write_stamp(files.stamp("prepare"), Stamp("key", {}, {}, info))
    page = write_participant_report(settings, "01", [Outcome(session, 0, "", (), 0)]).read_text()
    assert '<p class="notice">the registration of T1w to T2*w is &lt;poor&gt;</p>' in page


def test_the_group_page_warns_when_sequences_are_mixed(finished) -> None:
    settings, _, _ = finished
    cohort = collect(settings.out_dir)
    (only,) = cohort.sessions
    mixed = [
        dataclasses.replace(only, protocol={**only.protocol, "sequence": sequence})
        for sequence in ("T2starw", "swi")
    ]
    alone = write_group_report(cohort, settings.out_dir).read_text()
    both = write_group_report(
        dataclasses.replace(cohort, sessions=tuple(mixed)), settings.out_dir
    ).read_text()
    assert "do not pool" not in alone
    assert "do not pool" in both
