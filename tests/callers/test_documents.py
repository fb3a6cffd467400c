"""What the documents show runs: their blocks, on a machine with stand-ins for a cluster."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.callers.standins import SINGULARITY, Cluster
from tests.documents import ROOT, blocks
from tests.skeletons import build_dataset, write_head
from tests.standins import Machine

SLURM = blocks("docs/hpc.md", "cmb_bidsapp slurm")
BRAINLIFE = blocks("docs/callers.md", "./main")
BOUTIQUES = blocks("docs/callers.md", "bosh ")


def shell(block: str, path: str) -> str:
    """Run a block as a reader would type it; every line has to succeed."""
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a dataset and an image, called as the documents call them."""
    monkeypatch.chdir(tmp_path)
    build_dataset(tmp_path / "bids", {f"sub-{label}_T2starw": {} for label in ("01", "02", "03")})
    (tmp_path / "cmb_bidsapp.sif").touch()
    return tmp_path


def program(machine: Machine, arguments: str = "sys.argv[1:]") -> None:
    """Install the app itself."""
    run = f"os.execv({sys.executable!r}, [{sys.executable!r}, '-m', 'cmb_bidsapp', *{arguments}])"
    machine.install("cmb_bidsapp", run)


def test_there_is_something_to_run():
    assert len(SLURM) > 1
    assert BRAINLIFE
    assert BOUTIQUES


@pytest.mark.parametrize("block", SLURM)
def test_a_slurm_script_is_written_and_submitted(here, block):
    cluster = Cluster(here / "cluster")
    cluster.apptainer.install("apptainer", "")
    program(cluster.app)
    said = shell(block, cluster.path)
    submissions = block.count("bash ")
    assert len(re.findall(r"^job \d+: \d tasks", said, re.MULTILINE)) == submissions
    assert len(cluster.slurm.runs) == 2 * submissions
    levels = [
        run.argv[run.argv.index(f"{here}/cmb_bidsapp.sif") + 3] for run in cluster.apptainer.runs
    ]
    assert levels.count("group") == submissions
    assert levels.count("participant") >= submissions


@pytest.mark.parametrize("block", BRAINLIFE)
def test_the_brainlife_app_runs(here, block):
    if shutil.which("jq") is None:
        pytest.skip("jq is not on the path; Brainlife asks for it")
    machine = Machine(here)
    machine.install("singularity", SINGULARITY)
    shutil.copy(ROOT / "main", here)
    write_head(here / "t2starw.nii.gz")
    config = {"t2starw": "t2starw.nii.gz", "dry_run": True}
    (here / "config.json").write_text(json.dumps(config))
    shell(block, f"{machine.bin}:{os.environ['PATH']}")
    assert len(machine.runs) == 1
    assert json.loads((here / "product.json").read_text())["brainlife"]


@pytest.mark.parametrize("block", BOUTIQUES)
def test_boutiques_takes_the_descriptor(here, block):
    machine = Machine(here)
    program(machine, "sys.argv[1:], '--dry-run'")
    shutil.copy(ROOT / "boutiques.json", here)
    text = (ROOT / "docs" / "callers.md").read_text()
    invocation = re.search(r'`(\{"bids_dir".*?\})`', text).group(1)
    (here / "invocation.json").write_text(invocation)
    block = block.replace("launch", "launch --no-container --skip-data-collection")
    installed = Path(sys.executable).parent  # bosh comes with the tests
    said = shell(block, f"{machine.bin}:{installed}:{os.environ['PATH']}")
    assert "BIDS validation OK" in said
    assert "sub-01_T2starw.nii.gz" in said
    assert len(machine.runs) == 1
