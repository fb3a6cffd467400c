"""Axis order between images and the lesion network; the network itself is not run."""

import itertools

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cmb_bidsapp.lesions.axes import (
    NOMINAL_SLICE_MM,
    image_order,
    network_order,
    slice_distance,
    unfamiliar_voxels,
)
from cmb_bidsapp.preprocess.resampling import slice_axis

SHAPE = (3, 4, 5)
ZOOMS = (0.5, 0.7, 6.5)
ORIENTATIONS = [
    (order, signs)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


def affine_of(order, signs, degrees=(0, 0, 0)):
    """Array axis ``a`` runs along world axis ``order[a]``, in the sense of ``signs[a]``."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis in range(3):
        affine[order[axis], axis] = signs[axis] * ZOOMS[axis]
    affine[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() @ affine[:3, :3]
    affine[:3, 3] = (-20, 13, 4)
    return affine


def world(affine):
    index = np.indices(SHAPE).reshape(3, -1)
    return (affine[:3, :3] @ index + affine[:3, 3:]).reshape(3, *SHAPE)


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
@pytest.mark.parametrize("degrees", [(0, 0, 0), (14, -9, 21)])
def test_round_trip_in_every_orientation(order, signs, degrees):
    affine = affine_of(order, signs, degrees)
    data = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    ordered, _ = network_order(data, affine)
    np.testing.assert_array_equal(image_order(ordered, affine), data)


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
@pytest.mark.parametrize("degrees", [(0, 0, 0), (14, -9, 21)])
def test_the_network_sees_slices_first_then_z_y_x_each_growing(order, signs, degrees):
    affine = affine_of(order, signs, degrees)
    # The slices lie along the last array axis, whichever world axis that is.
    axes = [order[2], *(axis for axis in (2, 1, 0) if axis != order[2])]
    for place, axis in enumerate(axes):
        ordered, _ = network_order(world(affine)[axis], affine)
        assert (np.diff(ordered, axis=place) > 0).all()


@pytest.mark.parametrize(
    ("zooms", "axis"),
    [
        ((0.5, 0.5, 4.0), 2),
        ((0.5, 4.0, 0.5), 1),
        ((4.0, 0.5, 0.5), 0),
        ((0.8, 0.8, 0.8), 2),
        ((1.0, 0.94, 0.94), 2),
        ((0.5, 1.5, 1.5), 2),
    ],
)
@pytest.mark.parametrize("degrees", [(0, 0, 0), (14, -9, 21)])
def test_slices_are_the_same_for_the_network_and_for_candidates(zooms, axis, degrees):
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    affine = turn @ np.diag([*zooms, 1])
    assert slice_axis(affine) == axis
    assert slice_distance(affine) == pytest.approx(zooms[axis])
    _, spacing = network_order(np.zeros(SHAPE), affine, None)
    assert spacing[0] == pytest.approx(zooms[axis])


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_spacing_follows_the_axes_with_a_nominal_slice_distance(order, signs):
    affine = affine_of(order, signs, (5, 5, 5))
    data, spacing = network_order(np.zeros(SHAPE), affine)
    first, second = (order.index(axis) for axis in (2, 1, 0) if axis != order[2])
    assert spacing == pytest.approx((NOMINAL_SLICE_MM, ZOOMS[first], ZOOMS[second]))
    assert data.shape == (SHAPE[2], SHAPE[first], SHAPE[second])


def test_the_true_slice_distance_is_told_where_no_other_is_given():
    affine = affine_of((2, 0, 1), (-1, 1, -1), (3, 8, -6))
    _, spacing = network_order(np.zeros(SHAPE), affine, None)
    assert spacing == pytest.approx((ZOOMS[2], ZOOMS[0], ZOOMS[1]))
    assert network_order(np.zeros(SHAPE), affine, 2.0)[1][0] == 2.0


def test_agrees_with_nibabels_canonical_orientation():
    affine = affine_of((1, 0, 2), (-1, 1, -1), (3, 8, -6))
    data = np.random.default_rng(0).random(SHAPE)
    canonical = nib.as_closest_canonical(nib.Nifti1Image(data, affine)).get_fdata()
    np.testing.assert_array_equal(network_order(data, affine)[0], canonical.transpose(2, 1, 0))


def test_the_network_gets_contiguous_memory():
    ordered, _ = network_order(np.zeros(SHAPE), affine_of((1, 2, 0), (-1, -1, 1)))
    assert ordered.flags["C_CONTIGUOUS"]


@pytest.mark.parametrize(
    ("zooms", "said"),
    [
        ((0.5, 0.5, 6.5), []),
        ((1.2, 1.2, 8.0), []),
        ((0.5, 3.0, 3.0), ["in plane"]),
        ((1.0, 1.0, 0.8), ["apart"]),
        ((3.0, 3.0, 9.0), ["in plane", "apart"]),
        ((0.5, 4.0, 0.5), []),
        ((9.0, 0.5, 0.5), ["apart"]),
    ],
)
def test_voxels_far_from_the_training_are_named(zooms, said):
    training = {"in_plane_mm": [0.43, 1.0], "slice_mm": [1.75, 6.5]}
    # The slices lie along the first array axis.
    affine = np.zeros((4, 4))
    affine[2, 0], affine[0, 1], affine[1, 2], affine[3, 3] = zooms[2], zooms[0], -zooms[1], 1
    found = unfamiliar_voxels(affine, training)
    assert len(found) == len(said)
    assert all(word in text for word, text in zip(said, found, strict=True))
