"""Pieces of a few voxels against scipy's of whole images."""

import numpy as np
import pytest
from scipy import ndimage

from cmb_bidsapp.lesions.connected import connected


@pytest.mark.parametrize(("connectivity", "kind"), [(6, 1), (26, 3)])
@pytest.mark.parametrize("share", [0, 0.02, 0.18, 0.6, 1])
@pytest.mark.parametrize("shape", [(9, 8, 7), (1, 8, 7), (9, 8, 1)])
def test_numbers_are_those_of_scipy(connectivity, kind, share, shape):
    mask = np.random.default_rng(4).random(shape) < share
    expected, _ = ndimage.label(mask, ndimage.generate_binary_structure(3, kind))
    voxels = np.argwhere(mask)
    np.testing.assert_array_equal(connected(voxels, shape, connectivity), expected[mask])
