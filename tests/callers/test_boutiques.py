import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cmb_bidsapp.callers.boutiques import descriptor
from cmb_bidsapp.callers.options import as_arguments, flag_of, is_flag, options_of
from cmb_bidsapp.core.errors import ExitCode
from cmb_bidsapp.options.parser import build_parser
from tests.skeletons import build_dataset

ROOT = Path(__file__).parents[2]
INVOCATION = {
    "bids_dir": "bids",
    "output_dir_name": "out one",
    "analysis_level": ["participant", "group"],
    "participant_label": ["sub-01", "02"],
    "no_tta": True,
    "threshold": 0.9,
    "cfpr_mode": "reference",
}


@pytest.fixture(scope="module")
def made():
    return descriptor(build_parser())


def inputs_of(made):
    return {one["id"]: one for one in made["inputs"]}


@pytest.mark.parametrize("path", ["boutiques.json", "callers/nipoppy/descriptor.json"])
def test_what_is_checked_in_is_what_the_parser_says(made, path):
    remedy = "run: python -m cmb_bidsapp.callers.boutiques " + path
    assert json.loads((ROOT / path).read_text()) == made, remedy


def test_every_option_is_an_input_and_has_its_place_on_the_command_line(made):
    inputs = inputs_of(made)
    flags = {one["command-line-flag"] for one in inputs.values() if "command-line-flag" in one}
    for option in options_of(build_parser()):
        assert flags & set(option.option_strings), option.option_strings
    keys = {one["value-key"] for one in inputs.values()} - {"[OUTPUT_DIR]"}
    assert all(made["command-line"].count(key) == 1 for key in keys)


def test_inputs_have_the_types_choices_and_defaults_of_the_parser(made):
    inputs = inputs_of(made)
    assert inputs["cfpr_mode"]["value-choices"] == ["paper", "reference"]
    assert inputs["cfpr_mode"]["default-value"] == "paper"
    assert inputs["cfpr_radius"] | {"type": "Number", "default-value": 2.0} == inputs["cfpr_radius"]
    assert inputs["nprocs"]["integer"]
    assert "integer" not in inputs["threshold"]
    assert inputs["no_tta"]["type"] == "Flag"
    assert inputs["bids_filter_file"]["type"] == "File"
    assert inputs["work_dir"]["type"] == "String", "a File has to be there already"
    assert inputs["participant_label"]["list"]
    assert inputs["bids_dir"]["optional"] is False


def test_groups_are_those_of_the_parser(made):
    members = [member for group in made["groups"] for member in group["members"]]
    positionals = {one["id"] for one in made["inputs"] if "command-line-flag" not in one}
    assert sorted(members) == sorted(set(inputs_of(made)) - positionals)


def test_exit_codes_are_those_of_the_program(made):
    codes = {one["code"]: one["description"] for one in made["error-codes"]}
    assert codes == {int(code): code.meaning for code in ExitCode if code}


def simulated(boutiques, made, invocation) -> str:
    line = boutiques.execute("simulate", json.dumps(made), "-i", json.dumps(invocation))
    return line.shell_command


def test_it_passes_the_checks_of_boutiques(tmp_path):
    boutiques = pytest.importorskip("boutiques")
    path = str(ROOT / "boutiques.json")
    boutiques.validate(path)
    boutiques.validate(path, "--bids")
    for test in json.loads((ROOT / "boutiques.json").read_text())["tests"]:
        boutiques.invocation(path, "-i", json.dumps(test["invocation"]))


def test_boutiques_makes_a_command_line_that_the_app_understands(made, tmp_path, monkeypatch):
    boutiques = pytest.importorskip("boutiques")
    monkeypatch.chdir(tmp_path)
    line = simulated(boutiques, made, INVOCATION)
    before, _, command = line.partition("; ")
    assert before == "mkdir -p 'out one'"
    program, *words = shlex.split(command)
    assert program == "cmb_bidsapp"
    parser = build_parser()
    given = parser.parse_args(words)
    assert (given.bids_dir, given.output_dir) == (Path("bids"), Path("out one"))
    assert given.level == ["participant", "group"]
    assert as_arguments(options_of(parser), given) == [
        *("--participant-label", "sub-01", "02"),
        "--no-tta",
        *("--threshold", "0.9"),
        *("--cfpr-mode", "reference"),
    ]


def test_a_folder_to_mount_leaves_the_command_line_as_it_is(made, tmp_path, monkeypatch):
    boutiques = pytest.importorskip("boutiques")
    monkeypatch.chdir(tmp_path)
    mounted = INVOCATION | {"participant_level_analysis_dir": "out one"}
    assert simulated(boutiques, made, mounted) == simulated(boutiques, made, INVOCATION)


def test_boutiques_can_give_every_option(made, tmp_path, monkeypatch):
    boutiques = pytest.importorskip("boutiques")
    monkeypatch.chdir(tmp_path)
    example = json.loads(boutiques.example(json.dumps(made), "-c"))
    words = shlex.split(simulated(boutiques, made, example).partition("; ")[2])
    given = vars(build_parser().parse_args(words[1:]))
    for option in options_of(build_parser()):
        if option.option_strings and not is_flag(option):
            # Its value is random, and may be 0.
            assert flag_of(option) in words, option.dest
        elif not is_flag(option):
            assert given[option.dest], option.dest


def test_boutiques_runs_the_app_and_names_its_exit_code(tmp_path, monkeypatch):
    boutiques = pytest.importorskip("boutiques")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    build_dataset(tmp_path / "bids", {"sub-01_T2starw": {}, "sub-02_T1w": {}})

    def launch(**invocation):
        (tmp_path / "invocation.json").write_text(json.dumps(INVOCATION | invocation))
        options = ("--no-container", "--skip-data-collection")
        return boutiques.execute(
            "launch", *options, str(ROOT / "boutiques.json"), "invocation.json"
        )

    ended = launch(dry_run=True)
    assert ended.exit_code == 0
    assert "sub-01_T2starw.nii.gz" in ended.stdout
    assert not ended.missing_files
    ended = launch(participant_label=["sub-09"])
    assert (ended.exit_code, ended.error_message) == (66, ExitCode.NO_INPUT.meaning)


def test_the_module_writes_the_descriptor(made, tmp_path):
    path = tmp_path / "one.json"
    module = "cmb_bidsapp.callers.boutiques"
    subprocess.run([sys.executable, "-m", module, str(path)], check=True)
    assert json.loads(path.read_text()) == made
