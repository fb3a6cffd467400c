import numpy as np
import pytest

from cmb_bidsapp.lesions.instances import find_instances


def test_instances_are_pieces_at_or_above_the_threshold():
    probability = np.zeros((6, 6, 6), np.float32)
    probability[0, 0, 0], probability[3, 3, 3], probability[5, 0, 5] = 0.5, 0.49, 1.0
    instances = find_instances(probability, 0.5, (1, 1, 1))
    assert instances[0, 0, 0] > 0
    assert instances[3, 3, 3] == 0
    assert sorted(np.unique(instances)) == [0, 1, 2]


@pytest.mark.parametrize(
    ("threshold", "sizes"),
    [(0.3, [3, 1, 2]), (0.5, [2, 2]), (0.8, [2]), (0.95, [])],
)
def test_the_threshold_chooses_lesions_and_does_not_shrink_them(threshold, sizes):
    probability = np.zeros((9, 3, 3), np.float32)
    probability[0:3, 0, 0] = 0.4, 0.6, 0.9
    probability[4, 0, 0] = 0.3
    probability[6:8, 0, 0] = 0.6, 0.7
    instances = find_instances(probability, threshold, (1, 1, 1))
    assert np.bincount(instances.ravel())[1:].tolist() == sizes


def test_voxels_that_touch_at_a_corner_are_one_piece():
    probability = np.zeros((6, 6, 6), np.float32)
    probability[1, 1, 1] = probability[2, 2, 2] = 1
    probability[4, 4, 4] = 1  # two steps from the last one
    assert find_instances(probability, 0.5, (1, 1, 1)).max() == 2


def two_blobs(height):
    """Two microbleeds of 4 x 4 voxels, 2 voxels apart, with a bridge of the given probability."""
    probability = np.zeros((40, 20, 8), np.float32)
    probability[10:14, 8:12, 3] = 0.9
    probability[14:16, 8:12, 3] = height
    probability[16:20, 8:12, 3] = 0.8
    return probability


def test_microbleeds_that_touch_are_counted_apart():
    instances = find_instances(two_blobs(0.6), 0.7, (1, 1, 3))
    assert np.bincount(instances.ravel())[1:].tolist() == [20, 20], "each bridge voxel to one"
    assert len(set(instances[10:14, 8:12, 3].ravel())) == 1


def test_peaks_that_are_near_are_one_lesion():
    assert find_instances(two_blobs(0.6), 0.7, (0.3, 0.3, 3)).max() == 1


@pytest.mark.parametrize("spacing", [(0.45, 0.45, 0.8), (1, 1, 3)])
def test_an_even_lesion_is_not_split_however_large(spacing):
    probability = np.zeros((40, 40, 30), np.float32)
    probability[8:30, 8:30, 10:25] = 1
    assert find_instances(probability, 0.5, spacing).max() == 1


def test_a_ring_without_a_peak_of_its_own_is_one_lesion():
    probability = np.zeros((12, 12, 3), np.float32)
    probability[3:8, 3:8, 1] = 0.9
    probability[4:7, 4:7, 1] = 0
    assert find_instances(probability, 0.5, (0.5, 0.5, 3)).max() == 1


def test_no_probability_no_instances():
    assert find_instances(np.zeros((4, 4, 4), np.float32), 0.5, (1, 1, 1)).max() == 0
