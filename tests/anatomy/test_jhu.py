"""The JHU labels are believed only where the anatomy says so."""

import logging

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine
from scipy import ndimage

from cmb_bidsapp.anatomy.jhu import capsules, read_jhu
from cmb_bidsapp.anatomy.standard import centers
from cmb_bidsapp.anatomy.talairach import MNI305_TO_MNI152, to_mni305
from cmb_bidsapp.bids.images import read_labels
from cmb_bidsapp.core.arrays import Volume
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.preprocess.resampling import Grid

#: Distance from the midline, y and z (mm) of a cube for each pair; the capsules and what lies in
#: the list before and after them are where they are in a head.
PAIRS = {
    7: (6, -25, -32),
    15: (13, -18, -12),
    17: (18, 7, 8),
    19: (20, -13, 8),
    21: (31, -29, 6),
    23: (21, 28, 10),
    31: (39, -31, -9),
    33: (30, 0, 1),
    35: (8, -11, 30),
    47: (28, -45, 14),
}
#: FSL's 2 mm grid: x falls with the first index.
AFFINE = np.array([[-2.0, 0, 0, 90], [0, 2, 0, -126], [0, 0, 2, -72], [0, 0, 0, 1]])
SHAPE = (91, 109, 91)


def atlas():
    """Odd labels right, even ones left, the midline at x = 0."""
    labels = np.zeros(SHAPE, np.uint8)
    for odd, (x, y, z) in PAIRS.items():
        for label, side in ((odd, 1), (odd + 1, -1)):
            center = np.linalg.inv(AFFINE) @ [side * x, y, z, 1]
            i, j, k = np.rint(center[:3]).astype(int)
            labels[i - 1 : i + 2, j - 1 : j + 2, k - 1 : k + 2] = label
    return labels


def write(path, labels, affine=AFFINE):
    nib.save(nib.Nifti1Image(labels, affine), path)
    return path


def x_of(jhu, label):
    index = np.argwhere(jhu.data == label).mean(axis=0)
    return (jhu.affine @ [*index, 1])[0]


def test_labels_are_read_as_they_are(tmp_path):
    jhu = read_jhu(write(tmp_path / "jhu.nii.gz", atlas()))
    np.testing.assert_array_equal(jhu.data, atlas())
    np.testing.assert_array_equal(jhu.affine, AFFINE)
    assert x_of(jhu, 17) > 0 > x_of(jhu, 18)


def test_whole_numbers_stored_as_floats_are_labels(tmp_path):
    jhu = read_jhu(write(tmp_path / "jhu.nii.gz", atlas().astype(np.float32)))
    np.testing.assert_array_equal(jhu.data, atlas())


@pytest.mark.parametrize("by", ["header", "voxels"])
def test_sides_that_are_exchanged_are_put_right_and_told(tmp_path, caplog, by):
    mirror = np.diag([-1.0, 1, 1, 1])
    path = tmp_path / "jhu.nii.gz"
    if by == "header":
        write(path, atlas(), mirror @ AFFINE)
    else:
        write(path, atlas()[::-1])
    with caplog.at_level(logging.WARNING):
        jhu = read_jhu(path)
    assert str(path) in caplog.text
    assert x_of(jhu, 17) > 0 > x_of(jhu, 18)
    assert x_of(jhu, 33) > 0 > x_of(jhu, 34)
    assert x_of(jhu, 33) == pytest.approx(30, abs=1.01)  # mm, half a voxel


def test_the_origin_of_a_mirrored_file_is_not_believed(tmp_path):
    """Whatever x a mirrored file says, its midline comes to lie where the true file has it."""
    affine = np.diag([-1.0, 1, 1, 1]) @ AFFINE
    places = []
    for shift in (-3.0, 0.0, 2.0):
        affine[0, 3] = -90 + shift
        places.append(read_jhu(write(tmp_path / "jhu.nii.gz", atlas(), affine)).affine)
    np.testing.assert_allclose(places[0], places[1])
    np.testing.assert_allclose(places[2], places[1])
    assert places[1][0, 3] == pytest.approx(90.5)  # 0.5 mm: the midline of FSL's file


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.where(atlas() > 0, atlas() + 1, 0), "one too high"),
        (np.where(atlas() > 0, atlas() - 1, 0), "one too low"),
        (np.where(atlas() > 0, atlas() + 2, 0), "0 to 50"),
        (np.where(atlas() > 20, atlas() - 20, 0), "tracts"),
        (np.where(np.isin(atlas(), (33, 34)), 0, atlas()), "tracts"),
        (np.where(atlas() == 20, 0, atlas()), "tracts"),
        (np.where(atlas() == 48, 49, atlas()), "label 49"),
        (atlas().astype(np.int16) - 1, "-1 to 47"),
        (atlas() * 0.5, "not integers"),
        (np.where(atlas() > 40, np.nan, 0), "not integers"),
        (np.zeros(SHAPE), "no labels"),
        (np.roll(atlas(), 8, axis=1), "tracts"),
        (np.where(np.arange(91)[:, None, None] < 45, atlas(), 0), "tracts"),
    ],
)
def test_what_are_not_the_labels_is_refused_by_name(tmp_path, labels, words):
    path = write(tmp_path / "jhu.nii.gz", np.asarray(labels, np.float32))
    with pytest.raises(DataError, match=words) as error:
        read_jhu(path)
    assert str(path) in str(error.value)


