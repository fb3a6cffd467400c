"""Slices, their gaps, and what lies where in them."""

import numpy as np
import pytest

from cmb_bidsapp.simulate.acquisition import scan_t2star
from cmb_bidsapp.simulate.grid import ScanGrid
from cmb_bidsapp.simulate.physics import Source
from cmb_bidsapp.simulate.protocols import read_protocol
from tests.simulate.heads import HEAD

#: Two voxels of 2 mm in plane, two slices of 3 mm in six parts, of which the middle four count.
SMALL = ScanGrid(
    origin=(1.0, 1.0, 1.5), voxel=(2.0, 2.0, 3.0), shape=(2, 2, 2), slab=6, excited=4, in_plane=1
)


def loss_at(z, protocol):
    """Largest loss by slice of a small microbleed at height ``z`` in the toy head."""
    source = Source(kind="cmb", chi=1.0, semi_axes=(1.0,) * 3, path=np.array([[20.0, 35.0, z]]))
    grid = ScanGrid.around(HEAD, protocol)
    scan = scan_t2star(HEAD, protocol, grid, [source], [], np.random.default_rng(0))
    return grid, scan.loss.max(axis=(0, 1))


def test_a_gap_between_slices_hides_what_lies_in_it():
    whole = read_protocol("b0=3,te=5,voxel=1x1x6")
    grid, _ = loss_at(35.0, whole)
    edge = grid.origin[2] + 3.5 * grid.voxel[2]
    _, contiguous = loss_at(edge, whole)
    _, gapped = loss_at(edge, read_protocol("b0=3,te=5,voxel=1x1x3,gap=3"))
    assert gapped.max() < 0.5 * contiguous.max()


def test_a_gap_leaves_the_slice_distance_and_what_lies_in_the_slice():
    gapped = read_protocol("b0=3,te=20,voxel=1x1x3,gap=3")
    grid = ScanGrid.around(HEAD, gapped)
    assert (grid.voxel[2], grid.slab, grid.excited) == (6.0, 12, 6)
    center = grid.origin[2] + 3 * grid.voxel[2]
    _, contiguous = loss_at(center, read_protocol("b0=3,te=20,voxel=1x1x6"))
    _, loss = loss_at(center, gapped)
    assert loss[3] > contiguous[3] > 0.1


def test_centers_lie_in_the_middle_of_voxels_and_of_their_parts():
    assert SMALL.centers(0).tolist() == [1.0, 3.0]
    assert SMALL.centers(2, 3).tolist() == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]


def test_a_slice_is_the_mean_of_the_parts_that_are_excited():
    fine = np.broadcast_to(np.arange(12, dtype=np.complex64), (2, 2, 12)).copy()
    assert SMALL.mean_of_slices(fine)[0, 0].tolist() == [2.5, 8.5]


def test_a_volume_of_the_head_is_averaged_over_what_is_excited():
    # Height in mm, at the centers of voxels of 1 mm.
    height = np.broadcast_to(np.arange(8, dtype=np.float32), (5, 5, 8)).copy()
    np.testing.assert_allclose(SMALL.to_slices(height)[1, 1], [1.5, 4.5], atol=1e-5)


def test_the_world_begins_at_the_center_that_is_given():
    affine = SMALL.affine(np.array([1.0, 3.0, 4.5]))
    assert (affine @ [0, 1, 1, 1]).tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("margin", [0.0, 12.0])
def test_slices_cover_the_brain_and_its_margin(margin):
    grid = ScanGrid.around(HEAD, read_protocol("b0=3,te=20,voxel=1x1x5"), margin)
    brain = np.argwhere(HEAD.brain)
    first, last = (np.array([grid.centers(axis)[end] for axis in range(3)]) for end in (0, -1))
    half = np.array(grid.voxel) / 2
    beyond = np.array([margin, margin, 0.0])
    assert (first - half <= brain.min(axis=0) - beyond).all()
    assert (last + half >= brain.max(axis=0) + beyond).all()
