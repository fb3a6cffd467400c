"""Command lines, and the settings or problems they become."""

from dataclasses import replace
from pathlib import Path

import pytest

from cmb_bidsapp.cli import main
from cmb_bidsapp.core import defaults
from cmb_bidsapp.core.defaults import LESION_MODEL
from cmb_bidsapp.core.errors import UsageError
from cmb_bidsapp.core.resources import Limit, Machine, cuda_devices
from cmb_bidsapp.models.registry import load_card
from cmb_bidsapp.options.request import read_request
from cmb_bidsapp.options.resolve import read_settings, resolve
from tests.skeletons import tree

MACHINE = Machine(cpus=Limit(4, "cores"), memory=Limit(16000, "free"), gpus=cuda_devices)


def test_no_memory_is_no_amount(tmp_path):
    (tmp_path / "in").mkdir()
    (problem,) = problems_of([tmp_path / "in", tmp_path / "out", "participant", "--mem", "0"])
    assert problem == "--mem 0: expected more than 0"


@pytest.fixture
def settings_of(tmp_path):
    """Settings of a command line whose folders are a dataset and an output folder."""
    root = tmp_path / "in"
    root.mkdir(exist_ok=True)

    def read(*options, level="participant"):
        words = [str(root), str(tmp_path / "out"), level, *map(str, options)]
        return resolve(read_request(words), MACHINE)

    return read


def problems_of(arguments):
    with pytest.raises(UsageError) as caught:
        read_settings([str(argument) for argument in arguments])
    return str(caught.value).splitlines()


@pytest.mark.usefixtures("no_gpu")
def test_a_device_that_is_not_there_hides_no_other_problem(settings_of):
    with pytest.raises(UsageError, match="--threshold"):
        settings_of("--device", "cuda", "--threshold", "7")


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (["--participant-label", "sub-01", "02"], ("selection", "participants")),
        (["--participant_label", "01,sub-02"], ("selection", "participants")),
        (["--exclude-participant-label", "01", "02"], ("selection", "excluded")),
        (["--session-label", "ses-01", "02"], ("selection", "sessions")),
        (["--session-id", "01,02"], ("selection", "sessions")),
    ],
)
def test_labels_are_taken_with_or_without_prefix(settings_of, options, field):
    assert getattr(getattr(settings_of(*options), field[0]), field[1]) == ("01", "02")


@pytest.mark.parametrize(
    "option", ["--participant-label", "--exclude-participant-label", "--session-label"]
)
@pytest.mark.parametrize("value", ["", " ", ",", "@empty"])
def test_a_label_that_is_empty_never_means_everybody(settings_of, tmp_path, option, value):
    (tmp_path / "empty").write_text("\n")
    value = value.replace("@", f"@{tmp_path}/")
    with pytest.raises(UsageError, match=option):
        settings_of(option, value)


@pytest.mark.parametrize("option", ["--participant-label", "--exclude-participant-label"])
def test_labels_may_come_from_a_file(settings_of, tmp_path, option):
    path = tmp_path / "labels.txt"
    path.write_text("sub-01\n02,03\n\n  sub-04 05\n")
    selection = settings_of(option, f"@{path}", "06").selection
    assert selection.participants + selection.excluded == ("01", "02", "03", "04", "05", "06")


def test_a_file_of_labels_that_is_none_is_named_with_its_option(settings_of, tmp_path):
    path = tmp_path / "labels.txt"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(UsageError, match=f"--session-label @{path}: cannot read the labels"):
        settings_of("--session-label", f"@{path}")


@pytest.mark.parametrize(
    "option",
    ["--nprocs", "--n-procs", "--n_procs", "--nthreads", "--n_cpus", "--n-cpus", "-n-cpus",
     "--ncpus"],
)  # fmt: skip
def test_spellings_of_the_number_of_cores(settings_of, option):
    resources = settings_of(option, "6", "--omp-nthreads", "2", "--mem", "1T").resources
    assert (resources.processes, resources.threads) == (3, 2)


@pytest.mark.parametrize("option", ["--mem", "--mem_mb", "--mem-mb"])
@pytest.mark.parametrize("amount", ["10000", "10000 MB"])
def test_spellings_of_the_memory(settings_of, option, amount):
    resources = settings_of(option, amount, "--nprocs", "8", "--omp-nthreads", "1").resources
    assert resources.processes == 2


