"""The image with FreeSurfer and SynthStrip, made from stand-ins of the official images."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import sidecar_of
from tests.container.engines import CONFINED, HOMELESS, NOBODY, mounts
from tests.container.official import NAMES, STAMP, UNLISTED, write_program
from tests.container.test_select import PATHS
from tests.skeletons import result_of
from tests.standins import recon_all

pytestmark = pytest.mark.long

FULL = "cmb_bidsapp-test/full"


@pytest.fixture(scope="module")
def full(docker, official, app):
    """``docker build .`` as it is."""
    return docker.build(FULL, "--build-arg", f"IMAGE={FULL}")


@pytest.fixture(scope="module")
def standin(result, open_folder):
    """What the programs lay down: regions and brain of an earlier run, in FreeSurfer's files."""
    folder, (out_dir, _) = open_folder("standin"), result
    files = SessionFiles(out_dir, "01", None)
    found = nib.load(files.parcellation("T1w"))
    labels = np.asarray(found.dataobj).astype(np.int32)
    white = np.select([labels == 2, labels == 41], [5001, 5002], labels)
    for name, data in (("aparc+aseg", labels), ("wmparc", white)):
        path = folder / "outputs" / "mri" / f"{name}.mgz"
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.MGHImage(data.astype(np.int32), found.affine), path)
    write_program(folder / "outputs" / "scripts" / "build-stamp.txt", STAMP)
    for mask in (files.t1w_brain, files.t2star_brain):
        (folder / mask.name).write_bytes(mask.read_bytes())
    program = "import os, sys\n" + recon_all(Path("/standin/outputs"))
    (folder / "recon_all.py").write_text(program)
    (folder / "license.txt").write_text("somebody@example.org\n1\n *x\n x\n")
    return folder


@pytest.fixture(scope="module")
def freesurfer_result(docker, full, dataset, standin, open_folder):
    out_dir = open_folder("out-full")
    done = docker.run(
        full,
        *("/data", "/out", "participant"),
        *("--parcellation", "freesurfer", "--brain-extraction", "synthstrip"),
        *("--fs-license-file", "/standin/license.txt"),
        options=(*CONFINED, *HOMELESS, *mounts("-v", data=dataset, out=out_dir, standin=standin)),
    )
    return out_dir, done


def test_what_is_listed_is_in_the_image_and_nothing_else(docker, full):
    code = """
import json, os, pathlib
home = pathlib.Path(os.environ["FREESURFER_HOME"])
print(json.dumps([str(p.relative_to(home)) for p in home.rglob("*") if p.is_file()]))
"""
    have = set(json.loads(docker.python(full, code)))
    assert [path for path in PATHS if not path.endswith("/") and path not in have] == []
    assert have & set(UNLISTED) == set()
    assert {"bin/mri_synthstrip", "models/synthstrip.1.pt"} <= have


def test_the_labels_tell_of_freesurfers_license(docker, full):
    labels = docker.inspect(full)["Config"]["Labels"]
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0 AND LicenseRef-FreeSurfer"
    bill = "print(open('/usr/share/cmb_bidsapp/licenses.tsv').read())"
    assert NAMES["freesurfer"] in docker.python(full, bill)


def test_the_programs_are_found_and_called(freesurfer_result):
    out_dir, done = freesurfer_result
    assert done.returncode == 0, done.stdout + done.stderr
    assert result_of(done.stdout) == (1, 0, 0, 0)
    files = SessionFiles(out_dir, "01", None)
    assert _about(files.t2star_brain)["BrainExtraction"] == "synthstrip"
    assert "FreeSurfer" in _about(files.parcellation("T1w"))["Parcellation"]
    assert "7.4.1" in _about(files.parcellation("T1w"))["Parcellation"]
    subject = out_dir / "sourcedata" / "freesurfer" / "sub-01"
    assert (subject / "scripts" / "recon-all.done").is_file()


def test_a_csh_script_knows_who_runs_it(freesurfer_result):
    who = freesurfer_result[0] / "sourcedata" / "freesurfer" / "who"
    assert who.read_text() == f"USER {NOBODY.partition(':')[0]}\n"


def _about(image: Path) -> dict:
    return json.loads(sidecar_of(image).read_text())
