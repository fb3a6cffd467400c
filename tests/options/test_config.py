"""A past run as options."""

from dataclasses import replace

import pytest

from cmb_bidsapp.core.errors import UsageError
from cmb_bidsapp.options.request import read_request
from tests.options.lines import EVERYTHING, settings_of


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
    assert (again.resources.cores, again.resources.processes) == (8, 8)
    assert not again.dry_run
    assert not again.force


@pytest.mark.parametrize("text", ["x", "speed = 1", 'bids_dir = "/b"', None])
def test_what_is_no_past_run_is_told_in_one_line(place, text):
    if text is not None:
        (place / "past.toml").write_text(text)
    with pytest.raises(UsageError, match=r"--config-file past.toml: .*cmb_bidsapp.toml") as caught:
        read_request(["--config-file", "past.toml"])
    assert "\n" not in str(caught.value)
