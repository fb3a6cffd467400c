"""Users without a home or a name."""

import getpass
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cmb_bidsapp.core.errors import CannotWriteError
from cmb_bidsapp.core.home import provide_home

#: What the child says of itself: its home, whether it can be written to, its name.
REPORT = (
    "import getpass, os, pathlib; from cmb_bidsapp.core.home import provide_home;"
    "provide_home(); home = pathlib.Path.home(); (home / 'x').touch();"
    "print(home, getpass.getuser(), os.environ['LOGNAME'], sep='|')"
)


def report(**environment: str) -> tuple[str, str, str]:
    """Run a child with these variables and no others; its home, name and login."""
    found = subprocess.run(
        [sys.executable, "-c", REPORT],
        env={"PATH": os.environ["PATH"], **environment},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    home, name, login = found.stdout.strip().split("|")
    return home, name, login


@pytest.fixture
def nobody(monkeypatch):
    """A process whose user no list has."""
    for variable in ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)

    def unknown(*_):
        raise KeyError("uid not found")

    monkeypatch.setattr("pwd.getpwuid", unknown)


def test_a_good_home_stays(tmp_path):
    assert report(HOME=str(tmp_path), USER="ann", LOGNAME="ann") == (str(tmp_path), "ann", "ann")


def test_a_home_that_is_not_there_is_replaced_and_gone_afterwards(tmp_path):
    temporary = tmp_path / "scratch"
    temporary.mkdir()
    home, *_ = report(HOME=str(tmp_path / "gone"), USER="ann", TMPDIR=str(temporary))
    assert Path(home).parent == temporary
    assert list(temporary.iterdir()) == []


@pytest.mark.skipif(os.getuid() == 0, reason="root writes anywhere")
def test_a_home_that_cannot_be_written_to_is_replaced(tmp_path):
    locked = tmp_path / "home"
    locked.mkdir(mode=stat.S_IRUSR | stat.S_IXUSR)
    assert report(HOME=str(locked), USER="ann")[0] != str(locked)


def test_a_user_in_no_list_gets_a_home_and_the_number_as_name(nobody, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("atexit.register", lambda *_, **__: None)
    provide_home()
    assert Path.home().parent == tmp_path
    assert getpass.getuser() == os.environ["LOGNAME"] == str(os.getuid())


def test_no_place_for_a_home_is_said_with_what_to_do(nobody, monkeypatch):
    def nowhere(**_):
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr("tempfile.mkdtemp", nowhere)
    with pytest.raises(CannotWriteError, match=r"\['/tmp'\].*choose one with -w"):
        provide_home()
