import argparse
from pathlib import Path

import pytest

from cmb_bidsapp.callers.options import as_arguments, flag_of, groups_of, options_of, paths_in
from cmb_bidsapp.core.defaults import LESION_MODEL
from cmb_bidsapp.options.parser import build_parser

START = ["bids", "out", "participant"]


def given(*words):
    parser = build_parser()
    return options_of(parser), parser.parse_args([*START, *words])


def one_of_each(parser: argparse.ArgumentParser) -> list[str]:
    """A command line with every option, none at its default."""
    words = []
    for action in options_of(parser):
        words.append(flag_of(action))
        if action.choices:
            words.append(next(c for c in action.choices if c != action.default))
        elif action.nargs != 0:
            words += ["7"] if action.type in (int, float) else ["/some/where"]
    return words


def test_every_option_survives_being_written_and_read_again():
    words = one_of_each(build_parser())
    options, first = given(*words)
    written = as_arguments(options, first)
    assert given(*written)[1] == first
    assert {word for word in written if word.startswith("--")} == {flag_of(o) for o in options}


def test_defaults_are_not_written():
    options, nothing = given()
    assert as_arguments(options, nothing) == []
    options, same = given("--cfpr", "--device", "auto", "--random-seed", "0")
    assert as_arguments(options, same) == []


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        (["-n-cpus", "3"], ["--nprocs", "3"]),
        (["--no-tta"], ["--no-tta"]),
        (["-vv"], ["--verbose", "--verbose"]),
        (["--participant_label", "01", "sub-02"], ["--participant-label", "01", "sub-02"]),
    ],
)
def test_other_spellings_become_the_first(typed, written):
    assert as_arguments(*given(*typed)) == written


def test_what_is_left_out_is_not_written():
    options, namespace = given("--force", "--nprocs", "3")
    assert as_arguments(options, namespace, ["nprocs"]) == ["--force"]


def test_paths_become_absolute_and_names_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("mine", "fs", "atlas"):
        Path(folder).mkdir()
    words = ["-w", "work", "--model", "mine", "--parcellation", "atlas", "-d", "fs", "x=fs"]
    options, namespace = given(*words)
    assert as_arguments(options, namespace) == [
        *("--parcellation", "atlas"),
        *("--derivatives", f"{tmp_path}/fs", f"x={tmp_path}/fs"),
        *("--model", f"{tmp_path}/mine"),
        *("--work-dir", f"{tmp_path}/work"),
    ]
    assert list(paths_in(options, namespace)) == [
        (tmp_path / "fs", False),
        (tmp_path / "fs", False),
        (tmp_path / "mine", False),
        (tmp_path / "work", True),
    ]


def test_the_name_of_a_packaged_model_is_no_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, arguments in (("lesions-valdo", ["--model", "lesions-valdo"]), (LESION_MODEL, [])):
        Path(name).mkdir()
        options, namespace = given("--model", name)
        assert as_arguments(options, namespace) == arguments
        assert list(paths_in(options, namespace)) == []


def test_groups_hold_every_option_once():
    parser = build_parser()
    found = [action.dest for actions in groups_of(parser).values() for action in actions]
    assert len(found) == len(set(found)) > 30
    assert not {"help", "version", "bids_dir"} & set(found)
