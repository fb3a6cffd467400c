"""Which torch an image gets, and what the build says where it cannot be had."""

import os
import re
import subprocess
import sys

import pytest

from tests.container.engines import ROOT
from tests.standins import install

#: Keeps what pip is asked for; torch can be had where its version is among those of the index.
#: Indexes may be down, and disks full.
PIP = """
import os
import sys
with open("asked", "a") as stream:
    print(*sys.argv[1:], file=stream)
wanted = [word.removeprefix("torch==") for word in sys.argv if word.startswith("torch==")]
offered = set(wanted) <= set(os.environ["INDEX"].split())
if not offered and os.environ["DOWN"]:
    print("WARNING: Retrying after connection broken by ...", file=sys.stderr)
full = os.environ["FULL"] and wanted and "--dry-run" not in sys.argv
sys.exit(bool(full) or not offered)
"""

#: Version of torch that is asked for.
VERSION = re.search(r"^torch==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[1]
CPU = f"{VERSION}+cpu"


@pytest.fixture
def build(tmp_path):
    """Run the installation with an index; returns the code, what torch was asked for, the log."""
    venv = tmp_path / "venv"
    for folder in (tmp_path / "bin", venv / "bin", venv / "lib" / "python3.11" / "site-packages"):
        folder.mkdir(parents=True)
    install(tmp_path / "bin", "python3", PIP)
    (venv / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "constraints.txt").write_text((ROOT / "constraints.txt").read_text())

    def run(wanted, *index, cuda=None, down=False, full=False):
        (tmp_path / "torch.py").write_text(
            f"class version:\n    cuda = {cuda!r}\n__version__ = {VERSION!r}\n"
        )
        done = subprocess.run(
            ["sh", str(ROOT / "container" / "install.sh"), wanted],
            cwd=tmp_path,
            env={
                "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
                "INDEX": " ".join(index), "DOWN": "1" if down else "", "FULL": "1" if full else "",
                "VENV": str(venv), "PYTHONPATH": str(tmp_path),
            },
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        asked = tmp_path / "asked"
        lines = asked.read_text().splitlines() if asked.exists() else []
        found = [
            version
            for line in lines
            if "--dry-run" not in line
            for version in re.findall(r"torch==(\S+)", line)
        ]
        kept = venv / "torch.txt"
        # What the log and the image say is the same.
        assert not kept.exists() or kept.read_text() in done.stdout
        return done.returncode, found, done.stdout + done.stderr

    return run


def test_the_small_build_is_taken_where_it_is_offered(build):
    code, asked, said = build("auto", VERSION, CPU)
    assert (code, asked) == (0, [CPU])
    assert "for the CPU" in said
    assert "ordinary" not in said


def test_else_the_build_goes_on_with_the_ordinary_one_and_says_so(build):
    code, asked, said = build("auto", VERSION, cuda="12.8")
    assert (code, asked) == (0, [CPU, VERSION])
    assert f"no index offers torch=={CPU}, so the ordinary build is taken" in said
    assert "--build-arg TORCH=cpu" in said
    assert f"torch {VERSION} for CUDA 12.8" in said


def test_an_index_that_is_down_is_not_taken_for_one_without_the_small_build(build):
    code, asked, said = build("auto", VERSION, down=True)
    assert (code, asked) == (1, [CPU])
    assert f"an index does not answer, so whether it offers torch=={CPU} is not known" in said
    assert "ordinary" not in said


def test_a_small_build_that_is_offered_and_cannot_be_installed_is_not_replaced(build):
    code, asked, said = build("auto", VERSION, CPU, full=True)
    assert (code, asked) == (1, [CPU])
    assert f"torch=={CPU} is offered, but cannot be installed" in said
    assert "ordinary" not in said


@pytest.mark.parametrize(
    ("wanted", "index", "asked"),
    [("cpu", [VERSION], [CPU]), ("cuda", [], [VERSION]), ("auto", [], [CPU, VERSION])],
)
def test_where_what_is_wanted_cannot_be_had_the_build_stops_and_says_what_to_do(
    build, wanted, index, asked
):
    code, found, said = build(wanted, *index)
    assert (code, found) == (1, asked)
    assert f"TORCH={wanted}: torch=={asked[-1]} cannot be installed" in said


def test_cuda_that_turns_out_to_be_for_the_cpu_is_refused(build):
    code, asked, said = build("cuda", VERSION)
    assert (code, asked) == (1, [VERSION])
    assert "the index has a CPU build" in said


def test_another_kind_is_refused_before_anything_is_fetched(build):
    code, asked, said = build("rocm", VERSION)
    assert (code, asked) == (2, [])
    assert "auto, cpu or cuda is expected" in said
