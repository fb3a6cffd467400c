import subprocess
import sys
from pathlib import Path

import pytest

from cmb_bidsapp import __version__
from cmb_bidsapp.cli import main
from cmb_bidsapp.core.errors import UnavailableError
from cmb_bidsapp.core.resources import choose_device, cuda_devices
from tests.options.test_resolve_lines import problems_of
from tests.skeletons import result_of


def test_all_problems_are_reported_at_once(tmp_path, capsys):
    arguments = [
        tmp_path / "absent", tmp_path / "out", "participant", "--threshold", "1.5",
        "--cfpr-ratio", "-1", "--cfpr-radius", "0", "--min-size", "-3", "--nprocs", "0",
        "--sensitivity", "-2",
        "--omp-nthreads", "-2", "--mem", "lots", "--device", "tpu",
        "--participant-label", f"@{tmp_path / 'nolist'}",
        "--bids-filter-file", tmp_path / "nofilter.json", "--folds", "1", "../0",
        "--baseline-limit", "-1", "--random-seed", "-1",
    ]  # fmt: skip
    problems = problems_of(arguments)
    for named in (
        "absent", "--threshold 1.5", "--cfpr-ratio -1", "--cfpr-radius 0", "--min-size -3",
        "--sensitivity -2",
        "--nprocs 0", "--omp-nthreads -2", "lots", "--device tpu", "nolist", "nofilter.json",
        "--folds ../0", "--baseline-limit -1", "--random-seed -1",
    ):  # fmt: skip
        assert sum(named in problem for problem in problems) == 1, named
    assert main([str(argument) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert [line.removeprefix("cmb_bidsapp: ") for line in captured.err.splitlines()] == problems
    assert captured.out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["in"],
        ["in", "out"],
        ["in", "out", "session"],
        ["in", "out", "participant", "--no-such-option"],
        ["in", "out", "participant", "--participant", "01"],
        ["in", "out", "participant", "--threshold", "high"],
        ["demo", "--no-such-option"],
        ["train"],
        ["simulate"],
    ],
)
def test_a_wrong_command_line_is_code_2_and_says_where_help_is(arguments, capsys):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert "--help" in captured.err
    assert "Traceback" not in captured.err


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:3"])
def test_cuda_without_a_gpu_is_unavailable(bids, tmp_path, capsys, device):
    assert main([str(bids), str(tmp_path / "out"), "participant", "--device", device]) == 69
    captured = capsys.readouterr()
    assert f"--device {device}" in captured.err
    assert result_of(captured.out) == (0, 0, 0, 69)
    with pytest.raises(UnavailableError):
        choose_device(device, cuda_devices)


@pytest.mark.parametrize("level", ["participant", "group"])
def test_every_level_logs_by_verbosity(level, bids, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("cmb_bidsapp.cli.show_logs", shown.append)
    monkeypatch.setattr("cmb_bidsapp.levels.run.run_app", lambda _: 0)
    for options in ([], ["-v"], ["-vv"]):
        assert main([str(bids), str(tmp_path), level, *options]) == 0
    assert shown == [0, 1, 2]


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
