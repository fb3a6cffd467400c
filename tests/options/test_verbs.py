"""Command lines of the verbs, and the frozen requests they become."""

import dataclasses
import stat

import pytest

from cmb_bidsapp.core.errors import UsageError
from cmb_bidsapp.core.request import Request
from cmb_bidsapp.options.adapt import adapt_parser, read_adaptation
from cmb_bidsapp.options.doctor import doctor_parser, read_doctor
from cmb_bidsapp.options.sensitivity import read_sensitivity, sensitivity_parser
from cmb_bidsapp.options.verbs import (
    convert_parser,
    demo_parser,
    evaluate_parser,
    read_conversion,
    read_demo,
    read_evaluation,
    read_simulation,
    read_slurm,
    simulate_parser,
    slurm_parser,
)

PARSERS = (
    adapt_parser, convert_parser, demo_parser, doctor_parser, evaluate_parser, sensitivity_parser,
    simulate_parser, slurm_parser,
)  # fmt: skip


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """The current folder, with two others in it."""
    monkeypatch.chdir(tmp_path)
    for name in ("in", "truth"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.__name__)
def test_a_parser_is_called_as_its_verb_and_describes_it(parser):
    made = parser()
    assert made.prog == f"cmb_bidsapp {parser.__name__.removesuffix('_parser')}"
    assert made.description.endswith(".") or "docs/" in made.description
    assert f"usage: {made.prog}" in made.format_help()


@pytest.mark.parametrize(
    ("read", "words"),
    [
        (read_simulation, ["out"]),
        (read_conversion, ["valdo", "in", "out"]),
        (read_evaluation, ["in", "truth", "out"]),
        (read_sensitivity, ["in"]),
        (read_adaptation, ["in", "--output-dir", "bundle"]),
        (read_doctor, []),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_request_is_frozen_and_its_lists_are_tuples(read, words):
    request = read(words)
    assert isinstance(request, Request)
    values = dataclasses.asdict(request)
    assert not any(isinstance(value, list) for value in values.values())
    hash(tuple(value for value in values.values() if not isinstance(value, dict)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        request.anything = 1


@pytest.mark.parametrize(
    ("read", "words", "problems"),
    [
        (
            read_simulation,
            ["out", "--participants", "0", "--microbleeds", "5", "2"],
            [
                "--participants 0: expected at least 1",
                "--microbleeds 5 2: expected 0 <= MIN <= MAX",
            ],
        ),
        (
            read_evaluation,
            ["in", "absent", "truth/out", "--min-score", "1"],
            ["REF_DERIVATIVES absent: not a folder", "--min-score 1.0: expected between 0 and 1"],
        ),
        (read_conversion, ["valdo", "absent", "out"], ["VALDO_DIR"]),
        (read_conversion, ["valdo", "in", "in/out"], ["BIDS_DIR"]),
        (
            read_sensitivity,
            ["absent", "--draws", "0"],
            ["OUTPUT_DIR", "--draws 0: expected at least 1"],
        ),
        (
            read_adaptation,
            ["absent", "--output-dir", "bundle"],
            ["OUTPUT_DIR absent: not a folder"],
        ),
        (read_doctor, ["--mem", "much"], ["--mem: "]),
        (
            read_slurm,
            ["--image", "absent.sif", "--time", "1\n2"],
            ["--image absent.sif", "a single line"],
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_all_problems_are_told_at_once_a_line_each(read, words, problems):
    with pytest.raises(UsageError) as caught:
        read(words)
    told = str(caught.value).splitlines()
    assert len(told) == len(problems)
    for one, named in zip(told, problems, strict=True):
        assert named in one


def test_nothing_is_evaluated_into_its_inputs():
    with pytest.raises(UsageError, match="choose a folder outside the inputs"):
        read_evaluation(["in", "truth", "truth/out"])


def test_methods_may_be_several_and_options_stand_among_them():
    request = read_evaluation(["a=in", "--preset", "valdo", "b=in", "truth", "out"])
    assert request.predicted == ("a=in", "b=in")
    assert (request.reference.name, request.output_dir.name) == ("truth", "out")


def test_of_slurm_what_it_does_not_know_is_the_apps(folders):
    program = folders / "run"
    program.touch()
    with pytest.raises(UsageError, match="not a file that can be executed"):
        read_slurm(["--program", str(program)])
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    words = ["in", "out", "participant", "--cfpr-radius", "3"]
    request, left = read_slurm(["--program", str(program), *words, "--max-concurrent", "4"])
    assert left == words
    assert (request.max_concurrent, request.participants_per_task) == (4, 1)


def test_the_demo_has_a_folder():
    assert read_demo([]).name == "cmb_demo"
    assert read_demo(["elsewhere"]).name == "elsewhere"
