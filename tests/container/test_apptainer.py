"""The Apptainer image, run without rights, as on a compute node."""

import json
import os

import pytest

from cmb_bidsapp import __version__
from cmb_bidsapp.callers import IMAGE
from tests.container.engines import call, mounts
from tests.skeletons import result_of

pytestmark = pytest.mark.long

#: Nothing of the host but what is mounted; 64 MB for temporary files.
CONTAINED = ("apptainer", "run", "--cleanenv", "--containall", "--no-home")


@pytest.fixture(scope="module")
def contained(sif, dataset, open_folder):
    """A session that has to use its scratch folder."""
    folders = {name: open_folder(f"sif-{name}") for name in ("out", "work")}
    binds = mounts("-B", data=dataset, **folders)
    argv = (*CONTAINED, *binds, sif, "/data", "/out", "participant", "group", "-w", "/work")
    environment = {**os.environ, "LC_ALL": "C", "PYTHONPATH": "/nowhere"}
    return folders, call(*argv, env=environment)


def test_the_image_tests_and_explains_itself(sif):
    assert call("apptainer", "test", sif).stdout.strip() == f"cmb_bidsapp {__version__}"
    assert "not a diagnosis" in call("apptainer", "run-help", sif).stdout
    labels = json.loads(call("apptainer", "inspect", "--json", sif).stdout)
    assert labels["data"]["attributes"]["labels"]["cmb_bidsapp.image"] == IMAGE


def test_a_contained_run_gets_results(contained):
    folders, done = contained
    assert done.returncode == 0, done.stdout + done.stderr
    assert result_of(done.stdout) == (1, 0, 0, 0)
    assert (folders["out"] / "group_mars.tsv").is_file()


def test_scratch_is_where_it_was_asked_for_and_cleared_afterwards(contained):
    assert list(contained[0]["work"].iterdir()) == []


def test_results_name_the_container(contained):
    description = json.loads((contained[0]["out"] / "dataset_description.json").read_text())
    assert description["GeneratedBy"][0]["Container"] == {"Type": "singularity", "Tag": IMAGE}
