"""The levels in their order, and which of them follows which end."""

from pathlib import Path

import pytest

from cmb_bidsapp.core.outcome import Summary
from cmb_bidsapp.levels import group as group_level
from cmb_bidsapp.levels import run
from cmb_bidsapp.settings import Settings
from tests.skeletons import result_of


@pytest.fixture
def levels(monkeypatch, tmp_path):
    """Run levels that end as they are told; gives the summary and which ran."""

    def running(*names, first=None, second=None, **options):
        ran = []

        def ends(name, summary):
            def level(*_):
                ran.append(name)
                return summary or Summary(ok=2)

            return level

        monkeypatch.setattr(run, "participant", ends("participant", first))
        monkeypatch.setattr(group_level, "group", ends("group", second))
        settings = Settings(bids_dir=tmp_path, out_dir=tmp_path / "out", levels=names, **options)
        return run.run_levels(settings), ran

    return running


@pytest.mark.parametrize("names", [("participant",), ("group",), ("participant", "group")])
def test_the_levels_that_are_asked_for_run_in_their_order(levels, names):
    summary, ran = levels(*names)
    assert ran == list(names)
    assert (summary.ok, summary.code) == (2, 0)


def test_the_group_follows_a_participant_level_that_failed_in_part(levels):
    failed = Summary(ok=1, failed=1, code=65)
    summary, ran = levels("participant", "group", first=failed)
    assert ran == ["participant", "group"]
    assert summary == failed


def test_both_levels_are_counted_once_and_the_groups_failure_is_the_code(levels):
    summary, _ = levels("participant", "group", second=Summary(ok=9, failed=1, code=1))
    assert (summary.ok, summary.failed, summary.code) == (2, 0, 1)


@pytest.mark.parametrize(
    "options", [{"first": Summary(code=130, broken_off=True)}, {"dry_run": True}]
)
def test_nothing_follows_a_run_that_broke_off_or_was_only_shown(levels, options):
    _, ran = levels("participant", "group", **options)
    assert ran == ["participant"]


def test_what_has_no_effect_is_said_first_and_the_result_last(
    levels, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(run, "take_blas_buffer", lambda: None)
    levels("participant")
    settings = Settings(
        bids_dir=Path(tmp_path),
        out_dir=tmp_path / "out",
        levels=("participant",),
        without_effect=("--notrack has none",),
    )
    capsys.readouterr()
    assert run.run_app(settings) == 0
    said = capsys.readouterr().out
    assert said.startswith("--notrack has none\n")
    assert result_of(said) == (2, 0, 0, 0)
