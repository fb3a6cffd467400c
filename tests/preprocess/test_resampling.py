import itertools

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine, voxel_sizes
from scipy import ndimage
from scipy.spatial.transform import Rotation

from cmb_bidsapp.preprocess.resampling import (
    IDENTITY,
    Grid,
    along_axes,
    gaussian_weights,
    isotropic_grid,
    resample,
)
from cmb_bidsapp.preprocess.shares import share_in_voxels

#: Rows: array axis by world axis, sense of each, rotation in degrees.
GEOMETRIES = [
    ((0, 1, 2), (1, 1, 1), (0, 0, 0)),
    ((0, 1, 2), (-1, 1, 1), (0, 0, 0)),  # left-handed
    ((0, 1, 2), (-1, -1, 1), (12, -7, 20)),
    ((1, 2, 0), (1, -1, 1), (5, 30, -9)),
    ((2, 1, 0), (1, 1, 1), (-25, 11, 4)),  # left-handed, oblique
    ((2, 0, 1), (-1, 1, -1), (40, 2, 3)),
]


def affine_of(spacing, order=(0, 1, 2), signs=(1, 1, 1), degrees=(0, 0, 0), origin=(-31, 17, 8)):
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis in range(3):
        affine[order[axis], axis] = signs[axis] * spacing[axis]
    affine[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() @ affine[:3, :3]
    affine[:3, 3] = origin
    return affine


def rigid(degrees, shift):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    matrix[:3, 3] = shift
    return matrix


def world(grid):
    return apply_affine(grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1))


def ramp(points):
    return points @ np.array([1.0, 2.0, -0.5]) + 300


def corners(shape):
    return np.array(list(itertools.product(*((-0.5, n - 0.5) for n in shape))))


def inside(grid, shape, affine, pull=None):
    """Voxels of a grid whose center lies between the voxel centers of a source."""
    points = world(grid) if pull is None else apply_affine(pull, world(grid))
    index = apply_affine(np.linalg.inv(affine), points)
    return ((index >= 0.01) & (index <= np.array(shape) - 1.01)).all(axis=-1)


@pytest.mark.parametrize(("order", "signs", "degrees"), GEOMETRIES)
@pytest.mark.parametrize("spacing", [1.0, 2.5, 9.0])
def test_isotropic_grid_covers_the_image(order, signs, degrees, spacing):
    grid = Grid((31, 20, 7), affine_of((0.8, 1.1, 5.0), order, signs, degrees))
    found = isotropic_grid(grid, spacing)
    index = apply_affine(np.linalg.inv(found.affine) @ grid.affine, corners(grid.shape))
    assert (index >= -0.5 - 1e-6).all()
    assert (index <= np.array(found.shape) - 0.5 + 1e-6).all()
    # ... with less than a voxel to spare.
    spare = np.array(found.shape) - (index.max(axis=0) - index.min(axis=0))
    assert (spare < 1).all()


@pytest.mark.parametrize(("order", "signs", "degrees"), GEOMETRIES)
def test_isotropic_grid_is_ras_along_the_axes_of_the_image(order, signs, degrees):
    grid = Grid((31, 20, 7), affine_of((0.8, 1.1, 5.0), order, signs, degrees))
    found = isotropic_grid(grid, 2.0)
    assert nib.aff2axcodes(found.affine) == ("R", "A", "S")
    assert found.spacing == pytest.approx((2.0, 2.0, 2.0))
    cosines = np.abs(found.affine[:3, :3].T @ grid.affine[:3, :3]) / 2 / grid.spacing
    np.testing.assert_allclose(np.sort(cosines, axis=0), [[0] * 3, [0] * 3, [1] * 3], atol=1e-9)


def test_isotropic_grid_is_centerd_on_the_image():
    grid = Grid((31, 20, 7), affine_of((0.8, 1.1, 5.0), (2, 0, 1), (-1, 1, 1), (9, 8, 7)))
    found = isotropic_grid(grid, 3.0)
    middle = [apply_affine(g.affine, (np.array(g.shape) - 1) / 2) for g in (grid, found)]
    np.testing.assert_allclose(*middle, atol=1e-9)


def test_isotropic_grid_rounds_up_to_a_multiple():
    grid = Grid((31, 32, 33), np.eye(4))
    assert isotropic_grid(grid, 1.0, multiple=16).shape == (32, 32, 48)
    assert isotropic_grid(grid, 2.0, multiple=16).shape == (16, 16, 32)


