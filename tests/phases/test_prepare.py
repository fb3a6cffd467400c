"""What the prepare phase writes beside its images: the record of the session."""

import dataclasses
import json
import pickle
import shutil

import numpy as np
import pytest

from cmb_bidsapp.anatomy.network import AnatomySegmentation
from cmb_bidsapp.anatomy.parcellation import Parcellation
from cmb_bidsapp.anatomy.quality import Measure, warnings
from cmb_bidsapp.bids.outputs import sidecar_of
from cmb_bidsapp.bids.protocol import Protocol, SequenceKind, read_protocol
from cmb_bidsapp.bids.provenance import read_provenance
from cmb_bidsapp.bids.stamps import sha256_of
from cmb_bidsapp.core.errors import DataError, ModelError
from cmb_bidsapp.models.card import CARD, read_card, write_card
from cmb_bidsapp.models.registry import PACKAGED
from cmb_bidsapp.phases.base import PreparedHead
from cmb_bidsapp.phases.prepare import (
    measure_anatomy,
    prepare_inputs,
    prepare_parameters,
    refuse_impossible,
    strip,
    write_heads,
)
from cmb_bidsapp.preprocess.registration import Registration
from cmb_bidsapp.preprocess.resampling import Grid
from cmb_bidsapp.settings import Lesions
from cmb_bidsapp.workflow import PREPARE
from tests.skeletons import rescanned, write_head

AFFINE = np.diag([1.0, 1.0, 4.0, 1.0])
FOUND = Registration(
    pull=np.eye(4),
    mutual_information=1.2,
    correlation=-0.3,
    mask_dice=0.95,
    start="header",
    attempts=2,
)


def head(contrast):
    brain = np.ones((6, 5, 4), np.bool_)
    about = {"Sources": [f"bids:raw:{contrast}"], "BrainExtraction": "embedded"}
    about |= {"SpatialReference": f"bids:raw:{contrast}", "AnatomyModel": "anatomy-3"}
    return PreparedHead(
        data=brain.astype(np.float32),
        affine=AFFINE,
        brain=brain,
        anatomy=seen(0.98),
        about=about,
    )


def seen(certainty):
    """What the network finds where every voxel is brain of this certainty."""
    probabilities = np.zeros((2, 6, 5, 4), np.float32)
    probabilities[0], probabilities[1] = 1 - certainty, certainty
    return AnatomySegmentation(probabilities, Grid((6, 5, 4), AFFINE))


def test_how_sure_the_brain_is_is_measured_and_a_doubt_is_told():
    heads = [dataclasses.replace(head("T2starw"), anatomy=seen(sure)) for sure in (0.98, 0.93)]
    labeled = Parcellation(
        dseg=np.zeros((6, 5, 4), np.int32), grid=Grid((6, 5, 4), AFFINE), source="x", standard=None
    )
    told = [warnings(measure_anatomy(one, None, None, labeled)) for one in heads]
    lines = [[line for line in one if "T2starw certainty" in line] for one in told]
    assert lines[0] == []
    assert "may be incomplete, damaged or of the wrong kind" in lines[1][0]


def test_regions_that_no_person_has_stop_the_session(session):
    possible = Measure(measure="thalamus volume", value=30.0, units="ml", low=8.0, high=27.0)
    refuse_impossible(session, [possible])
    with pytest.raises(DataError, match=r"T2starw.nii.gz: the anatomy failed, thalamus .* 322 ml"):
        refuse_impossible(session, [possible, dataclasses.replace(possible, value=322.0)])


def test_an_image_that_is_none_of_a_head_stops_the_session_with_its_file(
    session, settings, monkeypatch
):
    class Network:
        model = "none-1"

        def __call__(self, head, contrast):
            return seen(0.8)

    where = dataclasses.replace(session.t2star, path=session.t2star.path)
    write_head(where.path, voxel=(4.0, 4.0, 4.0), size=96.0)
    monkeypatch.setattr(
        AnatomySegmentation, "brain_mask", lambda _, grid: np.ones(grid.shape, np.bool_)
    )
    with pytest.raises(DataError, match=r"T2starw.nii.gz shows no recognizable brain"):
        strip(where, "T2starw", Network(), settings(brain_extraction="embedded"), print)


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
    written = write_heads(alone, head("T2starw"), None, None, files, [])
    assert set(written) & {files.t1w, files.t1w_on_t2star, files.transform} == set()
    assert {files.t2star, files.t2star_brain, files.structures} <= set(written)
    made = read_provenance(files)
    assert (made.registration, set(made.brain_volumes)) == ({}, {"T2starw"})


def test_what_is_written_of_the_acquisition_is_part_of_what_a_stamp_depends_on(acquired, settings):
    other = dataclasses.replace(acquired.t2star, metadata={"EchoTime": 0.04})
    changed = rescanned(acquired, t2star=other)
    assert PREPARE.parameters is prepare_parameters
    known = prepare_parameters(settings(), acquired)
    assert known != prepare_parameters(settings(), changed)
    assert known == prepare_parameters(settings(), acquired)


def test_weights_that_hold_something_else_are_found_before_the_session_is_read(
    session, files, settings, tmp_path, monkeypatch
):
    bundle = tmp_path / "model"
    shutil.copytree(PACKAGED / "lesions", bundle)
    (bundle / "weights.pt").write_bytes(pickle.dumps({"weights": print}))
    card = read_card(bundle / CARD)
    stated = {**card.files, "weights.pt": sha256_of(bundle / "weights.pt")}
    write_card(bundle / CARD, dataclasses.replace(card, files=stated))
    monkeypatch.setattr("cmb_bidsapp.workflow.load_network", None)
    hostile = dataclasses.replace(settings(), lesions=Lesions(str(bundle)))
    with pytest.raises(ModelError, match="does not hold plain tensors"):
        PREPARE.run(session, files, hostile, print)


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
