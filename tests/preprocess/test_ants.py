"""The border to ANTs: geometry in LPS, transforms as ITK applies them."""

import ants
import numpy as np
import pytest
from nibabel.affines import apply_affine

from cmb_bidsapp.preprocess.ants import read_linear, to_ants, write_linear
from cmb_bidsapp.preprocess.resampling import Grid, resample
from tests.preprocess.test_resampling import GEOMETRIES, affine_of, rigid

LPS = np.array([-1, -1, 1])
MOTION = rigid((11, -7, 23), (4.5, -12.25, 6.125))


@pytest.mark.parametrize(("order", "signs", "degrees"), GEOMETRIES)
def test_voxels_lie_where_nibabel_says(order, signs, degrees):
    affine = affine_of((0.43, 0.9, 6.5), order, signs, degrees)
    image = to_ants(np.zeros((5, 6, 7)), affine)
    for index in ([0, 0, 0], [4, 0, 0], [0, 5, 0], [0, 0, 6], [2, 3, 4]):
        point = ants.transform_index_to_physical_point(image, index)
        np.testing.assert_allclose(point * LPS, apply_affine(affine, index), atol=1e-5)


def test_values_keep_their_place():
    data = np.random.default_rng(0).random((3, 4, 5)).astype(np.float32)
    for array in (data, np.asfortranarray(data), data.transpose(2, 0, 1)[::-1]):
        np.testing.assert_array_equal(to_ants(array, np.eye(4)).numpy(), array)


def test_integers_and_masks_become_float():
    assert to_ants(np.full((3, 3, 3), 2035, np.int32), np.eye(4)).numpy().max() == 2035
    assert to_ants(np.ones((3, 3, 3), bool), np.eye(4)).numpy().min() == 1


@pytest.mark.parametrize("name", ["transform.txt", "transform.mat"])
def test_a_transform_survives_the_round_trip(name, tmp_path):
    write_linear(MOTION, tmp_path / name)
    np.testing.assert_allclose(read_linear(tmp_path / name), MOTION, atol=1e-9)


def test_an_affine_transform_survives_as_well(tmp_path):
    matrix = MOTION.copy()
    matrix[:3, :3] = matrix[:3, :3] @ [[1.1, 0.05, 0], [0, 0.9, 0.02], [0.01, 0, 1.2]]
    write_linear(matrix, tmp_path / "affine.txt")
    np.testing.assert_allclose(read_linear(tmp_path / "affine.txt"), matrix, atol=1e-9)


def test_a_center_of_rotation_in_the_file_is_respected(tmp_path):
    """ANTs writes transforms about the center of an image."""
    path = tmp_path / "centered.txt"
    path.write_text(
        "#Insight Transform File V1.0\n#Transform 0\n"
        "Transform: AffineTransform_double_3_3\n"
        "Parameters: 0 -1 0 1 0 0 0 0 1 0 0 0\n"
        "FixedParameters: 10 0 0\n"
    )
    found = read_linear(path)
    np.testing.assert_allclose(apply_affine(found, [-10, 0, 5]), [-10, 0, 5], atol=1e-9)
    # A quarter turn about z; x and y both change sign from LPS to RAS, so the sense stays.
    np.testing.assert_allclose(apply_affine(found, [-9, 0, 5]), [-10, 1, 5], atol=1e-9)


def test_the_file_maps_fixed_to_moving_as_itk_applies_it(tmp_path):
    write_linear(MOTION, tmp_path / "pull.txt")
    transform = ants.read_transform(str(tmp_path / "pull.txt"))
    point = np.array([10.0, -4.0, 7.0])
    moved = np.array(transform.apply_to_point((point * LPS).tolist())) * LPS
    np.testing.assert_allclose(moved, apply_affine(MOTION, point), atol=1e-4)


def test_our_resampling_and_that_of_ants_agree(tmp_path):
    rng = np.random.default_rng(2)
    coarse = rng.random((6, 6, 6))
    moving_affine = affine_of((2.0, 2.2, 2.4), (0, 1, 2), (-1, 1, 1), (4, 5, 6), (25, -20, -18))
    fine = resample(
        coarse, np.diag([6.0, 6, 6, 1]), Grid((24, 22, 20), np.diag([1.2, 1.2, 1.2, 1]))
    )
    fixed = Grid(
        (20, 22, 14), affine_of((1.9, 1.7, 2.5), degrees=(-9, 3, 12), origin=(-18, -20, -16))
    )
    pull = rigid((5, -4, 8), (2, 1, -3))
    write_linear(pull, tmp_path / "pull.mat")
    expected = ants.apply_transforms(
        to_ants(np.zeros(fixed.shape), fixed.affine),
        to_ants(fine, moving_affine),
        [str(tmp_path / "pull.mat")],
        interpolator="linear",
    ).numpy()
    found = resample(fine, moving_affine, fixed, pull=pull)
    # The two differ in how they fade at the border of the image.
    within = resample(np.ones_like(fine), moving_affine, fixed, pull=pull) == 1
    assert within.sum() > 500
    assert found[within].std() > 0.05
    np.testing.assert_allclose(found[within], expected[within], atol=1e-3)
