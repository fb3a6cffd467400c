"""Verbs, help and versions: what the program does before anything is read."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from cmb_bidsapp import __version__
from cmb_bidsapp.cli import main
from cmb_bidsapp.core.defaults import LESION_MODEL
from cmb_bidsapp.models.card import WEIGHTS
from cmb_bidsapp.models.registry import load_card
from cmb_bidsapp.options.version import revision


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_version_and_help_import_nothing_heavy(option):
    code = (
        "import sys\n"
        "from cmb_bidsapp.cli import main\n"
        f"code = main([{option!r}])\n"
        "heavy = {'torch', 'ants', 'nnunetv2', 'scipy', 'bids', 'distributed'}\n"
        "print('heavy', sorted(heavy & set(sys.modules)), code)\n"
    )
    child = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert child.stdout.splitlines()[-1] == "heavy [] 0"
    assert len(child.stdout.splitlines()) > 1


def test_who_chooses_scans_and_hands_out_sessions_does_without_what_computes():
    code = (
        "import sys, cmb_bidsapp.levels.participant\n"
        "heavy = {'torch', 'ants', 'nnunetv2', 'bids', 'distributed', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    child = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert child.stdout == "[]\n"


def test_the_module_is_the_program():
    child = subprocess.run(
        [sys.executable, "-m", "cmb_bidsapp", "--version"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (child.returncode, child.stdout) == (0, f"cmb_bidsapp {__version__}\n")


@pytest.mark.parametrize(
    "verb",
    [
        *([], ["demo"], ["simulate"], ["train"], ["train", "lesions"], ["evaluate"]),
        *(["sensitivity"], ["adapt"]),
    ],
)
def test_every_verb_has_help(verb, capsys):
    assert main([*verb, "--help"]) == 0
    assert " ".join(["usage: cmb_bidsapp", *verb]) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("evalute", "evaluate"), ("simulte", "simulate"), ("dmeo", "demo"), ("trian", "train")],
)
def test_a_mistyped_verb_is_told_the_nearest(typed, meant, capsys):
    for words in ([typed, "a", "b", "c"], [typed, "--help"], [typed]):
        assert main(words) == 2
        assert f"did you mean cmb_bidsapp {meant}?" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["simulation", "out", "group"], ["--help"], ["xyz", "a"]])
def test_no_verb_is_suggested_where_none_was_meant(words, capsys):
    main(words)
    assert "did you mean" not in capsys.readouterr().err


def test_a_dataset_may_be_called_like_a_verb(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("demos").mkdir()
    assert main(["demos", "out"]) == 2
    assert "did you mean" not in capsys.readouterr().err


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
