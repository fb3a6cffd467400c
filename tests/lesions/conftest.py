"""A scan that the second look is tried on."""

import numpy as np
import pytest


@pytest.fixture
def scan():
    """Even tissue with a dark spot and a dark voxel."""
    t2star = np.full((120, 120, 12), 400, np.float32)
    t2star[60:63, 60:63, 6] = 100
    t2star[20, 30, 3] = 150
    return t2star
