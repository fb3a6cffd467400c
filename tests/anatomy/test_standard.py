"""Ways between a head and MNI152, on deformations whose formula is known."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine

from cmb_bidsapp.anatomy.standard import (
    FIELD_MM,
    Field,
    StandardTransforms,
    centers,
    in_space,
    read_field,
    sample,
    tabulate,
    write_field,
)
from cmb_bidsapp.core.arrays import Volume
from cmb_bidsapp.preprocess.ants import to_ants, write_linear
from cmb_bidsapp.preprocess.resampling import Grid

GRID = Grid(
    (30, 36, 28), np.array([[2, 0, 0, -30], [0, 2, 0, -40], [0, 0, 2, -26], [0, 0, 0, 1.0]])
)
RIGID = np.array([[0.96, -0.28, 0, 3], [0.28, 0.96, 0, -2], [0, 0, 1, 5], [0, 0, 0, 1.0]])
#: Points well inside the grid.
POINTS = np.random.default_rng(0).uniform(-15, 15, (40, 3))


def bent(points):
    """Up to 3 mm of smooth displacement."""
    x, y, z = np.moveaxis(points, -1, 0)
    moved = [2 * np.sin(y / 20), 3 * np.cos(z / 25), 1.5 * np.sin(x / 18)]
    return points + np.stack(moved, axis=-1)


def unbent(points):
    """Inverse of :func:`bent`, by iteration."""
    found = points.copy()
    for _ in range(50):
        found += points - bent(found)
    return found


def field_of(function, grid=GRID):
    points = centers(grid)
    return Field((function(points) - points).astype(np.float32), grid)


def test_points_move_as_the_field_says():
    np.testing.assert_allclose(field_of(bent)(POINTS), bent(POINTS), atol=0.02)
    assert field_of(bent)(POINTS.reshape(2, 20, 3)).shape == (2, 20, 3)


def test_beyond_the_field_its_edge_holds():
    shift = field_of(lambda points: points + np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(shift(np.array([[500.0, 0, -700]])), [[501, 2, -697]], atol=1e-4)


def test_a_field_goes_to_a_file_and_back(tmp_path: Path):
    path = tmp_path / "field.nii.gz"
    write_field(field_of(bent), path)
    again = read_field(path)
    np.testing.assert_allclose(again.displacement, field_of(bent).displacement, atol=1e-6)
    assert again.grid.is_same_as(GRID)


def test_ants_understands_the_file(tmp_path: Path):
    import ants

    path = tmp_path / "field.nii.gz"
    write_field(field_of(bent), path)
    # An image that holds its own x, y or z, resampled through the field, tells where it came from.
    points = centers(GRID)
    for axis in range(3):
        image = to_ants(points[..., axis], GRID.affine)
        moved = ants.apply_transforms(image, image, [str(path)]).numpy()
        np.testing.assert_allclose(
            moved[6:-6, 6:-6, 6:-6], bent(points)[6:-6, 6:-6, 6:-6, axis], atol=0.02
        )
    lps = nib.load(path).get_fdata()[15, 18, 14, 0]
    displacement = field_of(bent).displacement[15, 18, 14]
    np.testing.assert_allclose(lps, displacement * [-1, -1, 1], atol=1e-5)


def test_what_syn_leaves_is_bent_first_and_moved_then(tmp_path: Path):
    warp, inverse, linear = (tmp_path / name for name in ("w.nii.gz", "i.nii.gz", "l.txt"))
    write_field(field_of(bent), warp)
    write_field(field_of(unbent), inverse)
    write_linear(RIGID, linear)
    both = StandardTransforms.of_ants(warp, linear, inverse)
    there = both.to_standard(POINTS)
    np.testing.assert_allclose(there, apply_affine(RIGID, bent(POINTS)), atol=0.02)
    # Within the grid of the way back.
    near = np.abs(there).max(axis=1) < 16
    assert near.sum() > 10
    np.testing.assert_allclose(both.from_standard(there[near]), POINTS[near], atol=0.05)


@pytest.mark.parametrize("shape", [(64, 64, 12), (30, 30, 60)])
def test_an_other_image_of_the_head_sees_the_same(shape):
    affine = np.diag([1.0, 1.0, 5.0, 1.0])
    affine[:3, 3] = -np.array(shape) * (0.5, 0.5, 2.5)
    here = StandardTransforms(field_of(bent), field_of(unbent)).seen_from(
        Grid(shape, affine), RIGID
    )
    there = bent(apply_affine(RIGID, POINTS / 2))
    np.testing.assert_allclose(here.to_standard(POINTS / 2), there, atol=0.1)
    np.testing.assert_allclose(here.from_standard(there), POINTS / 2, atol=0.1)
    assert here.to_standard.grid.spacing == pytest.approx((FIELD_MM,) * 3)


def test_any_transform_of_itk_becomes_a_field(tmp_path: Path):
    path = tmp_path / "way.h5"
    write_linear(RIGID, path)
    turned = Grid(GRID.shape, GRID.affine @ np.diag([-1.0, 1, 1, 1]))
    for grid in (GRID, turned):
        found = tabulate(path, grid)
        expected = apply_affine(RIGID, centers(grid))
        np.testing.assert_allclose(centers(grid) + found.displacement, expected, atol=1e-4)


def test_images_are_looked_up_linearly_and_end_at_their_border():
    ramp = centers(GRID)[..., 0]
    np.testing.assert_allclose(sample(Volume(ramp, GRID.affine), POINTS), POINTS[:, 0], atol=1e-4)
    assert sample(Volume(ramp + 100, GRID.affine), np.array([[300.0, 0, 0]])) == [0]


def test_no_lesion_gets_lost_in_larger_voxels():
    instances = np.zeros((40, 40, 10), np.int32)
    instances[5, 5, 5] = 1
    instances[20:30, 20:30, 3:7] = 3
    fine = np.diag([0.5, 0.5, 2.0, 1.0])
    coarse = Grid((6, 6, 6), np.diag([4.0, 4.0, 4.0, 1.0]))
    mask = in_space(Volume(instances, fine), centers(coarse))
    assert mask.dtype == np.uint8
    assert mask[1, 1, 2] or mask[1, 1, 3]
    assert mask[3, 3, 2] == 1
    assert mask.sum() < 8
    assert in_space(Volume(instances * 0, fine), centers(coarse)).sum() == 0
