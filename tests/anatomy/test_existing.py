"""Parcellations of other apps are found in every layout, and nothing else is taken for one."""

from dataclasses import replace

import pytest

from cmb_bidsapp.anatomy.reuse import read_parcellation
from cmb_bidsapp.core.errors import DataError
from tests.anatomy.subjects import find_parcellation, pointer, write


@pytest.mark.parametrize("name", ["sub-01", "01"])
def test_a_freesurfer_subject_is_found_with_its_white_matter(tmp_path, name):
    dseg = write(tmp_path / name / "mri" / "aparc+aseg.mgz")
    found = find_parcellation([tmp_path], "01", None)
    assert (found.dseg, found.kind) == (dseg, "FreeSurfer")
    assert (found.white, found.subject_dir) == (None, tmp_path / name)
    white = write(tmp_path / name / "mri" / "wmparc.mgz")
    assert find_parcellation([tmp_path], "01", "A") == replace(found, white=white)


def test_a_subject_that_was_not_finished_is_not_found(tmp_path):
    write(tmp_path / "sub-01" / "mri" / "orig.mgz")
    write(tmp_path / "sub-01" / "mri" / "wmparc.mgz")
    assert find_parcellation([tmp_path], "01", None) is None


def test_the_sessions_own_goes_before_the_longitudinal_before_the_participants(tmp_path):
    names = ["01", "sub-01", "sub-01_ses-A.long.sub-01", "sub-01_ses-A"]
    for name in names:
        file = write(tmp_path / name / "mri" / "aparc+aseg.mgz")
        assert find_parcellation([tmp_path], "01", "A").dseg == file, name
    assert find_parcellation([tmp_path], "01", None).subject_dir.name == "sub-01"
    assert find_parcellation([tmp_path], "01", "B").subject_dir.name == "sub-01"


@pytest.mark.parametrize(
    "name",
    ["sub-011", "sub-0", "sub-01_ses-AB", "sub-01_ses-B", "x-01", "sub-01_ses-AB.long.sub-01"],
)
def test_others_are_not_found(tmp_path, name):
    write(tmp_path / name / "mri" / "aparc+aseg.mgz")
    write(tmp_path / "sub-01" / f"{name}_T1w_synthseg.nii.gz")
    write(tmp_path / "sub-01" / "anat" / f"{name}_desc-aseg_dseg.nii.gz")
    assert find_parcellation([tmp_path], "01", "A") is None


def test_the_template_of_a_longitudinal_run_is_in_no_scans_space(tmp_path):
    write(tmp_path / "sub-01" / "mri" / "aparc+aseg.mgz")
    write(tmp_path / "sub-01" / "base-tps")
    assert find_parcellation([tmp_path], "01", "A") is None


def test_fastsurfer_is_known_by_its_files_best_first(tmp_path):
    mri = tmp_path / "sub-01" / "mri"
    write(mri / "aparc+aseg.mgz")
    for name in ("deep", "deep.withCC", "mapped"):
        file = write(mri / f"aparc.DKTatlas+aseg.{name}.mgz")
        found = find_parcellation([tmp_path], "01", None)
        assert (found.dseg, found.kind) == (file, "FastSurfer")
    white = write(mri / "wmparc.DKTatlas.mapped.mgz")
    assert find_parcellation([tmp_path], "01", None).white == white


def test_smripreps_areas_go_before_its_structures_the_session_before_the_participant(tmp_path):
    for name in (
        "sub-01/anat/sub-01_desc-aseg_dseg.nii.gz",
        "sub-01/anat/sub-01_desc-aparcaseg_dseg.nii.gz",
        "sub-01/ses-A/anat/sub-01_ses-A_run-2_desc-aseg_dseg.nii.gz",
        "sub-01/ses-A/anat/sub-01_ses-A_run-2_space-T1w_desc-aparcaseg_dseg.nii.gz",
        "sub-01/ses-A/anat/sub-01_ses-A_run-2_desc-aparcaseg_dseg.nii.gz",
    ):
        file = write(tmp_path / name)
        found = find_parcellation([tmp_path], "01", "A")
        assert (found.dseg, found.kind) == (file, "sMRIPrep")
    found = find_parcellation([tmp_path], "01", "B")
    assert found.dseg.name == "sub-01_desc-aparcaseg_dseg.nii.gz"


