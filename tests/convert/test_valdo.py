import nibabel as nib
import numpy as np
import pytest

from tests.convert.folders import (
    AFFINE,
    RATED,
    RAW,
    SHAPE,
    head,
    image,
    participant,
    rated,
    save,
    sidecar,
)
from tests.skeletons import tree


def test_a_participant_becomes_images_and_masks(valdo, bids_dir, convert):
    participant(valdo)
    before = tree(valdo)
    code, counts, said = convert()
    assert (code, counts) == (0, (1, 0, 0))
    assert "sub-101: 2 microbleeds" in said
    assert "note" not in said
    assert tree(valdo) == before
    for pattern, what, expected in (
        (RAW, "T2starw", head(3)),
        (RAW, "T1w", head(1)),
        (RATED, "label-CMB_mask", rated()),
    ):
        written = image(bids_dir, pattern, "101", what)
        np.testing.assert_array_equal(written.get_fdata(), expected)
        np.testing.assert_allclose(written.affine, AFFINE, atol=1e-5)
    instances = image(bids_dir, RATED, "101", "desc-CMBinstances_dseg").get_fdata()
    assert sorted(np.unique(instances)) == [0, 1, 2]
    assert not list(bids_dir.rglob("*T2w*"))
    mask = sidecar(bids_dir, RATED, "101", "label-CMB_mask")
    assert mask["Type"] == "Lesion"
    assert mask["SpatialReference"] == "bids:raw:sub-101/anat/sub-101_T2starw.nii.gz"


@pytest.mark.parametrize(
    "name",
    [
        "{sub}_space-T2S_{kind}.nii.gz",
        "{sub}_space-T2S{masked}_{kind}.nii",
        "sub{label}_space-T2S{masked}_{kind}.nii.gz",
        "{sub}_{kind}.nii.gz",
        "deeper/still/{sub}_space-T2S{masked}_{kind}.nii.gz",
    ],
)
def test_other_spellings_and_folders_are_found(valdo, bids_dir, convert, name):
    participant(valdo, name=name)
    assert convert()[:2] == (0, (1, 0, 0))
    assert image(bids_dir, RAW, "101", "T1w").shape == SHAPE


def test_other_tasks_and_files_of_the_system_are_left_alone(valdo, convert):
    participant(valdo)
    save(valdo / "Task1" / "sub-101" / "sub-101_space-T1_desc-masked_T1.nii.gz", head(7))
    save(valdo / "Task3" / "sub-500" / "sub-500_space-T1_desc-Rater1_Lacunes.nii.gz", head(7))
    (valdo / "Task2" / "sub-101" / "._sub-101_space-T2S_CMB.nii.gz").write_bytes(b"mac")
    assert convert()[:2] == (0, (1, 0, 0))


def test_values_that_are_not_finite_become_zero_and_are_counted(valdo, bids_dir, convert):
    t1, mask = head(1), rated()
    t1[0, 0, :3], t1[1, 1, 1] = np.nan, np.inf
    mask[0, 0, 0] = np.nan
    participant(valdo, T1=t1, CMB=mask)
    code, _, said = convert()
    assert code == 0
    assert "T1: 4 voxels were not finite" in said
    assert "CMB: 1 voxels were not finite" in said
    written = image(bids_dir, RAW, "101", "T1w").get_fdata()
    assert list(written[0, 0, :3]) == [0, 0, 0]
    assert written[2, 2, 2] == t1[2, 2, 2]
    assert len(sidecar(bids_dir, RAW, "101", "T2starw")["ConversionNotes"]) == 2


def test_small_differences_of_the_headers_give_way_to_the_t2star(valdo, bids_dir, convert):
    moved = AFFINE.copy()
    moved[:3, 3] += [0.1, 0, -1]
    participant(valdo, T1=(head(1), moved), CMB=(rated(), moved))
    code, _, said = convert()
    assert code == 0
    assert "T1: header differed by 0.25 voxels" in said
    assert "CMB: header differed" in said
    for pattern, what in ((RAW, "T1w"), (RATED, "label-CMB_mask")):
        written = image(bids_dir, pattern, "101", what)
        np.testing.assert_allclose(written.affine, AFFINE, atol=1e-5)
        np.testing.assert_allclose(written.header.get_qform(), AFFINE, atol=1e-4)


def test_two_affines_in_one_header_are_noted(valdo, bids_dir, convert):
    paths = participant(valdo)
    twisted = nib.load(paths["T2S"])
    other = AFFINE.copy()
    other[0, 3] += 0.1
    twisted = nib.Nifti1Image(head(3), AFFINE)
    twisted.set_sform(AFFINE, code=1)
    twisted.set_qform(other, code=1)
    nib.save(twisted, paths["T2S"])
    code, _, said = convert()
    assert code == 0
    assert "sform and qform differ" in said
    written = image(bids_dir, RAW, "101", "T2starw")
    np.testing.assert_allclose(written.header.get_qform(), AFFINE, atol=1e-4)


def test_volumes_with_a_fourth_axis_and_scaled_integers_are_read(valdo, bids_dir, convert):
    paths = participant(valdo, T2S=head(3)[..., None])
    scaled = nib.Nifti1Image(rated(255, np.uint8), AFFINE)
    scaled.header.set_slope_inter(1 / 255, 0)
    nib.save(scaled, paths["CMB"])
    code, _, said = convert()
    assert code == 0
    assert "note" not in said
    assert image(bids_dir, RAW, "101", "T2starw").shape == SHAPE
    np.testing.assert_array_equal(
        image(bids_dir, RATED, "101", "label-CMB_mask").get_fdata(), rated()
    )


@pytest.mark.parametrize(
    ("mask", "said_of_it"),
    [(rated(255, np.uint8), "marks with 255"), (rated() * (1 + (head() > 450)), "lesion numbers")],
)
def test_other_values_of_the_mask_are_noted(valdo, bids_dir, convert, mask, said_of_it):
    participant(valdo, CMB=mask)
    code, _, said = convert()
    assert code == 0
    assert said_of_it in said
    np.testing.assert_array_equal(
        image(bids_dir, RATED, "101", "label-CMB_mask").get_fdata(), rated()
    )


def test_unreadable_and_unfetched_files_are_named(valdo, convert):
    damaged = participant(valdo, "101")["T2S"]
    damaged.write_bytes(damaged.read_bytes()[:100])
    unfetched = participant(valdo, "102")["T1"]
    unfetched.unlink()
    unfetched.symlink_to(valdo / "annex" / "object")
    code, counts, said = convert()
    # All failed for one reason, whose code it is.
    assert (code, counts) == (65, (0, 2, 0))
    assert f"{damaged} cannot be read" in said
    assert f"{unfetched} is not fetched" in said


def test_two_files_of_one_kind_are_an_error_that_names_both(valdo, convert):
    paths = participant(valdo)
    second = save(valdo / "copy" / "sub-101_T1.nii", head(1))
    code, _, said = convert()
    assert code == 65
    assert str(paths["T1"]) in said
    assert str(second) in said
