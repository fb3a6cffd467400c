import numpy as np
import pytest

from cmb_bidsapp.lesions.instances import find_instances

EVEN, DARK = 100.0, 20.0


def found(probability, threshold, spacing=None, t2star=None, affine=None):
    """Instances in an even image, unless told otherwise."""
    if t2star is None:
        t2star = np.full(probability.shape, EVEN, np.float32)
    if affine is None:
        affine = np.diag([*spacing, 1.0])
    return find_instances(probability, t2star, affine, threshold)


def test_instances_are_pieces_at_or_above_the_threshold():
    probability = np.zeros((6, 6, 6), np.float32)
    probability[0, 0, 0], probability[3, 3, 3], probability[5, 0, 5] = 0.5, 0.49, 1.0
    instances = found(probability, 0.5, (1, 1, 1))
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
    instances = found(probability, threshold, (1, 1, 1))
    assert np.bincount(instances.ravel())[1:].tolist() == sizes


def test_voxels_that_touch_at_a_corner_are_one_piece():
    probability = np.zeros((6, 6, 6), np.float32)
    probability[1, 1, 1] = probability[2, 2, 2] = 1
    probability[4, 4, 4] = 1  # two steps from the last one
    assert found(probability, 0.5, (1, 1, 1)).max() == 2


def two_blobs(height):
    """Two microbleeds of 4 x 4 voxels, 2 voxels apart, with a bridge of the given probability."""
    probability = np.zeros((40, 20, 8), np.float32)
    probability[10:14, 8:12, 3] = 0.9
    probability[14:16, 8:12, 3] = height
    probability[16:20, 8:12, 3] = 0.8
    return probability


def test_microbleeds_that_touch_are_counted_apart():
    instances = found(two_blobs(0.6), 0.7, (1, 1, 3))
    assert np.bincount(instances.ravel())[1:].tolist() == [20, 20], "each bridge voxel to one"
    assert len(set(instances[10:14, 8:12, 3].ravel())) == 1


def test_peaks_that_are_near_are_one_lesion():
    assert found(two_blobs(0.6), 0.7, (0.3, 0.3, 3)).max() == 1


@pytest.mark.parametrize("spacing", [(0.45, 0.45, 0.8), (1, 1, 3)])
def test_an_even_lesion_is_not_split_however_large(spacing):
    probability = np.zeros((40, 40, 30), np.float32)
    probability[8:30, 8:30, 10:25] = 1
    assert found(probability, 0.5, spacing).max() == 1


def test_a_ring_without_a_peak_of_its_own_is_one_lesion():
    probability = np.zeros((12, 12, 3), np.float32)
    probability[3:8, 3:8, 1] = 0.9
    probability[4:7, 4:7, 1] = 0
    assert found(probability, 0.5, (0.5, 0.5, 3)).max() == 1


def test_no_probability_no_instances():
    assert found(np.zeros((4, 4, 4), np.float32), 0.5, (1, 1, 1)).max() == 0


def slices(*spots, voxel=(0.5, 0.5, 4.0), between=EVEN):
    """Probability and T2*w of dark spots of 3 x 3 voxels, each given by its middle voxel.

    Where spots lie above each other in slices that are not neighbors, ``between`` is the signal
    of the slices between them.
    """
    t2star = np.full((40, 40, 9), EVEN, np.float32)
    probability = np.zeros(t2star.shape, np.float32)
    lowest, highest = (end(k for *_, k in spots) for end in (min, max))
    (i, j, _), *_ = spots
    t2star[i - 1 : i + 2, j - 1 : j + 2, lowest : highest + 1] = between
    for number, (i, j, k) in enumerate(spots):
        t2star[i - 1 : i + 2, j - 1 : j + 2, k] = DARK + number
        t2star[i, j, k] -= 10
        probability[i - 1 : i + 2, j - 1 : j + 2, k] = 0.8 - 0.05 * number
        probability[i, j, k] += 0.1
    return {"probability": probability, "t2star": t2star, "spacing": voxel}


@pytest.mark.parametrize("turned", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize(
    "spots",
    [
        [(20, 20, 4), (20, 20, 5)],
        [(20, 20, 4), (22, 20, 5)],
        [(18, 20, 3), (20, 20, 4), (22, 20, 5)],
    ],
)
def test_a_microbleed_in_neighboring_thick_slices_is_counted_once(spots, turned):
    scan = slices(*spots)
    affine = np.zeros((4, 4))
    affine[list(turned), range(3)] = [scan["spacing"][axis] for axis in turned]
    affine[3, 3] = 1
    probability, t2star = (scan[name].transpose(turned) for name in ("probability", "t2star"))
    one = found(probability, 0.7, t2star=t2star, affine=affine)
    assert one.max() == 1
    assert (one > 0).sum() == 9 * len(spots)


def test_spots_apart_in_plane_are_two_in_neighboring_slices_as_in_one():
    for beside in ((26, 20, 4), (26, 20, 5)):
        assert found(threshold=0.7, **slices((20, 20, 4), beside)).max() == 2


def test_what_a_bright_slice_parts_is_two():
    parted = slices((20, 20, 3), (20, 20, 5), voxel=(0.5, 0.5, 3.0))
    assert found(threshold=0.7, **parted).max() == 2


@pytest.mark.parametrize(("between", "lesions"), [(45.0, 1), (75.0, 2)])
def test_half_of_the_depth_of_the_brighter_spot_decides(between, lesions):
    dark = slices((20, 20, 3), (20, 20, 5), voxel=(0.5, 0.5, 3.0), between=between)
    assert found(threshold=0.7, **dark).max() == lesions


def test_numbers_have_no_gaps_where_two_of_several_are_one():
    scan = slices((20, 20, 4), (22, 20, 5))
    for other in ((5, 5, 1), (35, 35, 8)):
        scan["probability"][other], scan["t2star"][other] = 0.9, DARK
    instances = found(threshold=0.7, **scan)
    assert np.unique(instances).tolist() == [0, 1, 2, 3]
    assert instances[20, 20, 4] == instances[22, 20, 5] != 0


def test_beyond_the_brain_nothing_is_joined():
    scan = slices((20, 20, 4), (22, 20, 5))
    scan["t2star"] = np.zeros_like(scan["t2star"])
    assert found(threshold=0.7, **scan).max() == 2
