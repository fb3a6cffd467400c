"""Fixtures that several parts of the suite share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.skeletons import build_dataset
from tests.standins import Machine

# A slow machine is no failure.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


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


@pytest.fixture
def bids(tmp_path):
    return build_dataset(
        tmp_path / "bids",
        {
            "sub-01_T2starw": {"EchoTime": 0.02},
            "sub-01_part-phase_T2starw": {},
            "sub-01_T1w": {},
            "sub-02_T1w": {},
            "sub-03_swi": {},
        },
    )


@pytest.fixture
def no_licence(monkeypatch):
    """An environment that knows of no FreeSurfer licence."""
    for name in ("FS_LICENSE", "FREESURFER_LICENSE", "FREESURFER_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def machine(tmp_path, monkeypatch, no_licence):
    """A machine with no programs, and no licence for them."""
    made = Machine(tmp_path)
    monkeypatch.setenv("PATH", str(made.bin))
    return made
