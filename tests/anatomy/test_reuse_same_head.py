"""A parcellation must lie in the brain it is to label."""

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from cmb_bidsapp.anatomy.parcellation import Parcellation
from cmb_bidsapp.anatomy.reuse import check_same_head, read_parcellation
from cmb_bidsapp.core.arrays import Volume
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.preprocess.resampling import Grid
from tests.anatomy.subjects import AFFINE, find_parcellation, head, save


def parcellation(dseg=None, affine=AFFINE):
    dseg = head() if dseg is None else dseg
    return Parcellation(dseg=dseg, grid=Grid.of(dseg, affine), source="FreeSurfer")


def moved_by(millimeters):
    affine = AFFINE.copy()
    affine[:3, 3] += millimeters
    return affine


def test_a_parcellation_inside_its_brain_is_accepted_on_any_grid():
    brain = ndimage.binary_dilation(head() > 0)
    assert check_same_head(parcellation(), Volume(brain, AFFINE)) == 1.0
    # Twice as fine, other axes: voxel (0, 0, 0) of the old grid is (0.5, 0.5, 0.5) of the new.
    fine = brain.repeat(2, 0).repeat(2, 1).repeat(2, 2).transpose(2, 0, 1)
    affine = np.eye(4)
    affine[:3, :3] = AFFINE[:3, [2, 0, 1]] / 2
    affine[:3, 3] = AFFINE[:3, 3] - AFFINE[:3, :3].sum(axis=1) / 4
    assert check_same_head(parcellation(), Volume(fine, affine)) == 1.0


def test_the_measure_is_the_share_inside():
    brain = head() > 0
    brain[:, :, 30:] = False
    brain_with_nothing_near = np.zeros_like(brain)
    expected = brain.sum() / (head() > 0).sum()
    with pytest.raises(DataError, match=rf"{expected:.1%}".replace(".", r"\.")):
        check_same_head(parcellation(), Volume(brain, AFFINE))
    brain_with_nothing_near[0, 0, 0] = True
    with pytest.raises(DataError, match=r" 0\.0% "):
        check_same_head(parcellation(), Volume(brain_with_nothing_near, AFFINE))


def test_fluid_does_not_count_on_either_side():
    brain = ndimage.binary_dilation(head() > 0, iterations=2)
    assert check_same_head(parcellation(), Volume(brain, AFFINE)) == 1.0
    # SynthSeg's label 24 fills what is left of the skull.
    dseg = head()
    rest = ndimage.binary_dilation(dseg > 0, iterations=3) & (dseg == 0)
    dseg[rest] = 24
    assert (
        check_same_head(parcellation(dseg), Volume(ndimage.binary_dilation(head() > 0), AFFINE))
        == 1.0
    )


@pytest.mark.parametrize("shift", [(20, 0, 0), (0, -20, 0), (5, 18, 0), (0, 0, 300)])
def test_a_head_elsewhere_is_refused_with_its_offset(shift):
    brain = ndimage.binary_dilation(head() > 0)
    with pytest.raises(DataError, match="from this participant and scan") as error:
        check_same_head(parcellation(affine=moved_by(shift)), Volume(brain, AFFINE))
    x, y, z = shift
    assert f"{np.linalg.norm(shift):.0f} mm away ({x:+d}, {y:+d}, {z:+d} in x" in str(error.value)


@pytest.fixture(scope="module")
def brain(bert):
    image = nib.load(bert / "mri" / "brainmask.mgz")
    return np.asarray(image.dataobj) > 0, image.affine


def test_a_real_subject_lies_in_its_brain(read_bert, brain):
    mask, affine = brain
    assert check_same_head(read_bert, Volume(mask, affine)) > 0.999
    # A mask that hugs the brain is fine as well: measured .995.
    tight = ndimage.binary_erosion(mask, iterations=3)
    assert check_same_head(read_bert, Volume(tight, affine)) > 0.99


def test_a_real_subject_in_tkregister_space_is_refused(bert, brain, tmp_path):
    """Its c_ras is (5.4, 18, 0): 90 % of it would still lie in the brain."""
    image = nib.load(bert / "mri" / "aparc+aseg.mgz")
    dseg = np.asarray(image.dataobj)
    path = save(
        tmp_path / "sub-01_desc-aparcaseg_dseg.nii.gz", dseg, image.header.get_vox2ras_tkr()
    )
    read = read_parcellation(find_parcellation([tmp_path], "01", None))
    mask, affine = brain
    with pytest.raises(DataError, match="tkregister") as error:
        check_same_head(read, Volume(mask, affine))
    assert "is inside the brain, and its center is" in str(error.value)
    assert "90." in str(error.value)
    assert path.exists()
