"""A head between its phases."""

import numpy as np
import pytest

from cmb_bidsapp.phases.base import PreparedHead


@pytest.fixture
def head():
    brain = np.zeros((10, 10, 4), np.bool_)
    brain[2:7, 2:7] = True
    affine = np.diag([-0.5, 0.5, 4.0, 1.0])
    return PreparedHead(
        data=np.ones(brain.shape, np.float32), affine=affine, brain=brain, anatomy=None, about={}
    )


def test_the_brain_has_its_volume_whatever_way_the_axes_run(head):
    assert head.brain_ml == pytest.approx(5 * 5 * 4 * 0.5 * 0.5 * 4 / 1000)


def test_the_grid_is_that_of_the_image(head):
    assert head.grid.shape == (10, 10, 4)
    np.testing.assert_allclose(head.grid.spacing, (0.5, 0.5, 4))
