import os
import tempfile

import pytest

from cmb_bidsapp.core.scratch import SessionScratch, scratch_folder


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("keep", "failed", "stays"),
    [
        ("never", True, False),
        ("never", False, False),
        ("on-failure", True, True),
        ("on-failure", False, False),
        ("always", False, True),
    ],
)
def test_scratch_of_a_session_stays_where_it_is_to(place, monkeypatch, keep, failed, stays):
    with SessionScratch("sub-01", keep) as scratch:
        with monkeypatch.context() as child:
            for name, value in scratch.environment.items():
                child.setenv(name, value)
            child.setattr(tempfile, "tempdir", os.environ["TMPDIR"])
            with scratch_folder("step-") as folder:
                (folder / "image").touch()
            assert folder.parent == scratch.folder
            assert folder.exists() == (keep != "never")
        scratch.failed = failed
    assert [path.name[:7] for path in place.iterdir()] == ["sub-01-"] * stays


def test_scratch_goes_after_an_error(place):
    with pytest.raises(RuntimeError), scratch_folder("step-"):
        raise RuntimeError
    assert list(place.iterdir()) == []
