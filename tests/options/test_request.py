"""Past runs repeated, and which scans are asked for."""

from dataclasses import replace
from pathlib import Path

import pytest

from cmb_bidsapp.core.errors import UsageError
from cmb_bidsapp.core.resources import Limit, Machine
from cmb_bidsapp.options.request import read_request
from cmb_bidsapp.options.resolve import resolve

MACHINE = Machine(cpus=Limit(8, "cores"), memory=Limit(64000, "free"), gpus=lambda: 0)


def settings_of(*words):
    return resolve(read_request([str(word) for word in words]), MACHINE)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with what options may name; the current one."""
    monkeypatch.chdir(tmp_path)
    for folder in ("bids", "fs", "ratings", "truth", "mymodel"):
        Path(folder).mkdir()
    for file in ("jhu.nii.gz", "license.txt"):
        Path(file).touch()
    Path("filters.json").write_text('{"t1w": {"acquisition": null, "run": [1, null]}}')
    return tmp_path


#: Every option that changes a result, none at its default.
EVERYTHING = (
    "bids", "out", "participant", "group",
    "--participant-label", "01", "02", "--exclude-participant-label", "03",
    "--session-label", "A", "--bids-filter-file", "filters.json", "--acq-id", "acq-hi",
    "--brain-extraction", "embedded", "--parcellation", "freesurfer", "-d", "x=fs",
    "--fs-subjects-dir", "subjects", "--fs-license-file", "license.txt", "--fs-no-reconall",
    "--fs-no-resume", "--proxy-rules", "reference", "--jhu-atlas", "jhu.nii.gz",
    "--model", "mymodel", "--folds", "0", "--no-tta", "--threshold", "0.25", "--no-cfpr",
    "--cfpr-mode", "reference", "--cfpr-radius", "3", "--cfpr-ratio", "0.25", "--min-size", "1",
    "--phase-rule", "reject",
    "--baseline-limit", "9", "--output-spaces", "MNI152NLin6Asym",
    "--reference-derivatives", "truth", "--ratings", "ratings", "--random-seed", "5",
)  # fmt: skip


def past_run(place, *words):
    settings = settings_of(*words)
    path = place / "cmb_bidsapp.toml"
    path.write_text(settings.to_toml())
    return settings, path


def test_a_past_run_is_repeated_from_anywhere(place, monkeypatch):
    first, path = past_run(place, *EVERYTHING)
    (place / "filters.json").unlink()
    monkeypatch.chdir("/")
    again = settings_of("--config-file", path)
    assert again == first
    assert again.anatomy.subjects_dir == place / "subjects"
    assert again.lesions.model == str(place / "mymodel")


def test_every_option_that_changes_a_result_is_repeated(place):
    first, path = past_run(place, *EVERYTHING)
    plain = settings_of("bids", "out", "participant")
    same = [
        name
        for part in ("selection", "anatomy", "lesions", "decisions", "clinical")
        for name, value in vars(getattr(first, part)).items()
        if value == vars(getattr(plain, part))[name]
    ]
    assert same == ["model"]  # of the anatomy, which no option names
    assert settings_of(f"--config-file={path}") == first


def test_what_is_typed_wins(place):
    first, path = past_run(place, *EVERYTHING)
    again = settings_of(
        "bids", "other", "participant", "--config-file", path, "--participant-label", "07",
        "--tta", "--cfpr-radius", "2",
    )  # fmt: skip
    assert again == replace(
        first,
        out_dir=place / "other",
        levels=("participant",),
        selection=replace(first.selection, participants=("07",)),
        lesions=replace(first.lesions, tta=True),
        decisions=replace(first.decisions, cfpr_radius=2.0),
        reference=None,
        ratings=None,
    )


def test_the_threshold_of_a_past_run_goes_with_its_model_and_operating_point(place):
    _, path = past_run(place, "bids", "out", "participant", "--threshold", "0.25")
    fresh = settings_of("bids", "out", "participant", "--model", "lesions")
    for words in (["--model", "lesions"], ["--operating-point", "sensitive"]):
        again = settings_of("--config-file", path, *words)
        assert again.decisions.threshold != 0.25
    assert settings_of("--config-file", path, "--model", "lesions").decisions == fresh.decisions


def test_resources_and_control_are_those_of_each_run(place):
    _, path = past_run(
        place, "bids", "out", "participant", "--nprocs", "2", "--dry-run", "--force", "-w", "work"
    )
    again = settings_of("--config-file", path)
    assert (again.resources.processes, again.resources.threads) == (2, 4)
    assert not again.dry_run
    assert not again.force


@pytest.mark.parametrize("text", ["x", "speed = 1", 'bids_dir = "/b"', None])
def test_what_is_no_past_run_is_told_in_one_line(place, text):
    if text is not None:
        (place / "past.toml").write_text(text)
    with pytest.raises(UsageError, match=r"--config-file past.toml: .*cmb_bidsapp.toml") as caught:
        read_request(["--config-file", "past.toml"])
    assert "\n" not in str(caught.value)


def test_runs_and_acquisitions_are_filters_of_the_t2star(place):
    words = ("bids", "out", "participant", "--run-id", "run-1,02", "--acq-id", "acq-hi", "lo")
    asked = {"run": ["1", "02"], "acquisition": ["hi", "lo"]}
    assert settings_of(*words).selection.filters == {"t2starw": asked}
    Path("swi.json").write_text('{"swi": {"echo": 1}}')
    both = settings_of(*words, "--bids-filter-file", "swi.json").selection.filters
    assert both == {"swi": {"echo": 1, **asked}, "t2starw": asked}


def test_a_filter_file_and_an_option_for_one_entity_exclude_each_other(place):
    Path("run.json").write_text('{"t2starw": {"run": 1}}')
    with pytest.raises(UsageError, match="--run-id: --bids-filter-file has run for t2starw"):
        settings_of("bids", "out", "participant", "--run-id", "2", "--bids-filter-file", "run.json")


def test_memory_may_be_given_in_gb(place):
    words = ("bids", "out", "participant", "--omp-nthreads", "1")
    assert settings_of(*words, "--mem-gb", "12.5").resources.memory_mb == 12800
    assert settings_of(*words, "--mem-gb", "12.5").resources.processes == 3
    with pytest.raises(UsageError) as caught:
        settings_of(*words, "--mem-gb", "0", "--mem", "8G")
    assert str(caught.value).splitlines() == [
        "--mem and --mem-gb exclude each other; give one of them",
        "--mem-gb 0.0: more than 0 GB is expected",
    ]


def test_low_mem_is_one_session_at_a_time(place):
    words = ("bids", "out", "participant", "--omp-nthreads", "2")
    assert settings_of(*words).resources.processes == 4
    lean = settings_of(*words, "--low-mem").resources
    assert (lean.processes, lean.threads) == (1, 2)
    assert "--low-mem" in lean.reason


def test_resolving_prints_nothing(place, capsys):
    settings_of(*EVERYTHING)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["participant", "--clean-workdir"], "--clean-workdir: name the folder with -w"),
        (["group", "--reports-only"], "--reports-only: has no meaning without the participant"),
        (["participant", "--reports-only", "--force"], "exclude each other"),
        (["participant", "--mem", "0"], "--mem 0: more than 0 is expected"),
        (["participant", "--random-seed", "-1"], "--random-seed -1: 0 or more is expected"),
    ],
)
def test_options_that_need_or_exclude_another_are_refused(place, words, problem):
    with pytest.raises(UsageError, match=problem):
        settings_of("bids", "out", *words)
