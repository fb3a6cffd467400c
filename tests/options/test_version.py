"""What --version --long shows."""

import importlib.metadata

import pytest

from cmb_bidsapp.cli import main
from cmb_bidsapp.core.defaults import LESION_MODEL
from cmb_bidsapp.models.card import WEIGHTS
from cmb_bidsapp.models.registry import load_card
from cmb_bidsapp.options.version import revision


@pytest.mark.parametrize("words", [["--version", "--long"], ["--long", "--version"]])
def test_the_long_version_names_models_and_tools(words, capsys):
    assert main(words) == 0
    lines = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines()[1:])
    card = load_card(LESION_MODEL)
    assert card.files[WEIGHTS] in lines[f"model {LESION_MODEL}"]
    assert card.licence in lines[f"model {LESION_MODEL}"]
    assert lines["torch"] == importlib.metadata.version("torch")
    assert {"revision", "recon-all", "mri_synthstrip"} <= lines.keys()


def test_the_revision_is_that_of_the_image_where_there_is_no_git(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setenv("CMB_BIDSAPP_REVISION", "abc123")
    assert revision() == "abc123"
