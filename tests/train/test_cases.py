import logging

import nibabel as nib
import numpy as np
import pytest

from cmb_bidsapp.cli import main
from cmb_bidsapp.core.errors import DataError, NoInputError
from cmb_bidsapp.train.cases import find_cases
from tests.skeletons import result_of, write_nifti

IMAGES = (
    "desc-preproc_T2starw",
    "space-T2starw_desc-preproc_T1w",
    "space-T2starw_desc-proxy_dseg",
)
MASK = "space-T2starw_label-CMB_mask"
ANAT = {"sub-01_ses-A": "sub-01/ses-A/anat", "sub-02": "sub-02/anat"}


def write(root, session, *names, **geometry):
    for name in names:
        write_nifti(root / ANAT[session] / f"{session}_{name}.nii.gz", **geometry)


@pytest.fixture
def out(tmp_path):
    """Outputs of the app for two sessions, without masks."""
    for session in ANAT:
        write(tmp_path / "out", session, *IMAGES)
    return tmp_path / "out"


@pytest.fixture
def rated(tmp_path):
    """Rated masks of both sessions in a dataset of their own."""
    for session in ANAT:
        write(tmp_path / "rated", session, MASK)
    return tmp_path / "rated"


def test_masks_beside_the_images_are_taken(out):
    for session in ANAT:
        write(out, session, MASK)
    cases = find_cases(out)
    assert [case.name for case in cases] == sorted(ANAT)
    first = cases[0]
    files = [first.t2star, first.t1w, first.proxy, first.lesions]
    folder = out / ANAT["sub-01_ses-A"]
    assert files == [folder / f"sub-01_ses-A_{name}.nii.gz" for name in (*IMAGES, MASK)]


def test_masks_of_another_folder_take_the_place_of_our_own(out, rated):
    write(out, "sub-02", MASK)
    cases = find_cases(out, rated)
    assert [case.name for case in cases] == sorted(ANAT)
    assert {case.lesions.parent for case in cases} == {rated / folder for folder in ANAT.values()}
    assert {case.t2star.parent for case in cases} == {out / folder for folder in ANAT.values()}


@pytest.mark.parametrize("lacking", IMAGES)
def test_a_session_that_lacks_an_image_is_left_out_and_named(out, rated, lacking, caplog):
    absent = out / ANAT["sub-02"] / f"sub-02_{lacking}.nii.gz"
    absent.unlink()
    with caplog.at_level(logging.WARNING):
        assert [case.name for case in find_cases(out, rated)] == ["sub-01_ses-A"]
    assert "sub-02 is left out" in caplog.text
    assert str(absent) in caplog.text


@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_session_without_a_mask_is_left_out_and_named(out, rated, elsewhere, caplog):
    masks = rated if elsewhere else out
    write(out, "sub-01_ses-A", MASK)
    (rated / ANAT["sub-02"] / f"sub-02_{MASK}.nii.gz").unlink()
    with caplog.at_level(logging.WARNING):
        assert [case.name for case in find_cases(out, rated if elsewhere else None)] == [
            "sub-01_ses-A"
        ]
    assert str(masks / ANAT["sub-02"] / f"sub-02_{MASK}.nii.gz") in caplog.text


def test_a_participant_that_the_app_has_not_seen_is_named(out, rated, caplog):
    write_nifti(rated / "sub-03" / "anat" / f"sub-03_{MASK}.nii.gz")
    with caplog.at_level(logging.WARNING):
        assert len(find_cases(out, rated)) == 2
    assert "sub-03 is left out" in caplog.text


def test_without_one_complete_session_there_is_no_input(out, tmp_path, capsys):
    for truth in (None, tmp_path / "absent"):
        with pytest.raises(NoInputError, match="label-CMB_mask"):
            find_cases(out, truth)
    where = ["--work-dir", str(tmp_path / "work"), "--output-dir", str(tmp_path / "bundle")]
    masks = ["--masks", str(tmp_path / "absent")]
    assert main(["train", "lesions", str(out), *masks, *where, "--name", "x"]) == 66
    said = capsys.readouterr()
    assert str(tmp_path / "absent") in said.err
    assert result_of(said.out) == (0, 0, 0, 66)


@pytest.mark.parametrize("geometry", [{"shape": (4, 4, 5)}, {"voxel": (1, 1, 1.1)}])
def test_a_mask_on_another_grid_is_an_error_that_names_both(out, rated, geometry):
    write(rated, "sub-02", MASK, **geometry)
    with pytest.raises(DataError) as caught:
        find_cases(out, rated)
    for root, name in ((rated, MASK), (out, IMAGES[0])):
        assert str(root / ANAT["sub-02"] / f"sub-02_{name}.nii.gz") in str(caught.value)


def test_rounding_of_a_header_is_the_same_grid(out, rated):
    affine = np.eye(4)
    affine[:3, 3] = 1e-4
    path = rated / ANAT["sub-02"] / f"sub-02_{MASK}.nii.gz"
    nib.save(nib.Nifti1Image(np.ones((4, 4, 4), np.float32), affine), path)
    assert len(find_cases(out, rated)) == 2


def test_a_damaged_mask_is_bad_data(out, rated):
    path = rated / ANAT["sub-02"] / f"sub-02_{MASK}.nii.gz"
    path.write_bytes(b"no image")
    with pytest.raises(DataError, match="cannot be read"):
        find_cases(out, rated)
