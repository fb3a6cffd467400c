"""The phase image of a session in the decide phase: used, told, or left out with a note."""

import dataclasses
import json

import numpy as np
import pytest

from cmb_bidsapp.bids.outputs import sidecar_of
from cmb_bidsapp.bids.provenance import read_notes
from cmb_bidsapp.bids.scans import Scan
from cmb_bidsapp.lesions.phase import Convention, source_field
from cmb_bidsapp.phases import phase as steps
from cmb_bidsapp.preprocess.resampling import Grid
from cmb_bidsapp.report.closeups import panels_of
from cmb_bidsapp.settings import Settings
from cmb_bidsapp.workflow import DECIDE
from tests.phases.test_decide import AFFINE, SHAPE, run, segmented
from tests.skeletons import write_nifti

__all__ = ["segmented"]


def with_phase(segmented, data, *, voxel=(1.0, 1.0, 4.0), **more):
    session, files = segmented
    path = session.t2star.path.parent / "part-phase_T2starw.nii.gz"
    write_nifti(path, voxel, data=data)
    scan = Scan(
        path=path,
        entities={"suffix": "T2starw", "part": "phase"},
        metadata={},
        voxel_mm3=4.0,
        **more,
    )
    return dataclasses.replace(session, phase=scan), files


@pytest.fixture
def calcium(segmented):
    """Phase (0..4095) of calcium in the place of the first lesion."""
    lesion = np.zeros(SHAPE, np.bool_)
    lesion[10, 20, 4] = True
    noise = np.random.default_rng(0).normal(0, 0.01, SHAPE)
    phase = noise - 12 * source_field(lesion, Grid(SHAPE, AFFINE))
    # Outside of the brain there is noise of any phase.
    phase[25:] = np.random.default_rng(1).uniform(-np.pi, np.pi, (15, *SHAPE[1:]))
    turn = np.angle(np.exp(1j * phase))
    return with_phase(segmented, np.round((turn / np.pi + 1) * 2047.5).astype(np.int16))


@pytest.fixture
def sure(monkeypatch):
    monkeypatch.setattr(
        steps, "find_convention", lambda *_: Convention(sign=1, pieces=20, agreeing=0.9)
    )


def test_calcium_is_told_by_its_phase_and_rejected_when_asked(calcium, sure):
    result, rows, told = run(calcium)
    assert rows[0]["phase_sign"] == "diamagnetic"
    assert rows[0]["status"] == "kept"
    _, files = calcium
    assert {files.phase, files.swi} <= set(result.outputs)
    assert panels_of(files.figure("lesion001"))[0] == 5
    about = json.loads(sidecar_of(files.phase).read_text())
    assert about["PhaseConvention"] == "rises with the field"
    assert about["PhaseStructuresAgreeing"] == 0.9
    assert about["PhaseNucleiCorrelation"] == 0
    assert about["Sources"][0].startswith("bids:raw:")
    _, rows, asked = run(calcium, phase_rule="reject")
    assert (rows[0]["status"], rows[0]["reason"]) == ("rejected", "diamagnetic")
    assert told != asked


def test_without_a_sure_convention_signs_are_undecided_and_that_is_told(calcium):
    result, rows, _ = run(calcium, phase_rule="reject")
    assert {row["phase_sign"] for row in rows} == {"undecided"}
    assert {row["status"] for row in rows} == {"kept"}
    assert "sign convention is uncertain" in result.notes[0]
    assert result.notes[0] in read_notes(calcium[1])
    assert not calcium[1].swi.exists()
    assert panels_of(calcium[1].figure("lesion001"))[0] == 4


@pytest.mark.parametrize(
    ("data", "more", "why"),
    [
        (np.zeros(SHAPE, np.float32), {}, "every voxel has the same value"),
        (np.linspace(0, 700, 12800, dtype=np.float32).reshape(SHAPE), {}, "no turn"),
        (np.zeros((4, 4, 4), np.float32), {}, "its grid is not that of the T2*w"),
        (np.zeros(SHAPE, np.float32), {"problem": "damaged"}, "damaged"),
    ],
)
def test_a_phase_that_cannot_be_used_is_told_and_the_session_goes_on(
    segmented, calcium, sure, data, more, why
):
    run(calcium)
    bad = with_phase(segmented, data, **more)
    result, rows, _ = run(bad)
    assert why in result.notes[0]
    assert result.notes[0] in read_notes(bad[1])
    assert not any(name.startswith("phase_") for name in rows[0])
    # Nothing stays of what an earlier phase image showed.
    assert not bad[1].phase.exists()
    assert not sidecar_of(bad[1].swi).exists()


def test_only_a_session_with_a_phase_depends_on_it(segmented, calcium):
    session, files = segmented
    settings = Settings(
        bids_dir=session.t2star.path.parent, out_dir=files.out_dir, levels=("participant",)
    )
    other = dataclasses.replace(
        settings, decisions=dataclasses.replace(settings.decisions, phase_rule="reject")
    )
    assert DECIDE.parameters(settings, session) == DECIDE.parameters(other, session)
    assert DECIDE.parameters(settings, calcium[0]) != DECIDE.parameters(other, calcium[0])
    lacking = set(DECIDE.inputs(calcium[0], files, settings)) - set(
        DECIDE.inputs(session, files, settings)
    )
    assert lacking == {calcium[0].phase.path, files.structures}
    run(segmented)
    assert "phase" not in sidecar_of(files.mask).read_text()
    assert "phase" not in files.lesions.read_text()
