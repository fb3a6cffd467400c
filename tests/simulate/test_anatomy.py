import nibabel as nib
import numpy as np
import pytest

from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.core.labels import mirror_lookup
from cmb_bidsapp.simulate.anatomy import (
    FLUID,
    SINUS,
    deform,
    is_brain,
    read_head,
    without_specks,
    without_spine,
)
from tests.simulate.heads import HEAD


def test_a_deformed_head_is_another_and_still_a_head():
    first, again, other = (deform(HEAD, np.random.default_rng(seed)) for seed in (2, 2, 3))
    np.testing.assert_array_equal(first.dseg, again.dseg)
    assert (first.dseg != other.dseg).mean() > 0.02
    assert set(np.unique(first.dseg)) <= set(np.unique(HEAD.dseg))
    assert first.brain.sum() == pytest.approx(HEAD.brain.sum(), rel=0.4)


def test_deformed_heads_keep_left_on_the_left():
    """Half of them are mirrored, with the labels of the sides exchanged."""
    for seed in range(6):
        head = deform(HEAD, np.random.default_rng(seed), strength=0.3)
        left, right = (np.argwhere(head.dseg == label)[:, 0].mean() for label in (2, 41))
        assert left < right


def test_mirroring_a_symmetric_head_changes_nothing():
    np.testing.assert_array_equal(mirror_lookup()[HEAD.dseg[::-1]], HEAD.dseg)


def test_brain_is_what_is_not_skull_scalp_or_air():
    labels = np.array([0, 2, 24, 164, 500, 515, 999, 1001, 2035])
    assert is_brain(labels).tolist() == [False, True, True, True, *[False] * 3, True, True]


def test_a_label_map_is_read_in_ras_whatever_its_orientation(tmp_path):
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    nib.save(nib.Nifti1Image(HEAD.dseg[::-1].copy(), affine), tmp_path / "las.nii.gz")
    found = read_head(tmp_path / "las.nii.gz").dseg
    np.testing.assert_array_equal(found, without_spine(HEAD.dseg))


def test_a_label_map_of_other_voxels_is_refused(tmp_path):
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    nib.save(nib.Nifti1Image(HEAD.dseg, affine), tmp_path / "coarse.nii.gz")
    with pytest.raises(DataError, match=r"coarse\.nii\.gz.*1 mm"):
        read_head(tmp_path / "coarse.nii.gz")


def test_an_image_that_is_no_label_map_is_refused(tmp_path):
    image = np.full((8, 8, 8), 1500, np.int16)
    nib.save(nib.Nifti1Image(image, np.eye(4)), tmp_path / "t1w.nii.gz")
    with pytest.raises(DataError, match=r"t1w\.nii\.gz has no cerebral white matter"):
        read_head(tmp_path / "t1w.nii.gz")
    (tmp_path / "t1w.nii.gz").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"t1w\.nii\.gz cannot be read"):
        read_head(tmp_path / "t1w.nii.gz")


def test_specks_of_air_are_gaps_and_cavities_are_not():
    dseg = HEAD.dseg.copy()
    dseg[20, 35, 40] = dseg[21, 35, 40] = 0
    dseg[40, 35, 45] = SINUS
    cavity = np.zeros(dseg.shape, bool)
    cavity[26:34, 26:34, 2:6] = True
    dseg[cavity] = SINUS
    cleaned = without_specks(dseg)
    np.testing.assert_array_equal(cleaned[~cavity], HEAD.dseg[~cavity])
    assert (cleaned[cavity] == SINUS).all()


def test_the_spinal_canal_and_stray_fluid_are_not_brain():
    lowest = int(np.argwhere(HEAD.dseg == 16)[:, 2].min())
    dseg = HEAD.dseg.copy()
    canal = np.zeros(dseg.shape, bool)
    canal[30:33, 33:36, :lowest] = True
    speck = np.zeros(dseg.shape, bool)
    speck[1, 1, -2] = True
    dseg[canal | speck] = 24
    clean = without_spine(HEAD.dseg)
    found = without_spine(dseg)
    assert (found[canal | speck] == FLUID).all()
    np.testing.assert_array_equal(found[~(canal | speck)], clean[~(canal | speck)])
    assert (clean[:, :, lowest:] == HEAD.dseg[:, :, lowest:]).all()
    np.testing.assert_array_equal(without_spine(found), found)


def test_without_brainstem_only_stray_fluid_is_taken_away():
    dseg = np.where(np.isin(HEAD.dseg, (16, 7, 8, 46, 47)), 2, HEAD.dseg).astype(np.int16)
    np.testing.assert_array_equal(without_spine(dseg), dseg)
    empty = np.zeros((4, 4, 4), np.int16)
    np.testing.assert_array_equal(without_spine(empty), empty)
