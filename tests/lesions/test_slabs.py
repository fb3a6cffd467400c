import numpy as np
import pytest

from cmb_bidsapp.lesions.slabs import from_slabs, label_slabs, slices_in_slab, to_slabs


def stack(depth):
    """Two channels, ``depth`` slices of 3 x 2 voxels; the value is the slice's number."""
    values = np.arange(depth, dtype=np.float32)[None, :, None, None]
    return values + np.array([0, 100], np.float32)[:, None, None, None] + np.zeros((1, 1, 3, 2))


@pytest.mark.parametrize("slice_mm", [0.4, 0.5, 0.8, 1.0, 1.1, 1.75, 3.0, 6.5])
def test_slabs_come_near_to_what_is_wanted_and_thick_slices_stay(slice_mm):
    slices = slices_in_slab(slice_mm)
    assert slices == 1 if slice_mm >= 1.6 else slices > 1 or slice_mm > 1.06
    assert 1.06 < slices * slice_mm <= 2.4 or slices == 1


def test_without_slabs_slices_are_taken_as_they_are():
    assert slices_in_slab(0.3, 0) == 1


def test_groups_are_means_of_neighbors():
    assert to_slabs(stack(6), 2, 0)[0, :, 0, 0].tolist() == [0.5, 2.5, 4.5]
    assert to_slabs(stack(6), 3, 0)[1, :, 0, 0].tolist() == [101, 104]


@pytest.mark.parametrize("slices", [2, 3])
@pytest.mark.parametrize("depth", [1, 4, 5, 6, 7])
def test_every_slice_is_in_a_group_that_holds_it(slices, depth):
    for first in range(slices):
        back = from_slabs(to_slabs(stack(depth), slices, first), slices, first, depth)
        assert back.shape == stack(depth).shape
        assert np.abs(back - stack(depth)).max() < slices


def test_a_group_begins_at_every_slice():
    depth, slices = 8, 3
    starts = set()
    for first in range(slices):
        numbers = from_slabs(to_slabs(stack(depth), slices, first), slices, first, depth)
        values = numbers[0, :, 0, 0]
        starts |= {int(i) + 1 for i in np.flatnonzero(np.diff(values))}
    assert starts == set(range(1, depth))


def test_groups_beyond_the_image_repeat_its_outermost_slice():
    assert to_slabs(stack(3), 2, 1)[0, :, 0, 0].tolist() == [0, 1.5]
    assert to_slabs(stack(3), 2, 0)[0, :, 0, 0].tolist() == [0.5, 2]


def test_a_group_has_the_label_of_most_of_its_slices_and_of_equals_the_larger():
    labels = np.array([1, 1, 4, 0, 1, 4, 5], np.uint8)[:, None, None]
    assert label_slabs(labels, 1, 0)[:, 0, 0].tolist() == [1, 1, 4, 0, 1, 4, 5]
    assert label_slabs(labels, 2, 0)[:, 0, 0].tolist() == [1, 4, 4, 5]
    assert label_slabs(labels, 2, 1)[:, 0, 0].tolist() == [1, 4, 1, 5]
    assert label_slabs(labels, 3, 0)[:, 0, 0].tolist() == [1, 4, 5]
