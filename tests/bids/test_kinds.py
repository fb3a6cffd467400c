"""What an image is, by name, sidecar and values, and what is chosen for it."""

import nibabel as nib
import numpy as np
import pytest

from cmb_bidsapp.bids.inputs import choose
from cmb_bidsapp.bids.kinds import is_signed, kind_of
from cmb_bidsapp.core.errors import NoInputError
from tests.skeletons import build_dataset, image_path, write_head

MAGNITUDE = {"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"], "EchoTime": 0.02}

#: Sidecars of images that are no magnitude, and what they are.
NO_MAGNITUDE = {
    "Siemens phase": ({"ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"]}, "phase"),
    "Philips phase": ({"ImageType": ["ORIGINAL", "PRIMARY", "PHASE MAP", "P", "FFE"]}, "phase"),
    "Philips real": ({"ImageType": ["ORIGINAL", "PRIMARY", "R_FFE", "R", "FFE"]}, "real"),
    "dcm2niix real": ({"ImageType": ["ORIGINAL", "PRIMARY", "OTHER", "REAL"]}, "real"),
    "imaginary": ({"ImageType": ["ORIGINAL", "PRIMARY", "I", "FFE"]}, "imaginary"),
    "GE imaginary": ({"ImageType": ["DERIVED", "PRIMARY", "IMAGINARY"]}, "imaginary"),
    "minIP": ({"ImageType": ["DERIVED", "SECONDARY", "MNIP", "SWI", "M"]}, "projection"),
    "enhanced minIP": ({"ImageType": ["DERIVED", "PRIMARY", "SWI", "MIN_IP"]}, "projection"),
    "DICOM's own list": ({"ImageType": "ORIGINAL\\PRIMARY\\P\\ND"}, "phase"),
    "lower case": ({"ImageType": ["original", "primary", "phase"]}, "phase"),
    "component": ({"ComplexImageComponent": "PHASE"}, "phase"),
    "component beside M": ({"ComplexImageComponent": "REAL", **MAGNITUDE}, "real"),
    "mixed component": ({"ComplexImageComponent": "MIXED"}, "mixture"),
    "vendor's words": ({"ImageTypeText": ["ORIGINAL", "PRIMARY", "P"], **MAGNITUDE}, "phase"),
    "parameter map": ({"ImageType": ["DERIVED", "PRIMARY", "T2_STAR MAP"]}, "map"),
    "projection": ({"ImageType": ["DERIVED", "SECONDARY", "PROJECTION IMAGE"]}, "projection"),
    "susceptibility": ({"ImageType": ["DERIVED", "PRIMARY", "QSM"]}, "map"),
    "units in a list": ({"Units": ["rad"]}, "phase"),
    "radian": ({"Units": "rad"}, "phase"),
    "field map": ({"Units": "Hz"}, "map"),
}


@pytest.fixture(scope="module")
def choices(tmp_path_factory):
    """By case: the choice where the image is beside a magnitude that is worse, and where alone."""
    files = {}
    for number, (sidecar, _) in enumerate(NO_MAGNITUDE.values()):
        for person in (f"{number}beside", f"{number}alone"):
            files[f"sub-{person}_run-1_T2starw"] = {"voxel": (3, 3, 3), **sidecar}
        files[f"sub-{number}beside_run-2_T2starw"] = MAGNITUDE
    choice = choose(build_dataset(tmp_path_factory.mktemp("kinds"), files))
    chosen = {session.participant: session for session in choice.sessions}
    skipped = {one.path.name.removeprefix("sub-"): one.reason for one in choice.skipped}
    return {
        case: (chosen[f"{number}beside"], skipped.get(f"{number}alone"))
        for number, case in enumerate(NO_MAGNITUDE)
    }


@pytest.mark.parametrize("case", NO_MAGNITUDE)
def test_what_the_sidecar_says_is_no_magnitude_is_never_chosen(choices, case):
    session, alone = choices[case]
    assert "run-2" in session.t2star.path.name
    (rejected,) = session.rejected
    assert NO_MAGNITUDE[case][1] in rejected.reason
    assert rejected.reason in alone


