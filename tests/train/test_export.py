from pathlib import Path

import pytest
import torch

from cmb_bidsapp.cli import main
from cmb_bidsapp.core.errors import ModelError
from cmb_bidsapp.models.registry import load_bundle, load_lesion_model
from cmb_bidsapp.train.export import export_nnunet
from tests.models.toys import CONFIGURATION, SPACING, STATED, Hostile, toy_folder


@pytest.mark.parametrize("name", ["final", "latest"])
def test_the_bundle_of_a_training_is_the_model_of_its_folder(tmp_path: Path, name: str) -> None:
    folder = toy_folder(tmp_path)
    model = load_lesion_model(str(folder))
    final = folder / "fold_0" / "checkpoint_final.pth"
    final.rename(final.with_name(f"checkpoint_{name}.pth"))
    export_nnunet(folder / "fold_0", tmp_path / "bundle", {**STATED, "metrics": {"dice": 0.5}})
    bundle = load_lesion_model(str(tmp_path / "bundle"))
    same = ("task", "trainer", "spacing", "channels", "labels", "configuration", "mirror_axes")
    for key in same:
        assert getattr(bundle.card, key) == getattr(model.card, key), key
    assert bundle.card.configuration == CONFIGURATION
    assert bundle.card.nominal_slice_mm == SPACING[0]
    assert bundle.card.schedule == {"epochs": 7}
    assert bundle.card.metrics == {"dice": 0.5}
    (weights,), (before,) = bundle.weights.values(), model.weights.values()
    assert 0 < len(weights) < len(before)
    assert all(torch.equal(value, before[key]) for key, value in weights.items())
    load_bundle(str(tmp_path / "bundle"))


def test_code_in_a_checkpoint_is_not_run_on_export(tmp_path: Path) -> None:
    folder = toy_folder(tmp_path, logging=Hostile(tmp_path / "was-run"))
    with pytest.raises(ModelError):
        export_nnunet(folder / "fold_0", tmp_path / "bundle", STATED)
    assert not (tmp_path / "was-run").exists()


def test_a_name_no_card_can_hold_is_refused_before_the_training(tmp_path: Path, capsys) -> None:
    folders = ["--output-dir", str(tmp_path / "out"), "--work-dir", str(tmp_path / "work")]
    arguments = ["train", "anatomy", str(tmp_path / "map.nii.gz"), *folders, "--name", " "]
    assert main([*arguments, "--device", "cpu"]) == 2
    assert "name must be" in capsys.readouterr().err
    assert not (tmp_path / "work").exists()