@pytest.mark.parametrize(
    "words",
    [
        ["--skip-bids-validation"], ["--skip_bids_validation"], ["--skip_bids_validator"],
        ["--notrack"], ["--use-plugin", "plugin.yml"], ["--bids-database-dir", "/elsewhere"],
        ["--bids-database-wipe"],
    ],
)  # fmt: skip
def test_options_of_other_apps_are_accepted_told_and_change_nothing(settings_of, words):
    settings = settings_of(*words)
    assert replace(settings, without_effect=()) == settings_of()
    (told,) = settings.without_effect
    assert words[0].replace("_", "-")[:18] in told
    assert "has no effect: " in told


@pytest.mark.parametrize(
    "words", [["--nprocs", "2"], ["--mem", "8 GB"], ["--mem-gb", "8"], ["--low-mem"]]
)
def test_limits_of_this_machine_do_not_hold_on_a_cluster(settings_of, words):
    assert settings_of(*words).without_effect == ()
    (told,) = settings_of(*words, "--scheduler", "tcp://10.0.0.1:8786").without_effect
    assert told.startswith(f"{words[0]} has no effect: the resources of the workers")


def test_defaults_are_the_documented_ones(settings_of):
    settings = settings_of()
    assert settings.decisions.threshold == load_card(LESION_MODEL).threshold
    assert settings.decisions.cfpr
    assert settings.decisions.cfpr_mode == "paper"
    assert settings.decisions.cfpr_radius == defaults.CFPR_RADIUS_MM
    assert settings.decisions.cfpr_ratio == defaults.CFPR_RATIO
    assert settings.decisions.phase_rule == "report"
    assert settings.decisions.min_size == defaults.MIN_DIAMETER_MM
    assert settings.clinical.baseline_limit == 4
    assert settings.lesions.tta
    assert not settings.dry_run
    assert not settings.force


def test_options_reach_the_settings(settings_of, tmp_path):
    filters = tmp_path / "filters.json"
    filters.write_text('{"t1w": {"acquisition": null}}')
    settings = settings_of(
        "--no-cfpr", "--no-tta", "--threshold", "0.3", "--cfpr-radius", "3", "--cfpr-ratio", "1",
        "--cfpr-mode", "reference", "--phase-rule", "reject",
        "--min-size", "0", "--model", "other", "--folds", "0", "all",
        "--brain-extraction", "embedded", "--parcellation", "atlas", "--device", "cpu",
        "--dry-run", "--force", "--baseline-limit", "0",
        "--stop-on-first-crash", "--random-seed", "9", "--bids-filter-file", filters,
        "-w", tmp_path / "work", "--keep-workdir", "on-failure", "--clean-workdir", "-vv",
    )  # fmt: skip
    assert vars(settings.decisions) == {
        "threshold": 0.3, "cfpr": False, "cfpr_mode": "reference", "cfpr_radius": 3.0,
        "cfpr_ratio": 1.0, "phase_rule": "reject", "min_size": 0.0,
    }  # fmt: skip
    assert settings.clinical.baseline_limit == 0
    assert (settings.lesions.model, settings.lesions.tta) == ("other", False)
    assert settings.lesions.folds == ("0", "all")
    assert settings.anatomy.brain_extraction == "embedded"
    assert settings.anatomy.parcellation == "atlas"
    assert settings.resources.device == "cpu"
    assert settings.dry_run
    assert settings.force
    assert settings.stop_on_first_crash
    assert settings.seed == 9
    assert settings.selection.filters == {"t1w": {"acquisition": None}}
    assert settings.work_dir == tmp_path / "work"
    assert (settings.keep_workdir, settings.clean_workdir) == ("on-failure", True)
    assert settings.verbosity == 2


def test_anatomy_options_reach_the_settings(settings_of, tmp_path):
    folders = [tmp_path / name for name in ("fs", "prep", "a=b")]
    for folder in folders:
        folder.mkdir()
    atlas, terms = tmp_path / "jhu.nii.gz", tmp_path / "license.txt"
    for file in (atlas, terms):
        file.touch()
    anatomy = settings_of(
        "--parcellation", "freesurfer", "-d", f"freesurfer={folders[0]}", folders[1], folders[2],
        "--proxy-rules", "reference", "--jhu-atlas", atlas, "--fs-license-file", terms,
        "--fs-subjects-dir", tmp_path / "subjects", "--fs-no-reconall", "--fs-no-resume",
    ).anatomy  # fmt: skip
    assert anatomy.derivatives == tuple(folders)
    assert (anatomy.parcellation, anatomy.proxy_rules) == ("freesurfer", "reference")
    assert (anatomy.jhu_atlas, anatomy.license_file) == (atlas, terms)
    assert anatomy.subjects_dir == tmp_path / "subjects"
    assert not anatomy.run_reconall
    assert not anatomy.resume_reconall


