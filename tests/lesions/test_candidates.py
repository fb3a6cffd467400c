import math

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from cmb_bidsapp.lesions.candidates import diameters, measure

#: Left frontal lobe, left thalamus, right cerebellum.
LOBAR, DEEP, INFRATENTORIAL = 109, 104, 202
SHAPE = (40, 40, 12)
GRE = (0.5, 0.5, 4.0)


def affine_of(spacing, origin=(0, 0, 0), degrees=(0, 0, 0)):
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    affine[:3, :3] = turn * np.array(spacing)
    affine[:3, 3] = origin
    return affine


def measured(
    mask, *, spacing=GRE, affine=None, mars=None, probability=None, image=None, instances=None
):
    """Candidates of a mask in an even image of lobar tissue, unless told otherwise."""
    shape = mask.shape
    return measure(
        mask.astype(np.int16) if instances is None else instances,
        np.where(mask, 0.9, 0.0).astype(np.float32) if probability is None else probability,
        np.full(shape, 100.0, np.float32) if image is None else image,
        np.full(shape, LOBAR, np.uint8) if mars is None else mars,
        affine_of(spacing) if affine is None else affine,
    )


def box(*slices, shape=SHAPE):
    mask = np.zeros(shape, bool)
    mask[slices] = True
    return mask


def disc(diameter_mm, spacing=GRE, center=(20, 20), at=6):
    i, j = np.indices(SHAPE[:2])
    mask = np.zeros(SHAPE, bool)
    distance = np.hypot((i - center[0]) * spacing[0], (j - center[1]) * spacing[1])
    mask[:, :, at] = distance <= diameter_mm / 2
    return mask


def test_no_instances_no_candidates():
    assert measured(np.zeros((4, 4, 4), bool)) == []


def test_center_is_in_world_coordinates_of_an_oblique_image():
    mask = box(slice(10, 13), slice(20, 21), slice(5, 7))
    affine = affine_of(GRE, origin=(-30, 12, 7), degrees=(12, -8, 30))
    (found,) = measured(mask, affine=affine)
    expected = (affine @ [11, 20, 5.5, 1])[:3]
    np.testing.assert_allclose((found.x, found.y, found.z), expected, atol=1e-9)


def test_volume_and_equivalent_diameter():
    (found,) = measured(box(slice(10, 14), slice(10, 13), slice(4, 6)))
    assert found.voxels == 24
    assert found.volume == pytest.approx(24 * 0.5 * 0.5 * 4.0)
    assert math.pi / 6 * found.equivalent_diameter**3 == pytest.approx(found.volume)


def test_probability_is_that_of_the_lesion_alone():
    mask = box(slice(10, 12), 10, 5)
    probability = np.full(SHAPE, 0.4, np.float32)
    probability[10, 10, 5], probability[11, 10, 5] = 0.6, 0.8
    (found,) = measured(mask, probability=probability)
    assert found.probability_mean == pytest.approx(0.7)
    assert found.probability_max == pytest.approx(0.8)


@pytest.mark.parametrize("diameter", [3.0, 5.0, 9.0])
def test_a_disc_has_its_diameter_and_is_round(diameter):
    (found,) = measured(disc(diameter))
    assert found.diameter == pytest.approx(diameter, abs=0.6)
    assert found.roundness > 0.9


def test_the_diameter_is_in_plane_only():
    (found,) = measured(box(slice(10, 12), slice(10, 12), slice(2, 9)))
    assert found.diameter == pytest.approx(math.hypot(0.5, 0.5) + 0.5)


def test_diameters_alone_are_those_of_the_candidates():
    instances = np.zeros(SHAPE, np.int16)
    instances[disc(4.0)], instances[5:8, 5:15, 2] = 2, 5
    found = measured(instances > 0, instances=instances)
    assert diameters(instances, affine_of(GRE)) == pytest.approx(
        {one.lesion: one.diameter for one in found}
    )
    assert found[0].diameter < found[1].diameter


@pytest.mark.parametrize("axis", range(3))
def test_the_diameter_lies_within_slices_whichever_way_they_lie(axis):
    zooms = np.full(3, 0.5)
    zooms[axis] = 4.0
    size = [12, 12, 12]
    size[axis] = 2
    mask = box(*(slice(4, 4 + n) for n in size), shape=(20, 20, 20))
    (found,) = measured(mask, affine=np.diag([*zooms, 1]))
    assert found.diameter == pytest.approx(math.hypot(5.5, 5.5) + 0.5)


def test_the_diameter_in_cubic_voxels_does_not_depend_on_rounding():
    mask = box(slice(10, 18), slice(10, 12), slice(5, 7))
    turns = [(0, 0, 0), (3, 4, 5), (10, -20, 7), (1, 2, 30), (-15, 7, 2)]
    found = [measured(mask, affine=affine_of((0.8,) * 3, degrees=t))[0].diameter for t in turns]
    np.testing.assert_allclose(found, found[0])