@pytest.mark.parametrize(("order", "signs", "degrees"), GEOMETRIES)
def test_a_world_ramp_stays_one_on_any_grid(order, signs, degrees):
    source = Grid((30, 28, 12), affine_of((1.2, 1.0, 3.0), order, signs, degrees))
    target = Grid((20, 22, 18), affine_of((1.0, 1.5, 1.3), degrees=(-8, 15, 33)))
    target.affine[:3, 3] += world(source).mean(axis=(0, 1, 2)) - world(target).mean(axis=(0, 1, 2))
    data = ramp(world(source))
    found = resample(data, source.affine, target)
    within = inside(target, source.shape, source.affine)
    assert within.mean() > 0.2
    np.testing.assert_allclose(found[within], ramp(world(target))[within], atol=1e-2)


def test_pull_leads_from_the_target_to_the_source():
    source = Grid((30, 30, 30), affine_of((1.0, 1.2, 1.1)))
    pull = rigid((10, -6, 14), (3, -4, 2))
    center = world(source).mean(axis=(0, 1, 2))
    pull[:3, 3] += center - pull[:3, :3] @ center
    found = resample(ramp(world(source)), source.affine, source, pull=pull)
    within = inside(source, source.shape, source.affine, pull)
    assert within.mean() > 0.3
    expected = ramp(apply_affine(pull, world(source)))
    np.testing.assert_allclose(found[within], expected[within], atol=1e-2)


def test_the_same_grid_gives_the_same_image():
    data = np.random.default_rng(0).random((6, 7, 8)).astype(np.float32)
    affine = affine_of((0.4, 0.4, 6.5), (1, 2, 0), (1, -1, 1), (3, 4, 5))
    for smooth in (False, True):
        found = resample(data, affine, Grid.of(data, affine), smooth=smooth)
        # The outermost voxels may fall outside by rounding.
        np.testing.assert_allclose(found[1:-1, 1:-1, 1:-1], data[1:-1, 1:-1, 1:-1], atol=1e-5)


def test_outside_the_source_is_zero():
    data = np.ones((5, 5, 5), np.float32)
    found = resample(data, np.eye(4), Grid((5, 5, 5), affine_of((1, 1, 1), origin=(3, 0, 0))))
    assert (found[:2] == 1).all()
    assert (found[2:] == 0).all()


def test_order_zero_takes_the_nearest_voxel():
    data = np.arange(8, dtype=np.float32)[:, None, None] * np.ones((1, 3, 3), np.float32)
    target = Grid((7, 3, 3), affine_of((1, 1, 1), origin=(0.4, 0, 0)))
    assert resample(data, np.eye(4), target, order=0)[:, 1, 1].tolist() == list(range(7))
    assert resample(data, np.eye(4), target)[:, 1, 1].tolist() == pytest.approx(
        [n + 0.4 for n in range(7)], abs=1e-5
    )


def test_smoothing_removes_what_larger_voxels_cannot_show():
    data = (np.indices((33, 33, 33)).sum(axis=0) % 2).astype(np.float32)
    target = isotropic_grid(Grid.of(data, np.eye(4)), 3.0)
    center = np.s_[3:-3, 3:-3, 3:-3]
    assert resample(data, np.eye(4), target)[center].std() > 0.1
    smooth = resample(data, np.eye(4), target, smooth=True)[center]
    np.testing.assert_allclose(smooth, 0.5, atol=0.02)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_smoothing_acts_along_the_axis_that_is_sampled_down(order):
    """A ramp keeps its place, and detail along the other axes stays."""
    source = Grid((24, 24, 24), affine_of((1, 1, 1), order))
    along_z = ramp(world(source))
    stripes = (np.round(world(source)[..., 0]) % 2) * 100
    target = Grid((22, 22, 6), affine_of((1, 1, 4), origin=(-30, 18, 10.5)))
    plain = resample(along_z, source.affine, target, smooth=True)[5:-5, 5:-5, 2:-2]
    np.testing.assert_allclose(plain, ramp(world(target))[5:-5, 5:-5, 2:-2], atol=0.1)
    kept = resample(stripes, source.affine, target, smooth=True)[5:-5, 5:-5, 2:-2]
    assert kept.std() > 45


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("shape", [(23, 17, 9), (1, 17, 2)])
@pytest.mark.parametrize(
    ("order", "signs"), [((0, 1, 2), (1, 1, 1)), ((2, 0, 1), (-1, 1, -1)), ((1, 0, 2), (1, -1, 1))]
)
def test_along_the_axes_of_an_image_values_are_those_of_scipy(order, signs, shape, smooth):
    image = np.random.default_rng(3).random(shape, dtype=np.float32)
    affine = affine_of((0.7, 1.1, 3.0), order, signs)
    # Coarser, and part of it beyond the image.
    target = isotropic_grid(Grid.of(image, affine), 1.6).part(np.array([2, -2, 0]), [9, 8, 9])
    to_source = np.linalg.inv(affine) @ target.affine
    position = apply_affine(to_source, np.moveaxis(np.indices(target.shape), 0, -1))
    step = np.abs(to_source[:3, :3]).max(axis=1)
    sigma = 0.42 * np.sqrt(np.maximum(step**2 - 1, 0)) if smooth else 0
    blurred = ndimage.gaussian_filter(image, sigma)
    expected = ndimage.map_coordinates(
        blurred, np.moveaxis(position, -1, 0), order=1, mode="nearest"
    )
    size = np.array(shape)
    inside = ((position >= -0.5 - 1e-6) & (position <= size - 0.5 + 1e-6)).all(axis=-1)
    np.testing.assert_allclose(
        resample(image, affine, target, smooth=smooth), np.where(inside, expected, 0), atol=1e-6
    )