def test_freesurfer_lies_in_the_outputs_unless_told_otherwise(settings_of, tmp_path):
    settings = settings_of()
    assert settings.subjects_dir == tmp_path / "out" / "sourcedata" / "freesurfer"
    assert settings_of("--fs-subjects-dir", "/subjects").subjects_dir == Path("/subjects")


def test_what_anatomy_options_name_has_to_be_there(settings_of, tmp_path):
    with pytest.raises(UsageError) as caught:
        settings_of(
            "-d", "fs=/absent", "--jhu-atlas", tmp_path, "--fs-license-file", "/absent.txt",
            "--parcellation", "synthseg", "--fs-no-reconall",
        )  # fmt: skip
    problems = str(caught.value).splitlines()
    for named in ("-d fs=/absent", "--jhu-atlas", "--fs-license-file", "--fs-no-reconall"):
        assert sum(named in problem for problem in problems) == 1, named


@pytest.mark.parametrize(
    ("given", "levels"),
    [
        (["participant"], ("participant",)),
        (["group"], ("group",)),
        (["group", "participant"], ("participant", "group")),
    ],
)
def test_levels_come_in_their_order(tmp_path, given, levels):
    assert read_settings([str(tmp_path), str(tmp_path.parent / "out"), *given]).levels == levels


def test_the_group_level_needs_no_dataset(tmp_path):
    assert read_settings([str(tmp_path / "absent"), str(tmp_path / "out"), "group"])


@pytest.mark.parametrize(
    ("option", "field"), [("--reference-derivatives", "reference"), ("--ratings", "ratings")]
)
def test_folders_of_the_group_level(settings_of, tmp_path, option, field):
    assert getattr(settings_of(option, tmp_path, level="group"), field) == tmp_path
    assert getattr(settings_of(level="group"), field) is None
    with pytest.raises(UsageError) as caught:
        settings_of(option, tmp_path / "absent")
    assert str(caught.value).splitlines() == [
        f"{option} {tmp_path / 'absent'}: not a folder",
        f"{option} requires the group level",
    ]


@pytest.mark.parametrize("option", ["--min-size", "--cfpr-radius", "--cfpr-ratio", "--threshold"])
@pytest.mark.parametrize("value", ["inf", "nan"])
def test_numbers_have_to_be_finite(settings_of, option, value):
    with pytest.raises(UsageError, match=option):
        settings_of(option, value)


@pytest.mark.parametrize("out", [".", "out", "sub-01/out", "code/derivates"])
def test_outputs_inside_the_dataset_are_refused(bids, out):
    before = tree(bids)
    arguments = [str(bids), str(bids / out), "participant"]
    assert any("BIDS_DIR" in problem for problem in problems_of(arguments))
    assert main(arguments) == 2
    assert tree(bids) == before


@pytest.mark.parametrize("out", ["derivatives/cmb", "derivatives/a/b", "../out", "../bids-out"])
def test_outputs_in_derivatives_or_outside_are_fine(bids, out):
    assert read_settings([str(bids), str(bids / out), "participant"])


def test_outputs_behind_dots_or_links_into_the_dataset_are_refused(bids, tmp_path):
    (tmp_path / "link").symlink_to(bids)
    for out in (
        tmp_path / "x" / ".." / "bids" / "out",
        bids / "derivatives" / ".." / "out",
        tmp_path / "link" / "out",
    ):
        assert any("BIDS_DIR" in p for p in problems_of([bids, out, "participant"])), out


def test_work_and_index_inside_the_dataset_are_refused(bids, tmp_path):
    where = [bids, tmp_path / "out", "participant"]
    for option in ("-w", "--work-dir", "--bids-database-dir"):
        for inside in (bids, bids / "work", bids / "derivatives" / "work"):
            (problem,) = problems_of([*where, option, inside])
            assert "inside BIDS_DIR" in problem


def test_output_spaces_are_named_once_with_their_resolution(tmp_path):
    arguments = [str(tmp_path / "bids"), str(tmp_path / "out"), "group", "--output-spaces"]
    settings = read_settings(
        [*arguments, "MNI152NLin6Asym", "MNI152NLin6Asym:res-2", "Other:res-01"]
    )
    assert settings.output_spaces == ("MNI152NLin6Asym:res-2", "Other:res-1")
    with pytest.raises(UsageError) as caught:
        read_settings([*arguments, "../x", "--min-size", "-1"])
    assert len(str(caught.value).splitlines()) == 2
