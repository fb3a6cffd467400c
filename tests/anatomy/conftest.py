"""Fixtures of the parcellations that other programs make."""

import pytest

from cmb_bidsapp.anatomy.freesurfer import run_recon_all
from cmb_bidsapp.anatomy.reuse import read_parcellation
from tests import standins
from tests.anatomy.subjects import find_parcellation, head, save, wmparc, write


@pytest.fixture
def t1w(tmp_path):
    return write(tmp_path / "head.nii.gz", "head")


@pytest.fixture
def licence_file(tmp_path):
    return write(tmp_path / "license.txt", "key")


@pytest.fixture
def outputs(tmp_path):
    """What recon-all lays down, as far as it is read."""
    folder = tmp_path / "outputs"
    save(folder / "mri" / "aparc+aseg.mgz", head())
    save(folder / "mri" / "wmparc.mgz", wmparc().astype("int32"))
    return folder


@pytest.fixture
def install_recon_all(machine, outputs):
    """Install a recon-all that lays down the outputs, or does other work."""

    def install(work="lay_down()"):
        machine.install("recon-all", standins.recon_all(outputs, work))

    return install


@pytest.fixture
def subjects(tmp_path):
    return tmp_path / "derivatives" / "freesurfer"


@pytest.fixture
def recon(t1w, subjects, licence_file):
    """Run the stand-in on the subject ``sub-01``."""

    def run(**options):
        options = {"threads": 1, "licence_file": licence_file, **options}
        return run_recon_all(t1w, "sub-01", subjects, **options)

    return run


@pytest.fixture
def begun(subjects):
    """A subject whose run was cut off after its image had been imported."""
    write(subjects / "sub-01" / "mri" / "orig" / "001.mgz", "imported")
    (subjects / "sub-01" / "scripts").mkdir()
    return subjects / "sub-01"


@pytest.fixture(scope="session")
def bert(data_dir):
    """Folder of FreeSurfer's sample subject."""
    folder = data_dir / "freesurfer" / "bert"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


@pytest.fixture(scope="session")
def read_bert(bert):
    return read_parcellation(find_parcellation([bert.parent], "bert", None))
