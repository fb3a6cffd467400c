"""The page of faults names tests that exist, and README's counts are its."""

import re
import subprocess
import sys

from tests.documents import ROOT
from tests.faults.test_inputs import DESCRIPTIONS, NAMES, REFUSED, SIDECARS

ROW = re.compile(r"^\| (?!fault \|)(?!-)(.+?) \|.*\| `(tests/\S+?\.py)::(\w+)` \|$", re.MULTILINE)


def rows():
    return ROW.findall((ROOT / "docs" / "reliability.md").read_text(encoding="utf-8"))


def test_every_fault_of_the_page_has_a_test_that_is_collected():
    lines = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8").splitlines()
    faults = [line for line in lines if line.startswith("| ") and not line.startswith("| fault |")]
    assert len(rows()) == len(faults)
    files = sorted({file for _, file, _ in rows()})
    collected = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert collected.returncode == 0, collected.stdout[-2000:]
    known = {line.partition("[")[0] for line in collected.stdout.splitlines() if "::" in line}
    assert {f"{file}::{name}" for _, file, name in rows()} <= known


def test_readme_has_the_counts_of_the_page():
    kinds = sum(map(len, (REFUSED, SIDECARS, NAMES, DESCRIPTIONS)))
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"{len(rows())} faults and {kinds} kinds of bad input, injected" in text
