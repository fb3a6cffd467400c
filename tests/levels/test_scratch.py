"""Where a run keeps its temporary files."""

import tempfile
from pathlib import Path

import pytest

from cmb_bidsapp.cli import main
from tests.skeletons import fake_outcomes


@pytest.fixture
def scratch_seen(monkeypatch):
    """Where temporary files went during a run, which leaves one for a session."""
    seen = []

    def run_sessions(sessions, *_):
        seen.append(Path(tempfile.gettempdir()))
        (seen[0] / "sub-01-x").mkdir(exist_ok=True)
        return iter(())

    fake_outcomes(monkeypatch, {})
    monkeypatch.setattr("cmb_bidsapp.levels.participant.run_sessions", run_sessions)
    return seen


@pytest.mark.parametrize("keep", ["never", "always"])
def test_temporary_files_go_to_the_work_folder(bids, tmp_path, scratch_seen, capsys, keep):
    before, work = tempfile.gettempdir(), tmp_path / "deep" / "work"
    words = [str(bids), str(tmp_path / "out"), "participant", "-w", str(work)]
    main([*words, "--keep-workdir", keep])
    (scratch,) = set(scratch_seen)
    assert scratch.parent == work
    assert tempfile.gettempdir() == before
    assert scratch.exists() == (keep == "always")
    assert (f"keeping the working directory: {scratch}" in capsys.readouterr().out) == (
        keep == "always"
    )


def test_only_scratch_of_earlier_runs_is_cleaned(bids, tmp_path, scratch_seen):
    work = tmp_path / "work"
    (work / "cmb_bidsapp-old" / "sub-01-x").mkdir(parents=True)
    (work / "mine").mkdir()
    words = [str(bids), str(tmp_path / "out"), "participant", "-w", str(work)]
    for more in ([], ["--clean-workdir", "--dry-run"]):
        main([*words, *more])
        assert {path.name for path in work.iterdir()} == {"cmb_bidsapp-old", "mine"}
    main([*words, "--clean-workdir"])
    assert {path.name for path in work.iterdir()} == {"mine"}
