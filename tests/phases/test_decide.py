"""The decide phase: which rules it went by, where that can be read, and the clinical tables."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from cmb_bidsapp.anatomy.standard import write_field
from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import sidecar_of, write_image, write_json
from cmb_bidsapp.bids.provenance import read_provenance
from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.clinical.mars import FORM_COLUMNS
from cmb_bidsapp.clinical.summary import SUMMARY_COLUMNS, read_warnings
from cmb_bidsapp.core.decisions import Decisions
from cmb_bidsapp.core.labels import CMB, LEFT, MARS
from cmb_bidsapp.models.card import CARD, SECOND_LOOK, read_card, write_card
from cmb_bidsapp.models.registry import PACKAGED
from cmb_bidsapp.report.sessions import cfpr_in_words
from cmb_bidsapp.settings import Clinical, Lesions, Settings
from cmb_bidsapp.workflow import DECIDE
from tests.phases.heads import shifted
from tests.skeletons import session as session_of
from tests.skeletons import write_nifti

SHAPE = (40, 40, 8)
AFFINE = np.diag([1.0, 1.0, 4.0, 1.0])


@pytest.fixture
def segmented(tmp_path):
    """A session as the segment phase leaves it: a lesion in the brain, one among others.

    The second has microbleeds to both sides: 4 of its 12 neighbors are brain, 5 are microbleed
    and 3 background, which is enough brain in ``paper`` mode alone.
    """
    raw = write_nifti(tmp_path / "bids" / "T2starw.nii.gz")
    files = SessionFiles(tmp_path / "out", "01", None)
    labels = np.zeros(SHAPE, np.uint8)
    labels[5:20] = 1
    probability = np.zeros(SHAPE, np.float32)
    probability[10, 20, 4] = 0.9999
    labels[29:32, 18:23, 4] = 0
    labels[28, 20, 4] = labels[32, 20, 4] = labels[29, 20, 4] = labels[31, 20, 4] = 1
    probability[30, 20, 4] = 0.99999
    labels[[29, 29, 30, 31, 31], [19, 21, 18, 19, 21], 4] = CMB
    brain = (labels > 0).astype(np.uint8)
    mars = brain * (LEFT + MARS["frontal"])
    for path, data in (
        (files.t2star, brain * np.float32(100)),
        (files.t2star_brain, brain),
        (files.structures, brain),
        (files.proxy, (labels == 1).astype(np.uint8)),
        (files.mars, mars.astype(np.uint8)),
        (files.probability, probability),
        (files.network_labels, labels),
    ):
        write_image(path, data, AFFINE, {})
    write_field(shifted((20, 30, -10)).to_standard, files.to_standard)
    return session_of("01", None, raw), files


def run(segmented, model="lesions", limit=4, **rules):
    session, files = segmented
    rule = dataclasses.replace(Decisions(threshold=0.999), **rules)
    bids = session.t2star.path.parent
    settings = Settings(
        bids_dir=bids,
        out_dir=files.out_dir,
        levels=("participant",),
        decisions=rule,
        clinical=Clinical(limit),
        lesions=Lesions(str(model)),
    )
    result = DECIDE.run(session, files, settings, lambda text: None)
    return result, read_table(files.lesions), DECIDE.parameters(settings, session)


@pytest.mark.parametrize(
    ("mode", "fates"), [("paper", ["kept"] * 2), ("reference", ["kept", "rejected"])]
)
def test_the_mode_of_cfpr_decides_and_is_told(segmented, mode, fates):
    _, rows, parameters = run(segmented, cfpr_mode=mode)
    assert [row["status"] for row in rows] == fates
    assert {row["cfpr_mode"] for row in rows} == {mode}
    sidecar = json.loads(sidecar_of(segmented[1].mask).read_text())
    assert sidecar["Decisions"]["cfpr_mode"] == mode
    assert parameters["cfpr_mode"] == mode
    told = f"{mode} mode, at least 0.5 of the voxels within 2 mm are brain"
    assert cfpr_in_words(read_provenance(segmented[1]).decisions) == told


def test_lesions_have_their_place_in_mni152(segmented):
    _, rows, _ = run(segmented)
    for row in rows:
        for axis, by in zip("xyz", (20, 30, -10), strict=True):
            assert float(row[f"mni_{axis}"]) == pytest.approx(float(row[axis]) - by, abs=1e-3)


def test_without_cfpr_the_report_is_told_so(segmented):
    _, rows, _ = run(segmented, cfpr=False, cfpr_mode="reference")
    assert cfpr_in_words(read_provenance(segmented[1]).decisions) == "off"
    assert [row["status"] for row in rows] == ["kept", "kept"]


def test_a_calibration_of_the_model_reaches_the_table_and_the_stamp(segmented, tmp_path):
    card = read_card(PACKAGED / "lesions" / CARD)
    shutil.copy(PACKAGED / "lesions" / SECOND_LOOK, tmp_path)
    knots = ((0.999, 0.25), (0.9999, 0.5), (0.99999, 0.75))

    def calibrated(**calibration):
        write_card(tmp_path / CARD, dataclasses.replace(card, calibration=calibration))
        return run(segmented, tmp_path)

    _, rows, without = calibrated()
    assert {row["calibrated_probability"] for row in rows} == {"n/a"}
    _, rows, with_one = calibrated(knots=knots)
    assert [float(row["calibrated_probability"]) for row in rows] == pytest.approx(
        [0.5, 0.75], abs=1e-3
    )
    assert (without["calibration"], with_one["calibration"]) == ((), knots)


def test_the_form_and_the_summary_are_written_with_their_dictionaries(segmented):
    result, rows, _ = run(segmented, min_size=1.0, cfpr_mode="reference")
    files = segmented[1]
    form = {(line["group"], line["region"]): line for line in read_table(files.mars_form)}
    (summary,) = read_table(files.summary)
    (kept,) = (row for row in rows if row["status"] == "kept")
    assert (kept["mars_region"], kept["side"]) == ("frontal", "left")
    assert form["lobar", "frontal"][f"left_{kept['grade']}"] == "1"
    assert form["total", "total"]["total"] == summary["count"] == "1"
    assert (summary["category"], summary["aria_h_baseline"]) == ("strictly lobar", "1-4")
    assert summary["expected_count"] == kept["calibrated_probability"] != "n/a"
    for path, columns in ((files.mars_form, FORM_COLUMNS), (files.summary, SUMMARY_COLUMNS)):
        assert json.loads(sidecar_of(path).read_text()) == columns
        assert path in result.outputs


def test_a_session_without_counted_lesions_has_a_form_and_a_summary_too(segmented):
    run(segmented, min_size=5.0)
    (summary,) = read_table(segmented[1].summary)
    assert (summary["count"], summary["below_size"]) == ("0", "2")
    assert (summary["category"], summary["category_otherwise"]) == ("none", "n/a")
    assert {line["total"] for line in read_table(segmented[1].mars_form)} == {"0"}


@pytest.mark.parametrize(("limit", "above"), [(0, "true"), (1, "true"), (2, "false")])
def test_the_limit_at_baseline_reaches_the_summary_and_the_stamp(segmented, limit, above):
    _, _, parameters = run(segmented, limit=limit, min_size=1.0)
    (summary,) = read_table(segmented[1].summary)
    assert (summary["baseline_limit"], summary["above_limit"]) == (str(limit), above)
    assert parameters["baseline_limit"] == limit


def test_what_earlier_decisions_found_of_simulated_microbleeds_goes(segmented):
    _, files = segmented
    tables = files.implants, files.sensitivity
    for path in (*tables, *map(sidecar_of, tables)):
        path.write_text("of earlier decisions")
    run(segmented)
    assert not any(path.exists() for path in (*tables, *map(sidecar_of, tables)))


def test_what_must_be_known_before_the_count_is_used_stands_beside_it(segmented):
    session, files = segmented
    _, _, before = run(segmented)
    assert read_table(files.summary)[0]["warnings"] == "n/a"
    write_json(sidecar_of(files.t2star), {"Notes": ["cut by the field of view"]})
    _, _, after = run((dataclasses.replace(session, notes=("no T1w",)), files))
    # Where they change, the phase runs again: it is by key and inputs that stamps know.
    assert before != after
    settings = Settings(
        bids_dir=session.t2star.path.parent, out_dir=files.out_dir, levels=("participant",)
    )
    read = DECIDE.inputs(session, files, settings)
    assert {sidecar_of(files.t2star), sidecar_of(files.probability)} <= {*read}
    assert read_table(files.summary)[0]["warnings"] == "no T1w; cut by the field of view"
    assert read_warnings(files) == ("no T1w; cut by the field of view",)
    files.summary.unlink()
    assert read_warnings(files) == ("cut by the field of view",)
    sidecar_of(files.t2star).write_text("{")
    assert "is damaged" in read_warnings(files)[0]
