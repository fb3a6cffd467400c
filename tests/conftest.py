"""Fixtures that several parts of the suite share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of public images that are not part of the repository."""
    folder = os.environ.get("CMB_TEST_DATA")
    if not folder:
        pytest.skip("CMB_TEST_DATA is not set: it names the folder of the public test images")
    path = Path(folder)
    if not path.is_dir():
        pytest.skip(f"CMB_TEST_DATA is {folder}, which is no folder")
    return path
