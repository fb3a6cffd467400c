"""The name and version of who made a parcellation, from files as the apps leave them."""

import json

import pytest

from cmb_bidsapp.anatomy.reuse import read_parcellation
from cmb_bidsapp.anatomy.versions import with_version
from tests.anatomy.subjects import find_parcellation, head, save, write

STAMP = "freesurfer-linux-ubuntu22_x86_64-7.4.1-20230614-7eb8460"
#: As BIDS apps write it.
FMRIPREP = {"GeneratedBy": [{"Name": "fMRIPrep", "Version": "24.1.1", "CodeURL": "https://x"}]}


def named(folder, session=None):
    found = find_parcellation([folder], "01", session)
    return with_version(found.kind, found)


def test_freesurfer_leaves_the_name_of_its_build_with_each_subject(tmp_path):
    write(tmp_path / "sub-01" / "mri" / "aparc+aseg.mgz")
    assert named(tmp_path) == "FreeSurfer"
    write(tmp_path / "sub-01" / "scripts" / "build-stamp.txt", "\n")
    assert named(tmp_path) == "FreeSurfer"
    write(tmp_path / "sub-01" / "scripts" / "build-stamp.txt", f"{STAMP}\n")
    assert named(tmp_path) == f"FreeSurfer ({STAMP})"


def test_fastsurfer_is_not_taken_for_the_freesurfer_that_it_calls(tmp_path):
    write(tmp_path / "sub-01" / "mri" / "aparc.DKTatlas+aseg.deep.mgz")
    write(tmp_path / "sub-01" / "scripts" / "build-stamp.txt", STAMP)
    assert named(tmp_path) == "FastSurfer"
    log = "2.4.2+1b9423c (stable)\n==========\ncheckpoints:\n==========\n"
    write(tmp_path / "sub-01" / "scripts" / "build.log", log)
    assert named(tmp_path) == "FastSurfer (2.4.2+1b9423c)"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("sub-01/anat/sub-01_desc-aseg_dseg.nii.gz", "sMRIPrep"),
        ("sub-01/ses-A/anat/sub-01_ses-A_desc-aseg_dseg.nii.gz", "sMRIPrep"),
        ("sub-01/sub-01_T1w_synthseg.nii.gz", "SynthSeg"),
        ("sub-01_T1w_synthseg.nii.gz", "SynthSeg"),
    ],
)
def test_derivatives_say_what_their_dataset_was_generated_by(tmp_path, name, kind):
    # What lies around the dataset is another one.
    outer = {"GeneratedBy": [{"Name": "other"}]}
    write(tmp_path / "dataset_description.json", json.dumps(outer))
    dataset = tmp_path / "sub-studies" / "derivatives"
    write(dataset / name)
    assert named(dataset, "A") == kind
    write(dataset / "dataset_description.json", json.dumps({"Name": "x"}))
    assert named(dataset, "A") == kind
    write(dataset / "dataset_description.json", json.dumps(FMRIPREP))
    assert named(dataset, "A") == f"{kind} (fMRIPrep 24.1.1)"
    several = {"GeneratedBy": [*FMRIPREP["GeneratedBy"], {"Name": "by hand"}]}
    write(dataset / "dataset_description.json", json.dumps(several))
    assert named(dataset, "A") == f"{kind} (fMRIPrep 24.1.1, by hand)"


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"GeneratedBy": null}', '{"GeneratedBy": [{"Version": "1"}]}']
)
def test_a_description_that_cannot_be_understood_is_no_reason_to_fail(tmp_path, caplog, text):
    write(tmp_path / "sub-01" / "anat" / "sub-01_desc-aseg_dseg.nii.gz")
    write(tmp_path / "dataset_description.json", text)
    assert named(tmp_path) == "sMRIPrep"
    assert str(tmp_path / "dataset_description.json") in caplog.text


def test_the_ids_decide_who_and_the_place_which_version(tmp_path):
    """recon-all-clinical leaves a FreeSurfer subject whose labels are SynthSeg's."""
    save(tmp_path / "sub-01" / "mri" / "aparc+aseg.mgz", head(full=False))
    write(tmp_path / "sub-01" / "scripts" / "build-stamp.txt", STAMP)
    read = read_parcellation(find_parcellation([tmp_path], "01", None))
    assert read.source == f"SynthSeg ({STAMP})"