def test_a_dataset_of_phase_alone_has_no_input_and_says_why(tmp_path):
    root = build_dataset(tmp_path, {"sub-01_T2starw": {"Units": "rad"}, "sub-01_T1w": {}})
    with pytest.raises(NoInputError, match=r"sub-01_T2starw\.nii\.gz: a phase image \(Units rad\)"):
        choose(root)


@pytest.mark.parametrize("image_type", [["ORIGINAL", "PRIMARY", "M", "NORM", "DIS3D"], ["X"], 3])
def test_other_words_of_scanners_leave_an_image_alone(tmp_path, image_type):
    root = build_dataset(tmp_path, {"sub-01_T2starw": {"ImageType": image_type}})
    assert len(choose(root).sessions) == 1


def test_the_t1w_is_a_magnitude_too(tmp_path):
    root = build_dataset(
        tmp_path, {"sub-01_T2starw": {}, "sub-01_T1w": {"ImageType": ["ORIGINAL", "PRIMARY", "P"]}}
    )
    (session,) = choose(root).sessions
    assert session.t1w is None
    assert any("no T1w" in note and "phase" in note for note in session.notes)


@pytest.mark.parametrize(
    ("stem", "word"),
    [("acq-minIP_swi", "projection"), ("rec-mip_swi", "projection"), ("acq-phase_GRE", "phase")],
)
def test_labels_count_where_no_sidecar_speaks(tmp_path, stem, word):
    root = build_dataset(tmp_path, {f"sub-01_{stem}": {"voxel": (3, 3, 3)}, "sub-01_SWI": {}})
    (session,) = choose(root).sessions
    assert session.t2star.path == image_path(root, "sub-01_SWI")
    assert word in session.rejected[0].reason
    assert kind_of({"acquisition": "phase"}, MAGNITUDE)[0] == "magnitude"


def noise(image, low, high, dtype=np.float32):
    values = np.random.default_rng(0).uniform(low, high, image.shape)
    return nib.Nifti1Image(values.astype(dtype), image.affine)


@pytest.mark.parametrize(
    ("low", "high", "dtype"), [(-np.pi, np.pi, np.float32), (-4096, 4094, np.int16)]
)
def test_values_on_both_sides_of_zero_are_a_phase_where_nothing_is_said(tmp_path, low, high, dtype):
    root = build_dataset(tmp_path, {"sub-02_T2starw": {}})
    for stem in ("sub-01_T2starw", "sub-01_part-mag_GRE"):
        write_head(image_path(root, stem), change=lambda image: noise(image, low, high, dtype))
    (first, second) = choose(root).sessions
    assert first.t2star.path == image_path(root, "sub-01_part-mag_GRE")
    assert "positive and negative values" in first.rejected[0].reason
    assert second.participant == "02"


@pytest.mark.parametrize("low", [0, -20])
def test_magnitudes_may_have_a_few_negative_values(tmp_path, low):
    root = build_dataset(tmp_path, {})
    write_head(image_path(root, "sub-01_T2starw"), change=lambda image: noise(image, low, 300))
    assert len(choose(root).sessions) == 1


def test_standardized_values_of_a_head_are_not_signed():
    head = np.concatenate([np.full(700, 0.0), np.random.default_rng(0).normal(400, 80, 300)])
    assert not is_signed((head - head.mean()) / head.std())
    assert not is_signed(np.zeros(5))
    assert not is_signed(np.array([np.nan, np.inf]))


def test_complex_numbers_are_a_magnitude_whatever_the_sidecar_says(tmp_path):
    root = build_dataset(tmp_path, {"sub-01_T2starw": {"ComplexImageComponent": "MIXED"}})
    path = image_path(root, "sub-01_T2starw")
    write_head(path, change=lambda image: noise(image, 1, 2, np.complex64))
    (session,) = choose(root).sessions
    assert any("using their magnitude" in note for note in session.notes)
