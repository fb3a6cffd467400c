"""Fixtures of the parcellations that other programs make."""

import pytest

from cmb_bidsapp.anatomy.backend import ParcellationRequest, ParcellationSource
from cmb_bidsapp.anatomy.backends import obtain_parcellation
from cmb_bidsapp.anatomy.reuse import read_parcellation
from tests.anatomy.subjects import find_parcellation


@pytest.fixture(scope="session")
def read_bert(bert):
    return read_parcellation(find_parcellation([bert.parent], "bert", None))


@pytest.fixture
def backend(tmp_path, license_file):
    """Ask for a backend; its own folders are ``freesurfer`` and ``synthseg``."""

    def make(wanted, *given, **options):
        options = {"license_file": license_file, **options}
        return ParcellationRequest(
            wanted=wanted,
            given=given,
            subjects_dir=tmp_path / "freesurfer",
            sourcedata=tmp_path,
            **options,
        )

    return make


@pytest.fixture
def obtain(t1w):
    """Ask a backend; returns what it gave and the steps it told of."""

    def ask(backend, session=None):
        steps = []
        source = ParcellationSource(
            t1w=t1w, participant="01", session=session, threads=2, device="cpu", step=steps.append
        )
        return obtain_parcellation(backend, source), steps

    return ask
