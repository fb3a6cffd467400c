import stat
from pathlib import Path

import pytest

from cmb_bidsapp.core.errors import LicenseError, classify
from cmb_bidsapp.tools.license import REGISTRATION, freesurfer_license

TEXT = "someone@example.org\n12345\n *Cabcdefghijk\n FSabcdefghijk"


pytestmark = pytest.mark.usefixtures("no_license")


@pytest.fixture
def file(tmp_path):
    def write(name: str, text: str = TEXT) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


def test_each_place_goes_before_those_after_it(file, monkeypatch):
    hidden = file("home/.license")
    monkeypatch.setenv("FREESURFER_HOME", str(hidden.parent))
    with freesurfer_license(None) as path:
        assert path == hidden
    home = file("home/license.txt")
    with freesurfer_license(None) as path:
        assert path == home
    monkeypatch.setenv("FREESURFER_LICENSE", "the text")
    with freesurfer_license(None) as path:
        assert path.read_text() == "the text\n"
    named = file("named.txt")
    monkeypatch.setenv("FS_LICENSE", str(named))
    with freesurfer_license(None) as path:
        assert path == named
    given = file("given.txt")
    with freesurfer_license(given) as path:
        assert path == given
    assert all(p.read_text() == TEXT for p in (hidden, home, named, given))


@pytest.mark.parametrize("variable", ["FS_LICENSE", "FREESURFER_LICENSE"])
@pytest.mark.parametrize("text", [TEXT, TEXT + "\n", TEXT.replace("\n", "\\n")])
def test_a_text_becomes_a_file_of_our_own_for_a_while(variable, text, monkeypatch):
    monkeypatch.setenv(variable, text)
    with freesurfer_license(None) as path:
        assert path.is_absolute()
        assert path.read_text() == TEXT + "\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


def test_the_file_is_gone_after_an_error_too(monkeypatch):
    monkeypatch.setenv("FREESURFER_LICENSE", TEXT)
    with pytest.raises(KeyboardInterrupt), freesurfer_license(None) as path:
        raise KeyboardInterrupt
    assert not path.exists()


def test_a_relative_path_holds_wherever_the_program_goes(file, tmp_path, monkeypatch):
    given = file("given.txt")
    monkeypatch.chdir(tmp_path)
    with freesurfer_license(Path("given.txt")) as path:
        assert path == given


def test_without_one_all_places_and_the_way_to_one_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("FS_LICENSE", "")
    monkeypatch.setenv("FREESURFER_LICENSE", " \n")
    with pytest.raises(LicenseError, match="FREESURFER_HOME"), freesurfer_license(None):
        pass
    monkeypatch.setenv("FREESURFER_HOME", str(tmp_path))
    with pytest.raises(LicenseError) as error, freesurfer_license(None):
        pass
    code, message = classify(error.value)
    assert code == 126
    for place in (
        "--fs-license-file",
        "FS_LICENSE",
        "FREESURFER_LICENSE",
        str(tmp_path / "license.txt"),
        str(tmp_path / ".license"),
        REGISTRATION,
    ):
        assert place in message


@pytest.mark.parametrize("by", ["option", "variable"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing.txt", "No such file"),
        ("empty.txt", "empty"),
        ("folder", "directory"),
        ("x" * 300, "too long"),
    ],
)
def test_a_path_that_names_none_is_an_error_whatever_else_is_there(
    by, name, said, file, tmp_path, monkeypatch
):
    monkeypatch.setenv("FREESURFER_LICENSE", TEXT)
    file("empty.txt", " \n")
    (tmp_path / "folder").mkdir()
    path = tmp_path / name
    if by == "variable":
        monkeypatch.setenv("FS_LICENSE", str(path))
    origin = "--fs-license-file" if by == "option" else "FS_LICENSE"
    with (
        pytest.raises(LicenseError, match=f"^{origin}: .*{name}.*{said}.*{REGISTRATION}"),
        freesurfer_license(path if by == "option" else None),
    ):
        pass
