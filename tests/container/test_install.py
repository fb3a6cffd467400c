"""Which torch an image gets, and what the build says where it cannot be had."""

import os
import re
import subprocess

import pytest

from tests.container.engines import ROOT
from tests.standins import install

#: Keeps what pip is asked for; has no torch of any kind.
PIP = """
import sys
with open("asked", "a") as stream:
    print(*sys.argv[1:], file=stream)
sys.exit(any(word.startswith("torch==") for word in sys.argv))
"""


@pytest.fixture
def build(tmp_path):
    """Run the installation on a machine whose pip has no torch; what was asked, what was said."""
    (tmp_path / "bin").mkdir()
    install(tmp_path / "bin", "python3", PIP)
    (tmp_path / "constraints.txt").write_text((ROOT / "constraints.txt").read_text())

    def run(wanted):
        done = subprocess.run(
            ["sh", str(ROOT / "container" / "install.sh"), wanted],
            cwd=tmp_path,
            env={"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode != 0
        asked = tmp_path / "asked"
        return asked.read_text() if asked.exists() else "", done.stderr

    return run


def test_the_cpu_is_asked_for_by_a_version_that_cuda_never_has(build):
    asked, said = build("cpu")
    assert re.search(r" torch==[\d.]+\+cpu$", asked.strip())
    assert "--build-arg PIP_EXTRA_INDEX_URL=URL" in said
    assert "--build-arg TORCH=cuda" in said


def test_cuda_is_asked_for_by_the_plain_version(build):
    asked, said = build("cuda")
    assert re.search(r" torch==[\d.]+$", asked.strip())
    assert "TORCH=cuda" in said


def test_another_kind_is_refused_before_anything_is_fetched(build):
    asked, said = build("rocm")
    assert asked == ""
    assert "cpu or cuda is expected" in said