def test_one_voxel_is_as_wide_as_a_voxel():
    (found,) = measured(box(10, 10, 5))
    assert found.diameter == pytest.approx(0.5)
    assert found.roundness == pytest.approx(1.0)


def test_a_line_has_its_length_and_is_not_round():
    (found,) = measured(box(slice(10, 20), 10, 5))
    assert found.diameter == pytest.approx(5.0)
    assert found.roundness == pytest.approx(0.1)


def test_the_diameter_is_that_of_the_widest_slice():
    mask = disc(3.0, at=5) | disc(8.0, at=6)
    (found,) = measured(mask)
    assert found.diameter == pytest.approx(measured(disc(8.0))[0].diameter)


def test_a_large_lesion_is_measured_like_a_small_one():
    """Above 200 voxels a slice only the outline is looked at."""
    mask = disc(13.0)
    assert mask.sum() > 200
    points = np.argwhere(mask[:, :, 6]) * 0.5
    longest = np.linalg.norm(points[:, None] - points[None], axis=-1).max()
    (found,) = measured(mask)
    assert found.diameter == pytest.approx(longest + 0.5)


OTHER_DIAGONAL = (1, -1)


@pytest.mark.parametrize("step", [(1, 0), (0, 1), (1, 1), OTHER_DIAGONAL])
def test_a_long_straight_vessel_has_its_length(step):
    mask = np.zeros((230, 230, 3), bool)
    steps = np.arange(220)
    mask[5 + steps * step[0], (5 if step[1] >= 0 else 224) + steps * step[1], 1] = True
    (found,) = measured(mask)
    assert found.diameter == pytest.approx(219 * 0.5 * math.hypot(*step) + 0.5)


@pytest.mark.parametrize(
    ("size", "spacing", "expected"),
    [
        ((4, 4, 4), (1.0, 1.0, 1.0), 1.0),
        ((1, 1, 1), (1.0, 1.0, 1.0), 1.0),
        ((8, 8, 1), GRE, 1.0),
        ((10, 2, 1), (1.0, 1.0, 1.0), 0.1),
        ((2, 2, 1), GRE, 0.25),
    ],
)
def test_sphericity_is_the_shortest_by_the_longest_side_of_a_box(size, spacing, expected):
    (found,) = measured(box(*(slice(2, 2 + n) for n in size)), spacing=spacing)
    assert found.sphericity == pytest.approx(expected)


def test_a_ball_is_spherical_and_a_vessel_is_not():
    steps = np.indices((21, 21, 21)) - 10
    (ball,) = measured((steps**2).sum(axis=0) <= 64, spacing=(0.5, 0.5, 0.5))
    assert ball.sphericity == pytest.approx(1)
    slanting = np.zeros((21, 21, 21), bool)
    slanting[np.arange(20), np.arange(20), np.arange(20)] = True
    (vessel,) = measured(slanting, spacing=(0.5, 0.5, 0.5))
    # 20 voxels along the diagonal: variance 3 (20^2 - 1) / 12 + 1 / 12 by 1 / 12.
    assert vessel.sphericity == pytest.approx((3 * 399 + 1) ** -0.5)


def test_contrast_is_the_missing_share_of_the_surrounding_signal():
    mask = disc(4.0)
    image = np.full(SHAPE, 200.0, np.float32)
    image[mask] = 50.0
    (found,) = measured(mask, image=image)
    assert found.contrast == pytest.approx(0.75)


def test_contrast_leaves_out_other_lesions_and_what_is_outside_the_brain():
    mask = disc(3.0)
    instances = mask.astype(np.int16)
    instances[20:, 18:][instances[20:, 18:] == 0] = 2  # most of what is left in the ring
    image = np.full(SHAPE, 100.0, np.float32)
    image[:20] = 0  # outside the brain
    image[mask] = 40
    image[instances == 2] = 500
    first = measured(mask, image=image, instances=instances)[0]
    assert first.contrast == pytest.approx(0.6)


def test_contrast_without_surroundings_is_unknown():
    mask = disc(3.0)
    (found,) = measured(mask, image=np.where(mask, 10, 0).astype(np.float32))
    assert math.isnan(found.contrast)


def test_region_is_the_majority_of_the_voxels():
    mask = box(slice(10, 20), 10, 5)
    mars = np.full(SHAPE, LOBAR, np.uint8)
    mars[13:] = DEEP
    (found,) = measured(mask, mars=mars)
    assert (found.region, found.region_share) == ("deep", pytest.approx(0.7))


