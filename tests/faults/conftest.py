"""Runs of the tiny program."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.skeletons import build_dataset

ROOT = Path(__file__).parents[2]


class Tiny:
    """A dataset, an output folder, and the tiny program that takes one to the other."""

    def __init__(self, folder: Path, labels: list[str]):
        self.bids = build_dataset(folder / "bids", {f"sub-{one}_T2starw": {} for one in labels})
        self.out, self._marks = folder / "out", folder / "marks"
        child = folder / "child"
        child.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tests.faults.tiny "$@"\n')
        child.chmod(0o755)
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TINY_CHILD": str(child),
            "TINY_MARKS": str(self._marks),
            "TINY_CONNECTIONS": str(folder / "connections"),
            "OMP_NUM_THREADS": "1",
        }

    def start(
        self,
        *options: str,
        out: Path | None = None,
        limit: Callable[[], object] | None = None,
    ) -> subprocess.Popen[str]:
        """Start it; ``limit`` is called in its process first."""
        command = [sys.executable, "-m", "tests.faults.tiny", str(self.bids), str(out or self.out)]
        return subprocess.Popen(
            [*command, "participant", *options],
            env=self.environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=limit,
        )

    def run(self, *options: str, **how: Any) -> tuple[int, str, str]:
        """Exit code, standard output and error."""
        process = self.start(*options, **how)
        said, complained = process.communicate(timeout=900)
        return process.returncode, said, complained

    def forget(self) -> None:
        """Forget the phases that began so far."""
        self._marks.unlink(missing_ok=True)

    @property
    def connections(self) -> list[str]:
        """Connections that were asked for."""
        path = Path(self.environment["TINY_CONNECTIONS"])
        return path.read_text().splitlines() if path.exists() else []

    @property
    def marks(self) -> list[str]:
        """Phases that began, in their order."""
        return self._marks.read_text().splitlines() if self._marks.exists() else []


@pytest.fixture
def tiny(tmp_path):
    return lambda *labels: Tiny(tmp_path, list(labels))
