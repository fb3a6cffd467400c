"""How a T2*w image was acquired, from the raw sidecar to that of the preprocessed image."""

import re

import numpy as np
import pytest

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.inputs import Scan
from cmb_bidsapp.bids.outputs import write_image
from cmb_bidsapp.bids.protocol import (
    Protocol,
    SequenceKind,
    read_protocol,
    sequence_of,
    t2star_acquisition,
)


def scan(metadata=(), **entities):
    return Scan(
        path="raw.nii.gz",
        entities={"suffix": "T2starw", **entities},
        metadata=dict(metadata),
        voxel_mm3=1.0,
    )


@pytest.mark.parametrize(
    ("entities", "kind"),
    [
        ({"suffix": "T2starw"}, "T2starw"),
        ({"suffix": "MEGRE"}, "MEGRE"),
        ({"suffix": "swi"}, "swi"),
        ({"suffix": "SWI"}, "swi"),
        ({"suffix": "T2starw", "acquisition": "highresSWI"}, "swi"),
        ({"suffix": "Chimap"}, "unknown"),
    ],
)
def test_an_swi_is_told_as_such_whatever_its_suffix_and_others_are_never_guessed(entities, kind):
    assert sequence_of(scan(**entities)) == kind


def test_what_is_written_is_read_again_and_other_keys_stay_out(tmp_path):
    raw = {"EchoTime": 0.02, "MagneticFieldStrength": 3, "Manufacturer": "A", "PatientName": "B"}
    files = SessionFiles(tmp_path, "01", None)
    sidecar = t2star_acquisition(scan(raw), (0.5, 0.5, 4.0))
    write_image(files.t2star, np.zeros((2, 2, 2), np.float32), np.eye(4), sidecar)
    assert sidecar["Manufacturer"] == "A"
    assert "PatientName" not in sidecar
    assert read_protocol(files) == Protocol(
        sequence=SequenceKind.T2STARW, field_strength=3.0, echo_time=0.02, slice_distance=4.0
    )


def test_without_a_sidecar_nothing_is_known(tmp_path):
    assert read_protocol(SessionFiles(tmp_path, "01", None)) == Protocol(
        sequence=SequenceKind.UNKNOWN
    )


@pytest.mark.parametrize("told", ["SWI", "gre", "T2w", "", 3, ["swi"]])
def test_a_kind_that_is_none_of_ours_is_an_error_that_names_it(tmp_path, told):
    files = SessionFiles(tmp_path, "01", None)
    write_image(files.t2star, np.zeros((2, 2, 2), np.float32), np.eye(4), {"SequenceKind": told})
    expected = "expected one of T2starw, MEGRE, GRE, swi, unknown"
    text = f"sub-01_desc-preproc_T2starw.json: SequenceKind {told!r}: {expected}"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        read_protocol(files)
