"""What the prepare phase writes beside its images: the record of the session."""

import dataclasses
import json

import numpy as np
import pytest

from cmb_bidsapp.bids.outputs import sidecar_of
from cmb_bidsapp.bids.protocol import Protocol, SequenceKind, read_protocol
from cmb_bidsapp.bids.provenance import read_provenance
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.phases.base import Head
from cmb_bidsapp.phases.prepare import prepare_inputs, prepare_parameters, write_heads
from cmb_bidsapp.preprocess.registration import Registration
from cmb_bidsapp.workflow import PREPARE
from tests.skeletons import rescanned

AFFINE = np.diag([1.0, 1.0, 4.0, 1.0])
FOUND = Registration(
    pull=np.eye(4), mutual_information=1.2, mask_dice=0.95, start="header", attempts=2
)


def head(contrast):
    brain = np.ones((6, 5, 4), np.bool_)
    about = {"Sources": [f"bids:raw:{contrast}"], "BrainExtraction": "embedded"}
    about |= {"SpatialReference": f"bids:raw:{contrast}", "AnatomyModel": "anatomy-3"}
    return Head(brain.astype(np.float32), AFFINE, brain, None, about)


@pytest.fixture
def acquired(session):
    metadata = {"MagneticFieldStrength": 1.5, "EchoTime": 0.025, "PatientName": "B"}
    return rescanned(session, t2star=dataclasses.replace(session.t2star, metadata=metadata))


def test_the_sidecar_of_the_t2star_is_the_record_of_the_session(acquired, files):
    written = write_heads(acquired, head("T2starw"), head("T1w"), FOUND, files, ["look at this"])
    assert {files.t2star, files.t1w, files.t1w_on_t2star, files.transform} <= set(written)
    assert "PatientName" not in json.loads(sidecar_of(files.t2star).read_text())
    assert read_protocol(files) == Protocol(
        sequence=SequenceKind.T2STARW, field_strength=1.5, echo_time=0.025, slice_distance=4.0
    )
    made = read_provenance(files)
    assert made.brain_volumes == {"T2starw": 0.48, "T1w": 0.48}
    assert (made.registration["MaskDice"], made.registration["Start"]) == (0.95, "header")
    assert (made.brain_extraction, made.anatomy_model) == ("embedded", "anatomy-3")
    assert made.notes == ("look at this",)


def test_a_t1w_of_an_earlier_run_leaves_no_trace_in_the_record(acquired, files):
    write_heads(acquired, head("T2starw"), head("T1w"), FOUND, files, [])
    alone = rescanned(acquired, t1w=None)
    assert write_heads(alone, head("T2starw"), None, None, files, []) == [
        files.t2star,
        files.t2star_brain,
    ]
    made = read_provenance(files)
    assert (made.registration, set(made.brain_volumes)) == ({}, {"T2starw"})


def test_what_is_written_of_the_acquisition_is_part_of_what_a_stamp_depends_on(acquired, settings):
    other = dataclasses.replace(acquired.t2star, metadata={"EchoTime": 0.04})
    changed = rescanned(acquired, t2star=other)
    assert PREPARE.parameters is prepare_parameters
    known = prepare_parameters(settings(), acquired)
    assert known != prepare_parameters(settings(), changed)
    assert known == prepare_parameters(settings(), acquired)


def test_a_session_that_is_refused_fails_before_anything_of_it_is_read(session, files, settings):
    bad = dataclasses.replace(session.t2star, problem="left and right are not known")
    refused = rescanned(session, t2star=bad)
    steps = []
    with pytest.raises(DataError, match="left and right are not known"):
        PREPARE.run(refused, files, settings(), steps.append)
    assert steps == []
    assert prepare_inputs(refused, files, settings()) == []
    accepted, now = (prepare_parameters(settings(), one) for one in (session, refused))
    assert accepted != now
