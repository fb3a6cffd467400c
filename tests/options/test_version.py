"""What --version --long shows."""

import importlib.metadata

import pytest

from cmb_bidsapp.cli import main
from cmb_bidsapp.core.defaults import LESION_MODEL
from cmb_bidsapp.models.card import SECOND_LOOK, WEIGHTS
from cmb_bidsapp.models.registry import load_card
from cmb_bidsapp.options.version import long_version, revision
from tests.standins import install


@pytest.mark.parametrize("words", [["--version", "--long"], ["--long", "--version"]])
def test_the_long_version_names_models_and_tools(words, capsys):
    assert main(words) == 0
    lines = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines()[1:])
    card = load_card(LESION_MODEL)
    for name in (WEIGHTS, SECOND_LOOK):
        assert f"{name} SHA-256 {card.files[name]}" in lines[f"model {LESION_MODEL}"]
    assert card.license in lines[f"model {LESION_MODEL}"]
    assert lines["torch"] == importlib.metadata.version("torch")
    assert {"revision", "recon-all", "mri_synthstrip"} <= lines.keys()


def test_a_release_of_freesurfer_tells_its_version(monkeypatch, tmp_path):
    folders = [tmp_path / name / "bin" for name in ("freesurfer", "other")]
    for folder, name in zip(folders, ("recon-all", "mri_synthstrip"), strict=True):
        folder.mkdir(parents=True)
        install(folder, name, "")
    (tmp_path / "freesurfer" / "build-stamp.txt").write_text("freesurfer-7.4.1\n")
    monkeypatch.setenv("PATH", ":".join(map(str, folders)))
    lines = long_version().splitlines()
    assert f"recon-all: {folders[0] / 'recon-all'}, freesurfer-7.4.1" in lines
    assert f"mri_synthstrip: {folders[1] / 'mri_synthstrip'}" in lines


def test_the_revision_is_that_of_the_image_where_there_is_no_git(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setenv("CMB_BIDSAPP_REVISION", "abc123")
    assert revision() == "abc123"