@pytest.mark.parametrize("sigma", [0, 0.8, 10])
def test_matrices_filter_like_a_gaussian(sigma):
    image = np.random.default_rng(3).random((14, 5, 9), dtype=np.float32)
    filtered = along_axes(image, [gaussian_weights(size, sigma) for size in image.shape])
    np.testing.assert_allclose(filtered, ndimage.gaussian_filter(image, sigma), atol=1e-6)


def test_masks_may_be_boolean():
    mask = np.ones((4, 4, 4), bool)
    found = resample(mask, np.eye(4), Grid.of(mask, np.eye(4)))
    assert found.dtype == np.float32
    assert (found == 1).all()


def test_grid_of_an_image():
    affine = affine_of((0.43, 0.44, 6.5), (2, 0, 1), (1, -1, 1), (3, 4, 5))
    grid = Grid.of(np.zeros((3, 4, 5)), affine)
    assert grid.shape == (3, 4, 5)
    assert grid.spacing == pytest.approx(tuple(voxel_sizes(affine)))


def test_a_voxel_size_as_headers_have_it_as_it_was_meant_and_as_protocols_name_it():
    affine = affine_of((0.4286, 0.43 + 1e-9, 6.4999999))
    grid = Grid.of(np.zeros((3, 4, 5)), affine)
    assert grid.header_spacing == tuple(np.float32([0.4286, 0.43, 6.5]).astype(float))
    assert grid.rounded_spacing == (0.4286, 0.43, 6.5)
    assert grid.nominal_spacing == (0.43, 0.43, 6.5)


def test_a_part_of_a_grid_keeps_its_place_in_the_world():
    whole = Grid(
        (8, 9, 10), np.array([[0, -2.0, 0, 5], [1.5, 0, 0, -3], [0, 0, 3, 7], [0, 0, 0, 1]])
    )
    part = whole.part(np.array([1, 2, 3]), np.array([4, 5, 6]))
    assert part.shape == (4, 5, 6)
    np.testing.assert_allclose(
        apply_affine(part.affine, [0, 1, 2]), apply_affine(whole.affine, [1, 3, 5])
    )


@pytest.mark.parametrize(
    ("shape", "moved", "same"),
    [
        ((9, 8, 7), 0.0, True),
        ((9, 8, 7), 0.09, True),
        ((9, 8, 7), 0.11, False),
        ((9, 8, 8), 0.0, False),
    ],
)
def test_grids_are_the_same_up_to_a_tenth_of_the_smallest_voxel_side(shape, moved, same):
    grid = Grid((9, 8, 7), np.diag([1.0, 2.0, 5.0, 1.0]))
    affine = grid.affine.copy()
    affine[2, 3] += moved
    assert Grid(shape, affine).is_same_as(grid) == same


def test_a_small_turn_is_noticed_at_the_far_corner():
    grid = Grid((200, 200, 10), np.eye(4))
    turned = np.eye(4)
    turned[:3, :3] = Rotation.from_euler("z", 0.1, degrees=True).as_matrix()
    assert not Grid(grid.shape, turned).is_same_as(grid)


@pytest.mark.parametrize("degrees", [0, 20])
def test_a_window_holds_every_voxel_that_touches_the_other_grid(degrees):
    rng = np.random.default_rng(2)
    target = Grid((30, 28, 9), affine_of((0.8, 0.9, 4.0), origin=(-9, -12, -15)))
    other = Grid((8, 9, 10), affine_of((1, 1, 1), origin=(-2, 3, -4)))
    pull = rigid((degrees, 0, degrees / 2), (1, -2, 3))
    share = share_in_voxels(rng.random(other.shape) > -1, other.affine, target, pull=pull)
    window = target.window(other, pull)
    outside = np.ones(target.shape, bool)
    outside[window] = False
    assert share.max() > 0.5
    assert not share[outside].any()
    assert np.prod([s.stop - s.start for s in window]) < np.prod(target.shape) / 2


def test_a_window_of_what_lies_elsewhere_is_empty():
    target = Grid((10, 10, 10), np.eye(4))
    far = Grid((3, 3, 3), affine_of((1, 1, 1), origin=(50, 0, 0)))
    x, _, _ = target.window(far, IDENTITY)
    assert x.start >= x.stop
