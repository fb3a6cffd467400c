"""The backends auto and atlas."""

import pytest

from cmb_bidsapp.anatomy.backends import (
    find_parcellation,
)
from tests.anatomy.subjects import LAYOUTS, write


@pytest.mark.parametrize("wanted", ["auto", "atlas"])
def test_what_another_choice_made_here_is_not_taken_unasked(tmp_path, backend, wanted):
    write(tmp_path / "freesurfer" / LAYOUTS["FreeSurfer"])
    write(tmp_path / "synthseg" / "sub-01_desc-synthseg_dseg.nii.gz")
    assert find_parcellation(backend(wanted), "01", None) is None


# Nothing to be found
@pytest.mark.parametrize("wanted", ["auto", "atlas"])
def test_the_embedded_backend_needs_no_program(machine, tmp_path, backend, obtain, wanted):
    assert obtain(backend(wanted, tmp_path / "nothing")) == (None, [])
