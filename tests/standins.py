"""Stand-ins for programs that are not installed where the tests run."""

import sys
from pathlib import Path


def install(folder: Path, name: str, script: str) -> Path:
    """Write a Python script that can be called by its name where ``folder`` is on the path."""
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{script}")
    path.chmod(0o755)
    return path