@pytest.mark.parametrize(
    ("rows", "region"), [((10, 14, 15, 17), "deep"), ((12, 14, 15, 19), "lobar")]
)
def test_a_tie_goes_to_the_region_at_the_center(rows, region):
    """Two voxels on each side; the center of the four lies on row 14 or on row 15."""
    mars = np.full(SHAPE, LOBAR, np.uint8)
    mars[:15] = DEEP
    (found,) = measured(box(list(rows), 10, 5), mars=mars)
    assert (found.region, found.region_share) == (region, 0.5)


def test_a_lesion_beside_the_labels_takes_the_nearest_region():
    mars = np.zeros(SHAPE, np.uint8)
    mars[:12] = LOBAR
    mars[24:] = INFRATENTORIAL
    (found,) = measured(box(20, 10, 5), mars=mars)
    assert (found.region, found.region_share) == ("infratentorial", 1.0)


def test_region_and_side_are_those_of_most_voxels_within_the_class():
    mars = np.full(SHAPE, LOBAR, np.uint8)
    mars[:, :12], mars[:, 12:14], mars[:, 14:] = 211, 103, 207
    (found,) = measured(box(20, slice(8, 19), 5), mars=mars)
    # 4 voxels temporal, 2 basal ganglia on the left, 5 callosum on the right: deep, callosum.
    assert (found.region, found.mars_region, found.side) == ("deep", "corpus-callosum", "right")
    assert found.region_share == pytest.approx(7 / 11)
    assert (found.votes_lobar, found.votes_deep, found.votes_infratentorial) == (4, 7, 0)


def test_a_lobe_that_is_not_told_is_unassigned_but_has_a_side():
    (found,) = measured(box(20, 10, 5), mars=np.full(SHAPE, 214, np.uint8))
    assert (found.region, found.mars_region, found.side) == ("lobar", "unassigned", "right")


def test_a_lesion_far_from_every_region_is_unassigned():
    mars = np.zeros((80, 20, 4), np.uint8)
    mars[:4] = LOBAR
    far, near = (box(at, 10, 2, shape=mars.shape) for at in (30, 25))
    (unassigned,) = measured(far, mars=mars)
    assert {unassigned.region, unassigned.mars_region, unassigned.side} == {"unassigned"}
    assert math.isnan(unassigned.region_share)
    assert unassigned.votes_lobar + unassigned.votes_deep + unassigned.votes_infratentorial == 0
    assert not unassigned.border
    (assigned,) = measured(near, mars=mars)
    assert assigned.region == "lobar"


def test_without_any_labels_a_lesion_is_unassigned():
    (found,) = measured(box(20, 10, 5), mars=np.zeros(SHAPE, np.uint8))
    assert found.region == "unassigned"


@pytest.mark.parametrize(("steps", "border"), [(3, True), (4, False), (1, True), (9, False)])
def test_border_means_another_region_closer_than_2_mm(steps, border):
    mars = np.full(SHAPE, LOBAR, np.uint8)
    mars[20 + steps :] = DEEP
    (found,) = measured(box(20, 20, 6), mars=mars)
    assert found.region == "lobar"
    assert found.border is border


def test_background_is_no_region_to_border_on():
    mars = np.full(SHAPE, LOBAR, np.uint8)
    mars[21:] = 0
    (found,) = measured(box(20, 20, 6), mars=mars)
    assert not found.border


def test_measurements_do_not_depend_on_where_in_the_image_the_lesion_lies():
    rng = np.random.default_rng(5)
    patch = rng.random((6, 6, 3)) > 0.5
    patch[2:4, 2:4, 1] = True
    patch = ndimage.label(patch, np.ones((3, 3, 3)))[0] == 1
    found = []
    for corner in ((0, 0, 0), (34, 34, 9), (15, 20, 4)):
        mask = np.zeros(SHAPE, bool)
        mask[tuple(slice(c, c + n) for c, n in zip(corner, patch.shape, strict=True))] = patch
        image = np.where(mask, 30, 120).astype(np.float32)
        (candidate,) = measured(mask, image=image)
        found.append({k: v for k, v in vars(candidate).items() if k not in {"x", "y", "z"}})
    numbers = {k for k, v in found[0].items() if isinstance(v, float)}
    for other in found[1:]:
        for key, value in found[0].items():
            assert other[key] == (pytest.approx(value) if key in numbers else value), key


def test_candidates_come_in_the_order_of_their_numbers():
    instances = np.zeros(SHAPE, np.int16)
    instances[30, 5, 2], instances[3, 30, 9] = 1, 4
    found = measured(instances > 0, instances=instances)
    assert [c.lesion for c in found] == [1, 4]
    assert found[1].x == pytest.approx(1.5)
