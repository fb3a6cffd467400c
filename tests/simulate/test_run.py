"""The verb simulate."""

import pytest

from cmb_bidsapp.cli import main
from tests.simulate.heads import HEAD
from tests.simulate.test_dataset_cohort import lesions


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--new", "3", "1"], "--new 3 1: expected 0 <= MIN <= MAX"),
        (["--unchanged", "2"], "--unchanged 2.0: expected 0 to 1"),
        (["--sessions", "0"], "--sessions 0: expected at least 1"),
        (["--follow-up-protocol", "none-such"], "--follow-up-protocol none-such"),
    ],
)
def test_what_cannot_be_simulated_is_a_usage_error(tmp_path, capsys, options, said):
    assert main(["simulate", str(tmp_path / "out"), *options]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_command_line_makes_numbered_sessions(tmp_path, monkeypatch):
    monkeypatch.setattr("cmb_bidsapp.simulate.anatomy.atlas_head", lambda: HEAD)
    options = ["--participants", "1", "--sessions", "2", "--microbleeds", "1", "1"]
    options += ["--protocol", "gre3t3mm", "--new", "1", "1"]
    assert main(["simulate", str(tmp_path / "out"), *options]) == 0
    assert [len(lesions(tmp_path / "out", "01", session)) for session in "12"] == [1, 2]
