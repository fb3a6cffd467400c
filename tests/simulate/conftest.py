"""A small made-up head, scanned once per variant."""

import numpy as np
import pytest

from cmb_bidsapp.simulate.physics import Source
from tests.simulate.cases import case_of


@pytest.fixture(scope="session")
def case():
    return case_of()


@pytest.fixture(scope="session")
def empty():
    return case_of(count=0)


@pytest.fixture(scope="session")
def strong():
    """One strong microbleed at a known point of the head, in subcortical white matter."""
    point = np.array([20.0, 35.0, 40.0])
    source = Source(kind="cmb", chi=2.0, semi_axes=(1.5, 1.5, 1.5), path=point[None])
    return point, case_of(count=0, veins=0, microbleeds=[source])
