"""Fixtures of recon-all, as the stand-in runs."""

import pytest

from cmb_bidsapp.tools.freesurfer import run_recon_all
from tests.anatomy.subjects import write


@pytest.fixture
def subjects(tmp_path):
    return tmp_path / "derivatives" / "freesurfer"


@pytest.fixture
def recon(t1w, subjects, license_file):
    """Run the stand-in on the subject ``sub-01``."""

    def run(**options):
        options = {"threads": 1, "license_file": license_file, **options}
        return run_recon_all(t1w, "sub-01", subjects, **options)

    return run


@pytest.fixture
def begun(subjects):
    """A subject whose run was cut off after its image had been imported."""
    write(subjects / "sub-01" / "mri" / "orig" / "001.mgz", "imported")
    (subjects / "sub-01" / "scripts").mkdir()
    return subjects / "sub-01"
