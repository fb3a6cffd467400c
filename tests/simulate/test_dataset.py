"""A small made-up head, scanned once per variant."""

import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.simulate.dataset import (
    describe_dataset,
    write_case,
)
from cmb_bidsapp.simulate.truth import (
    LESION_COLUMNS,
    MIMIC_COLUMNS,
)
from tests.simulate.heads import HEAD


def places(folder, session=None):
    """Participant 01 in the datasets of the images and of the truth."""
    return tuple(SessionFiles(folder / name, "01", session) for name in ("raw", "truth"))


def files_below(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def assert_files(folder, expected):
    found = files_below(folder)
    assert not expected - found, f"Expected but not found: {sorted(expected - found)}"
    assert not found - expected, f"Found but not expected: {sorted(found - expected)}"


def with_sidecars(*stems):
    return {name for stem in stems for name in (f"{stem}.nii.gz", f"{stem}.json")}


@pytest.mark.parametrize("session", [None, "A"])
def test_a_case_is_written_as_these_files(case, tmp_path, session):
    write_case(*places(tmp_path, session), case)
    folder = "sub-01/ses-A/anat" if session else "sub-01/anat"
    stem = f"{folder}/sub-01_ses-A" if session else f"{folder}/sub-01"
    assert_files(tmp_path / "raw", with_sidecars(f"{stem}_T2starw", f"{stem}_T1w"))
    assert_files(
        tmp_path / "truth",
        with_sidecars(
            f"{stem}_desc-preproc_T2starw",
            f"{stem}_space-T2starw_desc-preproc_T1w",
            f"{stem}_space-T2starw_desc-brain_mask",
            f"{stem}_space-T1w_desc-brain_mask",
            f"{stem}_space-T2starw_desc-proxy_dseg",
            f"{stem}_space-T2starw_desc-CMBinstances_dseg",
            f"{stem}_space-T2starw_label-CMB_mask",
            f"{stem}_space-T2starw_label-CMB_desc-ignore_mask",
        )
        | {f"{stem}_label-CMB_{t}.{e}" for t in ("lesions", "mimics") for e in ("tsv", "json")}
        | {
            f"{stem}_space-T2starw_desc-{desc}_dseg.{extension}"
            for desc in ("mars", "mimics")
            for extension in ("nii.gz", "json", "tsv")
        }
        | {f"{stem}_from-T1w_to-T2starw_mode-image_xfm.json"},
    )


def test_the_files_hold_the_case(case, tmp_path):
    raw, truth = tmp_path / "raw", tmp_path / "truth"
    write_case(*places(tmp_path), case)

    def read(folder, name):
        return nib.load(folder / "sub-01" / "anat" / f"sub-01_{name}.nii.gz")

    t2star = read(raw, "T2starw")
    np.testing.assert_allclose(t2star.affine, case.affine, atol=1e-4)
    np.testing.assert_allclose(t2star.get_fdata(), case.t2star, atol=0.51)
    np.testing.assert_allclose(read(raw, "T1w").affine, case.t1w_affine, atol=1e-4)
    for name, image in (
        ("space-T2starw_desc-CMBinstances_dseg", case.instances),
        ("space-T2starw_label-CMB_mask", case.instances > 0),
        ("space-T2starw_desc-proxy_dseg", case.proxy),
        ("space-T2starw_desc-mars_dseg", case.mars),
        ("space-T2starw_desc-mimics_dseg", case.mimic_dseg),
        ("space-T2starw_desc-brain_mask", case.brain),
        ("space-T1w_desc-brain_mask", HEAD.brain),
    ):
        np.testing.assert_array_equal(np.asarray(read(truth, name).dataobj), image)
    stripped = read(truth, "desc-preproc_T2starw").get_fdata()
    assert not stripped[case.brain == 0].any()

    anat = raw / "sub-01" / "anat"
    sidecar = json.loads((anat / "sub-01_T2starw.json").read_text())
    assert (sidecar["MagneticFieldStrength"], sidecar["EchoTime"]) == (3.0, 0.02)
    rows = read_table(truth / "sub-01" / "anat" / "sub-01_label-CMB_lesions.tsv")
    assert [row["visible"] for row in rows] == [
        "true" if lesion["visible"] else "false" for lesion in case.lesions
    ]
    assert list(rows[0]) == list(LESION_COLUMNS)
    mimics = read_table(truth / "sub-01" / "anat" / "sub-01_label-CMB_mimics.tsv")
    assert [row["kind"] for row in mimics] == [mimic["kind"] for mimic in case.mimics]
    assert list(mimics[0]) == list(MIMIC_COLUMNS)
    transform = truth / "sub-01" / "anat" / "sub-01_from-T1w_to-T2starw_mode-image_xfm.json"
    np.testing.assert_allclose(json.loads(transform.read_text())["Matrix"], case.t1w_to_t2star)


def test_the_phase_is_written_as_a_part_of_its_own(case, tmp_path):
    write_case(*places(tmp_path), case, phase=True)
    anat = tmp_path / "raw" / "sub-01" / "anat"
    assert not (anat / "sub-01_T2starw.nii.gz").exists()
    assert (anat / "sub-01_part-mag_T2starw.nii.gz").exists()
    phase = nib.load(anat / "sub-01_part-phase_T2starw.nii.gz").get_fdata()
    assert -np.pi <= phase.min() < -1
    assert 1 < phase.max() <= np.pi + 1e-6
    # What is true of it refers to the image that is there.
    stripped = tmp_path / "truth" / "sub-01" / "anat" / "sub-01_desc-preproc_T2starw.json"
    reference = json.loads(stripped.read_text())["SpatialReference"]
    assert reference == "bids:raw:sub-01/anat/sub-01_part-mag_T2starw.nii.gz"
    sidecar = json.loads((anat / "sub-01_part-phase_T2starw.json").read_text())
    assert (sidecar["Units"], sidecar["ProtocolName"]) == ("rad", "gre3t3mm")


def test_an_swi_is_named_as_such_and_has_no_phase_beside_it(case, tmp_path):
    weighted = replace(case, protocol=replace(case.protocol, swi=True))
    write_case(*places(tmp_path), weighted, phase=True)
    names = sorted(p.name for p in (tmp_path / "raw" / "sub-01" / "anat").glob("*.nii.gz"))
    assert names == ["sub-01_T1w.nii.gz", "sub-01_acq-swi_T2starw.nii.gz"]
    sidecar = tmp_path / "truth/sub-01/anat/sub-01_desc-preproc_T2starw.json"
    reference = json.loads(sidecar.read_text())["SpatialReference"]
    assert reference == "bids:raw:sub-01/anat/sub-01_acq-swi_T2starw.nii.gz"


def test_descriptions_of_the_dataset_and_its_truth(tmp_path):
    describe_dataset(tmp_path / "raw", "Toy")
    describe_dataset(tmp_path / "truth", "Toy truth", derivative_of=tmp_path / "raw")
    assert_files(tmp_path / "raw", {"dataset_description.json", "README.md"})
    assert_files(tmp_path / "truth", {"dataset_description.json", "README.md", ".bidsignore"})
    raw, truth = (
        json.loads((tmp_path / name / "dataset_description.json").read_text())
        for name in ("raw", "truth")
    )
    assert (raw["DatasetType"], truth["DatasetType"]) == ("raw", "derivative")
    assert truth["DatasetLinks"]["raw"] == str(tmp_path / "raw")