def test_labels_that_lie_outside_mni152_are_refused(tmp_path):
    affine = AFFINE.copy()
    affine[2, 3] += 128
    with pytest.raises(DataError, match="outside MNI152"):
        read_jhu(write(tmp_path / "jhu.nii.gz", atlas(), affine))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_jhu(tmp_path / "jhu.nii.gz")


def test_capsules_are_what_their_labels_say_wherever_the_head_lies():
    jhu = Volume(atlas(), AFFINE)
    # No voxel lies halfway between two of the atlas.
    move = np.array(
        [[0.9, 0.1, 0, 7.13], [-0.1, 1.1, 0.05, -4.17], [0, 0.03, 1, 12.19], [0, 0, 0, 1]]
    )
    grid = Grid(
        (60, 70, 50), np.array([[0, 0, 2.5, -60], [2.2, 0, 0, -60], [0, -2, 0, 55], [0, 0, 0, 1]])
    )
    internal, external = capsules(jhu, apply_affine(move, centers(grid)))
    assert internal.any()
    assert external.any()
    near = np.argwhere(ndimage.binary_dilation(internal | external, iterations=2))
    far = np.random.default_rng(0).integers(0, grid.shape, (500, 3))
    voxels = np.concatenate([near, far])
    expected = expected_labels(jhu, grid, move, voxels)
    where = tuple(voxels.T)
    np.testing.assert_array_equal(internal[where], (expected >= 17) & (expected <= 22))
    np.testing.assert_array_equal(external[where], (expected == 33) | (expected == 34))
    assert internal.sum() == pytest.approx(6 * 27 * 8 / np.linalg.det(move) / 11, rel=0.2)


def expected_labels(jhu, grid, world_to_mni152, voxels):
    """Label at each voxel by the nearest JHU voxel, one after the other."""
    found = []
    for voxel in voxels:
        world = grid.affine @ [*voxel, 1]
        i, j, k = np.rint(np.linalg.solve(jhu.affine, world_to_mni152 @ world)[:3]).astype(int)
        inside = all(0 <= n < size for n, size in zip((i, j, k), jhu.data.shape, strict=True))
        found.append(int(jhu.data[i, j, k]) if inside else 0)
    return np.array(found)


def test_a_head_elsewhere_has_no_capsules():
    jhu = Volume(atlas(), AFFINE)
    far = np.eye(4)
    far[2, 3] = 500
    internal, external = capsules(jhu, centers(Grid((20, 20, 20), far)))
    assert not internal.any()
    assert not external.any()


@pytest.fixture(scope="module")
def real(data_dir):
    path = data_dir / "atlas" / "JHU_web.nii.gz"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return read_jhu(path)


@pytest.fixture(scope="module")
def mars(data_dir):
    """MARS regions 1 to 13 in MNI152; the stored values are their squares."""
    path = data_dir / "atlas" / "MARS_scale_parcellation_map_mni.nii.gz"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    image = nib.load(path)
    return np.rint(np.sqrt(np.asarray(image.dataobj))).astype(np.uint8), image.affine


def test_the_public_copy_is_mirrored_and_comes_to_lie_on_fsls_grid(real):
    """It is FSL's file without its first planes, and an x axis that runs the wrong way."""
    np.testing.assert_allclose(
        real.affine, [[-1, 0, 0, 89], [0, 1, 0, -125], [0, 0, 1, -71], [0, 0, 0, 1]]
    )


@pytest.mark.parametrize(("number", "region", "least"), [(0, 5, 0.96), (1, 6, 0.98)])
def test_capsules_agree_with_those_of_the_mars_map(real, mars, number, region, least):
    """Measured: Dice .974 (internal) and .992 (external); x 1 mm off, .83 and .78."""
    labels, affine = mars
    found = capsules(real, centers(Grid.of(labels, affine)))[number]
    expected = labels == region
    assert 2 * (found & expected).sum() / (found.sum() + expected.sum()) > least
    assert found[ndimage.binary_dilation(expected)].sum() > 0.99 * found.sum()


def test_capsules_of_a_real_head_are_right_voxel_by_voxel(real, data_dir):
    path = data_dir / "freesurfer" / "bert" / "mri" / "aparc+aseg.mgz"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    read = read_labels(path)
    dseg, affine = read.data, read.affine
    grid = Grid.of(dseg, affine)
    to_mni152 = MNI305_TO_MNI152 @ to_mni305(path.parents[1])
    internal, external = capsules(real, apply_affine(to_mni152, centers(grid)))
    # Half of the voxels from the capsules and 2 mm around, half from the head.
    near = np.argwhere(ndimage.binary_dilation(internal | external, iterations=2))
    rng = np.random.default_rng(0)
    voxels = np.concatenate([rng.choice(near, 300), rng.choice(np.argwhere(dseg > 0), 300)])
    expected = expected_labels(real, grid, to_mni152, voxels)
    where = tuple(voxels.T)
    np.testing.assert_array_equal(internal[where], (expected >= 17) & (expected <= 22))
    np.testing.assert_array_equal(external[where], (expected == 33) | (expected == 34))
    assert internal[where].sum() > 50
    assert external[where].sum() > 50
    # Measured: .86 and .72 are white matter; of the brain it is .4.
    white = np.isin(dseg, (2, 41, 77))
    assert white[internal].mean() > 0.8
    assert white[external].mean() > 0.65
    assert 10 < internal.sum() / 1000 < 20  # ml
    assert 5 < external.sum() / 1000 < 12
