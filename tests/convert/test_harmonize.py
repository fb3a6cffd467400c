import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cmb_bidsapp.convert.harmonize import header_difference, lesion_instances

SHAPE = (40, 50, 12)
THICK = np.array([[0.5, 0, 0, -10], [0, 0.5, 0, -12], [0, 0, 4, -20], [0, 0, 0, 1.0]])


def turned(affine, degrees, about=(20, 25, 6)):
    """The affine after a rotation about a voxel."""
    center = nib.affines.apply_affine(affine, about)
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_euler("z", degrees, degrees=True).as_matrix()
    motion[:3, 3] = center - motion[:3, :3] @ center
    return motion @ affine


def shifted(affine, *mm):
    moved = affine.copy()
    moved[:3, 3] += mm
    return moved


def mask(*values, at=((3, 3, 2), (20, 20, 6), (30, 40, 9)), dtype=np.float32):
    data = np.zeros(SHAPE, dtype)
    for value, (x, y, z) in zip(values, at, strict=False):
        data[x : x + 2, y : y + 2, z] = value
    return data


def test_the_same_header_and_single_precision_are_rounding():
    oblique = turned(THICK, 17.3)
    for other in (oblique, oblique.astype(np.float32).astype(float)):
        assert header_difference(SHAPE, oblique, other).is_rounding


def test_a_shift_is_counted_in_voxels_of_the_axis_it_is_along():
    assert header_difference(SHAPE, THICK, shifted(THICK, 0, 0, 1)).voxels == pytest.approx(0.25)
    assert header_difference(SHAPE, THICK, shifted(THICK, 0.2, 0, 0)).voxels == pytest.approx(0.4)


def test_a_rotation_about_the_center_shifts_nothing():
    found = header_difference(SHAPE, THICK, turned(THICK, 0.7, about=(19.5, 24.5, 5.5)))
    assert found.degrees == pytest.approx(0.7, abs=1e-3)
    assert found.voxels < 1e-6
    assert found.is_small
    assert not found.is_rounding


@pytest.mark.parametrize(
    "other",
    [
        shifted(THICK, 0.3, 0, 0),
        shifted(THICK, 0, 0, 2.1),
        turned(THICK, 1.5),
        THICK * [[0.97], [0.97], [1], [1]],
        THICK * [[-1], [1], [1], [1]],
        THICK @ np.diag([-1, -1, 1, 1]),
    ],
)
def test_what_is_no_longer_one_grid_is_not_small(other):
    assert not header_difference(SHAPE, THICK, other).is_small


def test_mirrored_axes_alone_are_half_a_turn():
    flip = np.diag([-1.0, 1, 1, 1])
    flip[0, 3] = SHAPE[0] - 1
    assert header_difference(SHAPE, THICK, THICK @ flip).degrees == 180


@pytest.mark.parametrize("value", [1, 0.9999, 1.0001])
def test_a_mask_of_ones_is_numbered_without_a_remark(value):
    instances, note = lesion_instances(mask(value, value, value))
    assert instances.max() == 3
    assert instances.dtype == np.int32
    np.testing.assert_array_equal(instances > 0, mask(1, 1, 1) > 0)
    assert note is None


def test_an_empty_mask_has_no_microbleeds():
    instances, note = lesion_instances(mask())
    assert instances.max() == 0
    assert note is None


def test_fractions_are_cut_at_half():
    instances, note = lesion_instances(mask(1, 0.51, 0.49))
    assert instances.max() == 2
    assert "0.5" in note


def test_another_single_value_marks_too():
    for value in (255, 2):
        instances, note = lesion_instances(mask(value, value))
        assert instances.max() == 2
        assert f"marks with {value}" in note


def test_gray_values_up_to_255_are_cut_at_half():
    for edge in (100.0, 127.2):
        instances, note = lesion_instances(mask(255, edge, 200))
        assert instances.max() == 2
        assert "255" in note


def test_numbers_are_kept_apart_where_they_touch():
    data = mask(1, 2, 3, at=((3, 3, 2), (5, 5, 2), (30, 40, 9)))
    instances, note = lesion_instances(data)
    np.testing.assert_array_equal(instances, data)
    assert "1, 2, 3" in note


def test_pieces_under_one_number_are_told_apart():
    instances, _ = lesion_instances(mask(1, 2, 2))
    assert sorted(np.unique(instances)) == [0, 1, 2, 3]


def test_corners_connect():
    data = mask(1, 1, at=((3, 3, 2), (5, 5, 3)))
    assert lesion_instances(data)[0].max() == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (mask(-1), "from -1"),
        (mask(7.4, 3.3), "neither"),
        (mask(1e9), "no mask"),
        (np.ones(SHAPE, np.float32), "100%"),
        (1 - mask(1), "of the image"),
    ],
)
def test_what_is_no_mask_is_refused_with_the_reason(data, reason):
    with pytest.raises(ValueError, match=reason):
        lesion_instances(data)