@pytest.mark.parametrize(
    "name",
    [
        "sub-01_space-MNI152NLin2009cAsym_desc-aparcaseg_dseg.nii.gz",
        "sub-01_space-T1w_res-1mm_desc-aparcaseg_dseg.nii.gz",
        "sub-01_dseg.nii.gz",
        "sub-01_desc-brain_mask.nii.gz",
        "sub-01_desc-aparcaseg_dseg.tsv",
        "sub-01_ses-A-x_desc-aparcaseg_dseg.nii.gz",
        "sub-02_desc-aparcaseg_dseg.nii.gz",
        "sub-01_desc-synthseg_T1w.nii.gz",
        "sub-01_T1w_synthseg_posteriors.nii.gz",
        "sub-01_T2starw_synthseg.nii.gz",
        "sub-01_space-MNI152_T1w_synthseg.nii.gz",
        "sub-01_T1w.nii.gz",
        "T1w_synthseg.nii.gz",
    ],
)
def test_images_of_other_things_or_in_other_spaces_are_not_taken(tmp_path, name):
    write(tmp_path / "sub-01" / "anat" / name)
    write(tmp_path / name)
    assert find_parcellation([tmp_path], "01", "A") is None


@pytest.mark.parametrize("place", [".", "sub-01", "sub-01/anat"])
@pytest.mark.parametrize(
    "name",
    [
        "sub-01_T1w_synthseg.nii.gz",
        "sub-01_acq-highres_run-01_T1w_SynthSeg.mgz",
        "sub-01_synthseg.nii",
        "sub-01_desc-synthseg_dseg.nii.gz",
        "sub-01_space-T1w_desc-synthseg_dseg.nii.gz",
    ],
)
def test_synthsegs_output_is_found_by_its_name(tmp_path, place, name):
    file = write(tmp_path / place / name)
    found = find_parcellation([tmp_path], "01", None)
    assert (found.dseg, found.kind) == (file, "SynthSeg")


def test_synthsegs_output_of_the_session_goes_first(tmp_path):
    write(tmp_path / "sub-01_T1w_synthseg.nii.gz")
    write(tmp_path / "sub-01_ses-B_T1w_synthseg.nii.gz")
    own = write(tmp_path / "sub-01" / "ses-A" / "anat" / "sub-01_ses-A_T1w_synthseg.nii.gz")
    assert find_parcellation([tmp_path], "01", "A").dseg == own


def test_folders_are_asked_in_their_order(tmp_path):
    subjects = write(tmp_path / "a" / "sub-01" / "mri" / "aparc+aseg.mgz")
    images = write(tmp_path / "b" / "sub-01_ses-A_T1w_synthseg.nii.gz")
    none = tmp_path / "none"
    a, b = tmp_path / "a", tmp_path / "b"
    assert find_parcellation([none, a, b], "01", "A").dseg == subjects
    assert find_parcellation([none, b, a], "01", "A").dseg == images
    assert find_parcellation([none], "01", "A") is None
    assert find_parcellation([], "01", "A") is None


@pytest.mark.parametrize(
    "name", ["sub-01/mri/aparc+aseg.mgz", "sub-01/anat/sub-01_desc-aseg_dseg.nii.gz"]
)
def test_what_is_not_fetched_is_found_and_reading_says_so(tmp_path, name):
    path = pointer(tmp_path / name)
    found = find_parcellation([tmp_path], "01", None)
    assert found.dseg == path
    with pytest.raises(DataError, match="datalad get"):
        read_parcellation(found)
