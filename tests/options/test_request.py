"""Which scans are asked for, and options that exclude each other."""

from pathlib import Path

import pytest

from cmb_bidsapp.core.errors import UsageError
from tests.options.lines import settings_of


def test_runs_and_acquisitions_are_filters_of_the_t2star(place):
    words = ("bids", "out", "participant", "--run-id", "run-1,02", "--acq-id", "acq-hi", "lo")
    asked = {"run": ["1", "02"], "acquisition": ["hi", "lo"]}
    assert settings_of(*words).selection.filters == {"t2starw": asked}
    Path("swi.json").write_text('{"swi": {"echo": 1}}')
    both = settings_of(*words, "--bids-filter-file", "swi.json").selection.filters
    assert both == {"swi": {"echo": 1, **asked}, "t2starw": asked}


def test_a_filter_file_and_an_option_for_one_entity_exclude_each_other(place):
    Path("run.json").write_text('{"t2starw": {"run": 1}}')
    with pytest.raises(
        UsageError, match="--run-id: --bids-filter-file already filters t2starw by run"
    ):
        settings_of("bids", "out", "participant", "--run-id", "2", "--bids-filter-file", "run.json")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["participant", "--clean-workdir"], "--clean-workdir requires -w"),
        (["group", "--reports-only"], "--reports-only requires the participant level"),
        (
            ["participant", "--reports-only", "--force"],
            "--reports-only and --force cannot be combined",
        ),
        (["participant", "--mem", "0"], "--mem 0: expected more than 0"),
        (["participant", "--random-seed", "-1"], "--random-seed -1: expected 0 or more"),
    ],
)
def test_options_that_need_or_exclude_another_are_refused(place, words, problem):
    with pytest.raises(UsageError, match=problem):
        settings_of("bids", "out", *words)
