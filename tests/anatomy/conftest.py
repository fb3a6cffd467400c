"""Fixtures of the parcellations that other programs make."""

import pytest

from cmb_bidsapp.anatomy.reuse import read_parcellation
from tests.anatomy.subjects import find_parcellation


@pytest.fixture(scope="session")
def read_bert(bert):
    return read_parcellation(find_parcellation([bert.parent], "bert", None))
