"""SynthSeg, driven through a stand-in that checks its arguments and lays down labels."""

import pytest

from cmb_bidsapp.core.errors import CommandMissingError, DataError, TemporaryError
from cmb_bidsapp.tools.synthseg import COMMAND, run_synthseg
from tests.skeletons import tree

#: Knows the options that are passed and no others, and asks for names it can write.
LABELS = """
import argparse, os, pathlib, sys
parser = argparse.ArgumentParser()
parser.add_argument("--i", required=True, type=pathlib.Path)
parser.add_argument("--o", required=True, type=pathlib.Path)
parser.add_argument("--parc", action="store_true", required=True)
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--cpu", action="store_true")
given = parser.parse_args()
assert given.o.name.endswith("labels.nii.gz"), given.o
assert not given.o.exists(), "an old result"
seen = os.environ.get("CUDA_VISIBLE_DEVICES")
given.o.write_text(f"{given.i.read_text()} {given.threads} {given.cpu} {seen}")
"""


@pytest.mark.parametrize(
    ("device", "visible", "cpu", "seen"),
    [
        ("cpu", None, True, None),
        ("cuda", None, False, None),
        ("cuda", "3,5", False, "3,5"),
        ("cuda:1", None, False, "1"),
        ("cuda:1", "3,GPU-5", False, "GPU-5"),
        ("mps", None, True, None),
    ],
)
def test_threads_and_device_are_passed_on(
    machine, t1w, tmp_path, monkeypatch, device, visible, cpu, seen
):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    machine.install(COMMAND, LABELS)
    output = tmp_path / "out" / "labels.nii.gz"
    run_synthseg(t1w, output, threads=3, device=device)
    assert output.read_text() == f"head 3 {cpu} {seen}"
    assert [path.name for path in output.parent.iterdir()] == [output.name]


def test_an_old_result_is_replaced(machine, t1w, tmp_path):
    machine.install(COMMAND, LABELS)
    output = tmp_path / "labels.nii.gz"
    output.write_text("old")
    run_synthseg(t1w, output, threads=1, device="cpu")
    assert output.read_text().startswith("head 1 True ")


@pytest.mark.parametrize(
    ("script", "error", "said"),
    [
        ("import sys; sys.exit('FREESURFER_HOME is not set')", DataError, "HOME is not set"),
        ("", DataError, "wrote no labels of .*head.nii.gz"),
        (LABELS + "given.o.write_text('')", DataError, "wrote no labels"),
        (LABELS + "import os; os.kill(os.getpid(), 9)", TemporaryError, "SIGKILL"),
    ],
)
def test_what_goes_wrong_is_named_and_leaves_all_as_it_was(
    machine, t1w, tmp_path, script, error, said
):
    machine.install(COMMAND, script)
    output = tmp_path / "out" / "labels.nii.gz"
    output.parent.mkdir()
    output.write_text("old")
    before = tree(output.parent)
    with pytest.raises(error, match=said):
        run_synthseg(t1w, output, threads=1, device="cpu")
    assert tree(output.parent) == before


def test_without_it_the_way_round_is_named(machine, t1w, tmp_path):
    with pytest.raises(CommandMissingError, match=f"{COMMAND}.*full.*--parcellation atlas"):
        run_synthseg(t1w, tmp_path / "out" / "labels.nii.gz", threads=1, device="cpu")
    assert not (tmp_path / "out").exists()
