"""The verb train, up to where the trainings begin."""

import dataclasses

import pytest

from cmb_bidsapp.core.errors import UsageError
from cmb_bidsapp.options.train import read_training
from cmb_bidsapp.train import run
from cmb_bidsapp.train.run import backgrounds, run_anatomy_training
from tests.sensitivity.scans import plain_scan


@pytest.fixture
def anatomy(tmp_path):
    words = ["anatomy", "a.mgz", "--output-dir", tmp_path / "bundle", "--work-dir", tmp_path / "w"]
    return read_training([*map(str, words), "--name", "mine", "--steps", "50"])


def test_a_card_that_cannot_be_written_is_refused_before_anything_is_trained(anatomy, monkeypatch):
    monkeypatch.setattr(run, "train_anatomy", None)
    with pytest.raises(UsageError, match="name"):
        run_anatomy_training(dataclasses.replace(anatomy, name="a\nb"))
    assert not anatomy.work_dir.exists()


def test_progress_is_told_now_and_then_and_at_the_end(anatomy, monkeypatch, capsys):
    exported = []

    def train(label_maps, path, *, steps, progress, **options):
        for step in range(1, steps + 1):
            progress(step, 0.25)
        assert path.parent == anatomy.work_dir
        return {"weights": 1}

    monkeypatch.setattr(run, "train_anatomy", train)
    monkeypatch.setattr(run, "export_anatomy", lambda *a, **b: exported.append((a, b)))
    assert run_anatomy_training(anatomy) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in said[:-1]] == ["step 25/50", "step 50/50"]
    assert said[-1] == f"bundle: {anatomy.output_dir}"
    ((given, more),) = exported
    assert (given[2]["name"], more) == ("mine", {"steps": 50})


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Six sessions, and two of another folder; no image is read."""
    labels = [f"sub-{number:02d}" for number in range(1, 7)]
    sessions = {"own": labels, "more": ["sub-01", "sub-99"]}

    def chosen(derivatives, masks, *, participants=(), excluded=()):
        return [
            (Files(label), masks) for label in sessions[derivatives.name] if label not in excluded
        ]

    @dataclasses.dataclass
    class Files:
        label: str

    monkeypatch.setattr(run, "chosen_sessions", chosen)
    monkeypatch.setattr(run, "read_background", lambda files, labeled: plain_scan())
    return ["second-look", "own", "bundle"]


def labels_of(words):
    return [label for label, _ in backgrounds(read_training(words))]


def test_scans_come_from_every_folder(folders):
    assert len(labels_of(folders)) == 6
    assert labels_of([*folders, "--also", "more"])[6:] == ["sub-01", "sub-99"]
    assert "sub-03" not in labels_of([*folders, "--exclude-participant-label", "sub-03"])


def test_a_part_is_left_out_of_its_own_folder_alone(folders):
    parts = [labels_of([*folders, "--fold", str(n), "--folds", "3"]) for n in range(3)]
    left_out = [set(labels_of(folders)) - set(part) for part in parts]
    assert [len(part) for part in left_out] == [2, 2, 2]
    assert set.union(*left_out) == set(labels_of(folders))
    more = labels_of([*folders, "--fold", "0", "--folds", "3", "--also", "more"])
    assert more[4:] == ["sub-01", "sub-99"]
    with pytest.raises(UsageError, match="--fold"):
        labels_of([*folders, "--fold", "3", "--folds", "3"])
