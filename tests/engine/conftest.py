"""Sessions run by children that a stand-in takes the place of."""

import sys

import pytest

from cmb_bidsapp.engine.children import Children
from cmb_bidsapp.engine.pool import run_sessions
from tests.engine.standin import CHILD, WORDS, settings_of
from tests.skeletons import session


@pytest.fixture
def marks(tmp_path, monkeypatch):
    path = tmp_path / "marks"
    path.touch()
    child = tmp_path / "python"
    child.write_text(CHILD.format(python=sys.executable, words=WORDS, marks=str(path)))
    child.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(child))
    return lambda: path.read_text().splitlines()


@pytest.fixture
def run(tmp_path, marks):
    """Run sessions with the stand-in; the settings' options may be given."""

    def runs(*labels, processes=2, on_event=lambda *_: None, **options):
        settings = settings_of(tmp_path, processes, **options)
        sessions = [session(label) for label in labels]
        return run_sessions(sessions, settings, tmp_path / "logs", on_event)

    return runs


@pytest.fixture
def run_one(tmp_path, marks):
    def runs(label, children=None, on_event=lambda *_: None):
        log = tmp_path / "logs" / "log"
        settings = settings_of(tmp_path, 1)
        return (children or Children()).run(session(label), settings, log, on_event)

    return runs
