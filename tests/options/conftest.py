"""A folder with all that options may name."""

from pathlib import Path

import pytest


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with what options may name; the current one."""
    monkeypatch.chdir(tmp_path)
    for folder in ("bids", "fs", "ratings", "truth", "mymodel"):
        Path(folder).mkdir()
    for file in ("jhu.nii.gz", "license.txt"):
        Path(file).touch()
    Path("filters.json").write_text('{"t1w": {"acquisition": null, "run": [1, null]}}')
    return tmp_path
