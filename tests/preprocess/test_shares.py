import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from cmb_bidsapp.preprocess.resampling import IDENTITY, Grid
from cmb_bidsapp.preprocess.shares import label_samples, majority, share_in_voxels


def thick(side, origin):
    affine = np.diag([1.0, 1.0, side, 1.0])
    affine[2, 3] = origin
    return affine


def label_column(heights):
    """1 mm labels stacked along z, given as ``(label, number of voxels)``."""
    column = np.repeat([label for label, _ in heights], [n for _, n in heights]).astype(np.int32)
    return np.broadcast_to(column, (4, 4, len(column))).copy()


#: One 6 mm slice around six 1 mm voxels.
#: One slice of 6 mm on the columns of :func:`label_column`.
THICK = Grid((4, 4, 1), thick(6, 2.5))


@pytest.mark.parametrize(
    ("heights", "expected"),
    [
        ([(1, 6)], 1),
        ([(1, 2), (2, 4)], 2),
        ([(2, 2), (1, 1), (2, 3)], 2),
        ([(1, 2), (2, 2), (1, 2)], 1),  # the middle plane says 2
        ([(3, 1), (2, 1), (1, 2), (3, 2)], 3),  # a plurality at both ends
        ([(0, 4), (2, 2)], 0),
    ],
)
def test_a_thick_slice_shows_what_fills_most_of_it(heights, expected):
    found = resample_labels(label_column(heights), np.eye(4), THICK, values=[1, 2, 3])
    assert found.dtype == np.uint8
    assert (found == expected).all()


def resample_labels(dseg, affine, target, *, values, pull=IDENTITY):
    return majority(label_samples(dseg, affine, target, pull=pull), values)


def test_ties_go_to_the_first_label():
    tie = label_column([(1, 3), (2, 3)])
    assert (resample_labels(tie, np.eye(4), THICK, values=[1, 2]) == 1).all()
    assert (resample_labels(tie, np.eye(4), THICK, values=[2, 1]) == 2).all()


def test_labels_that_are_not_wanted_count_as_zero():
    dseg = label_column([(1, 2), (515, 3), (2, 1)])
    assert (resample_labels(dseg, np.eye(4), THICK, values=[1, 2]) == 1).all()
    assert not resample_labels(np.full_like(dseg, 7), np.eye(4), THICK, values=[1, 2]).any()


@pytest.mark.parametrize("axis", range(3))
def test_thick_slices_may_lie_along_any_axis(axis):
    dseg = np.moveaxis(label_column([(1, 2), (2, 2), (1, 2)]), 2, axis)
    spacing, shape = np.ones(3), [4, 4, 4]
    spacing[axis], shape[axis] = 6, 1
    affine = np.diag([*spacing, 1.0])
    affine[axis, 3] = 2.5
    found = resample_labels(dseg, np.eye(4), Grid(tuple(shape), affine), values=[1, 2])
    assert (found == 1).all()


def test_labels_follow_the_pull():
    dseg = np.zeros((20, 20, 12), np.int32)
    dseg[12:, :, :] = 2
    pull = np.eye(4)
    pull[0, 3] = 8
    target = Grid((10, 20, 2), thick(6, 2.5))
    found = resample_labels(dseg, np.eye(4), target, pull=pull, values=[2])
    assert (found[:4] == 0).all()
    assert (found[4:] == 2).all()


def test_shares_of_a_thick_slice_add_up():
    dseg = label_column([(1, 2), (2, 4)])
    one, two = (share_in_voxels(dseg == k, np.eye(4), THICK) for k in (1, 2))
    np.testing.assert_allclose(one[1:-1, 1:-1], 2 / 6, atol=1e-6)
    np.testing.assert_allclose(one + two, 1, atol=1e-6)


def test_a_border_runs_between_the_voxels_of_a_mask():
    mask = np.zeros((20, 4, 4), bool)
    mask[10:] = True  # from x = 9.5 mm on
    fine = Grid((80, 4, 4), np.diag([0.25, 1.0, 1.0, 1.0]))
    share = share_in_voxels(mask, np.eye(4), fine)[:, 1, 1]
    x = np.arange(80) * 0.25
    np.testing.assert_array_equal(share > 0.5, (x > 9.5) & (x < 19.5))
    assert (np.diff(share[:76]) >= 0).all()


def test_beyond_the_labels_the_nearest_holds():
    dseg = np.full((4, 4, 4), 7, np.uint8)
    dseg[0] = 5
    affine = np.eye(4)
    affine[0, 3] = -4
    found = label_samples(dseg, np.eye(4), Grid((12, 4, 4), affine))
    assert (found[:, :5] == 5).all()
    assert (found[:, 5:] == 7).all()


def test_shares_and_labels_are_those_of_scipy():
    rng = np.random.default_rng(4)
    mask = ndimage.gaussian_filter(rng.standard_normal((21, 18, 15)), 1.5) > 0
    dseg = rng.integers(0, 9, mask.shape).astype(np.uint8)
    target = Grid((30, 25, 1), np.diag([0.7, 0.8, 2.0, 1.0]))
    pull = np.eye(4)
    pull[:3, :3] = Rotation.from_euler("xyz", (8, -5, 20), degrees=True).as_matrix()
    pull[:3, 3] = 3, -2, 4
    share = np.zeros(target.shape)
    samples = label_samples(dseg, np.eye(4), target, pull=pull)
    for sample, height in zip(samples, (-0.5, 0.5), strict=True):
        there = np.moveaxis(np.indices(target.shape), 0, -1) * [0.7, 0.8, 1] + [0, 0, height]
        place = np.moveaxis(there @ pull[:3, :3].T + pull[:3, 3], -1, 0)
        nearest = ndimage.map_coordinates(dseg, place, order=0, mode="nearest")
        np.testing.assert_array_equal(sample, nearest)
        share += ndimage.map_coordinates(mask.astype(float), place, order=1, mode="grid-constant")
    found = share_in_voxels(mask, np.eye(4), target, pull=pull)
    assert 0.2 < found.mean() < 0.8
    np.testing.assert_allclose(found, share / 2, atol=1e-6)
