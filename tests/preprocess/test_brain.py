"""SynthStrip, driven through a stand-in that checks its arguments and lays down a mask."""

from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from cmb_bidsapp.core.arrays import Volume
from cmb_bidsapp.core.errors import CommandMissingError, DataError, TemporaryError
from cmb_bidsapp.preprocess.brain import (
    FREESURFER,
    PORT,
    PORT_WEIGHTS,
    choose_brain_extraction,
    run_synthstrip,
)
from tests import standins

AFFINE = np.array([[0, -2.0, 0, 20], [1.5, 0, 0, -11], [0, 0, 3.0, 7], [0, 0, 0, 1]])

MASK = """
import argparse, nibabel as nib, numpy as np
parser = argparse.ArgumentParser()
parser.add_argument("-i", required=True)
parser.add_argument("-m", required=True)
parser.add_argument("--model")
given = parser.parse_args()
image = nib.load(given.i)
assert given.model == EXPECTED_MODEL, given.model
mask = np.asarray(image.dataobj) > 50
nib.save(nib.Nifti1Image(mask.astype(np.uint8), image.affine), given.m)
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with nothing on its path; ``install`` puts a Python script there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv(PORT_WEIGHTS, raising=False)

    return partial(standins.install, folder)


@pytest.fixture
def head() -> np.ndarray:
    data = np.zeros((12, 10, 8), np.float32)
    data[3:9, 2:7, 1:6] = 100
    return data


def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "synthstrip.1.pt"
    path.write_bytes(b"weights")
    monkeypatch.setenv(PORT_WEIGHTS, str(path))
    return path


def test_auto_takes_synthstrip_where_it_is_installed(machine):
    assert choose_brain_extraction("auto") == "embedded"
    machine(FREESURFER, "")
    assert choose_brain_extraction("auto") == "synthstrip"
    assert choose_brain_extraction("embedded") == "embedded"


def test_the_port_counts_only_with_its_weights(machine, tmp_path, monkeypatch):
    machine(PORT, "")
    assert choose_brain_extraction("auto") == "embedded"
    monkeypatch.setenv(PORT_WEIGHTS, str(tmp_path / "missing.pt"))
    assert choose_brain_extraction("auto") == "embedded"
    weights(tmp_path, monkeypatch)
    assert choose_brain_extraction("auto") == "synthstrip"


def test_asked_for_and_not_there_says_what_to_install(machine):
    with pytest.raises(CommandMissingError, match=f"{FREESURFER}.*{PORT_WEIGHTS}"):
        choose_brain_extraction("synthstrip")


def test_the_mask_lies_on_the_grid_of_the_image(machine, head):
    machine(FREESURFER, MASK.replace("EXPECTED_MODEL", "None"))
    np.testing.assert_array_equal(run_synthstrip(Volume(head, AFFINE)), head > 0)


def test_the_port_gets_its_weights(machine, head, tmp_path, monkeypatch):
    path = weights(tmp_path, monkeypatch)
    machine(PORT, MASK.replace("EXPECTED_MODEL", repr(str(path))))
    np.testing.assert_array_equal(run_synthstrip(Volume(head, AFFINE)), head > 0)


def test_the_image_keeps_its_geometry_on_the_way_there(machine, head, tmp_path):
    kept = tmp_path / "seen.nii.gz"
    machine(
        FREESURFER,
        "import shutil, sys\n"
        f"shutil.copy(sys.argv[sys.argv.index('-i') + 1], {str(kept)!r})\n"
        "shutil.copy(sys.argv[sys.argv.index('-i') + 1], sys.argv[sys.argv.index('-m') + 1])",
    )
    run_synthstrip(Volume(head, AFFINE))
    seen = nib.load(kept)
    np.testing.assert_allclose(seen.affine, AFFINE, atol=1e-4)
    np.testing.assert_array_equal(np.asarray(seen.dataobj), head)


@pytest.mark.parametrize(
    ("script", "error", "said"),
    [
        ("import sys; sys.exit('out of weights')", DataError, "status 1: out of weights"),
        ("", DataError, "without an error but wrote no mask"),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            TemporaryError,
            f"{FREESURFER} was killed by signal 9 .SIGKILL, most likely out of memory",
        ),
        (
            "import nibabel, numpy, sys\n"
            "nibabel.save(nibabel.Nifti1Image(numpy.ones((2, 2, 2), 'u1'), numpy.eye(4)), "
            "sys.argv[sys.argv.index('-m') + 1])",
            DataError,
            "mask of shape",
        ),
    ],
)
def test_what_goes_wrong_is_named(machine, head, script, error, said):
    machine(FREESURFER, script)
    with pytest.raises(error, match=said):
        run_synthstrip(Volume(head, AFFINE))


def test_running_what_is_not_installed_says_what_to_choose(machine, head):
    with pytest.raises(CommandMissingError, match=f"{FREESURFER}.*full.*embedded"):
        run_synthstrip(Volume(head, AFFINE))
