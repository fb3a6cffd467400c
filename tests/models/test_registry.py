import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cmb_bidsapp.bids.stamps import sha256_of
from cmb_bidsapp.core.errors import ExitCode, ModelError
from cmb_bidsapp.models.registry import (
    PACKAGED,
    load_bundle,
    load_card,
    load_lesion_model,
    packaged_models,
    threshold_of,
)
from cmb_bidsapp.train.export import export_bundle
from tests.models.toys import STATED, Hostile

CARD = {
    **STATED,
    "task": "anatomy",
    "trainer": "none",
    "spacing": [1.0, 1.0, 1.0],
    "channels": ["T1w"],
    "labels": {"background": 0},
    "architecture": {"in_channels": 1, "classes": 1, "features": [1], "convolutions": [1]},
}


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    first = torch.nn.Linear(3, 2)
    # The same layer under two names, as nnU-Net's networks have it.
    return torch.nn.ModuleDict({"a": first, "b": torch.nn.Sequential(first)})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    export_bundle(tmp_path, network().state_dict(), CARD, {"plans.json": {"x": 1}})
    return tmp_path


def test_weights_come_back_in_half_precision(folder: Path) -> None:
    trained, fresh = network(), network()
    torch.nn.init.zeros_(fresh["a"].weight)
    load_bundle(str(folder)).load_into(fresh)
    torch.testing.assert_close(fresh["a"].weight, trained["a"].weight, atol=1e-3, rtol=1e-3)


def test_a_shared_tensor_is_stored_once(folder: Path) -> None:
    state = torch.load(folder / "weights.pt", weights_only=True)
    assert sorted(state) == ["a.bias", "a.weight"]
    assert all(value.dtype == torch.float16 for value in state.values())


@pytest.mark.parametrize("name", ["weights.pt", "plans.json"])
def test_a_changed_file_is_refused(folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ModelError, match="SHA-256") as caught:
        load_bundle(str(folder))
    assert caught.value.code == ExitCode.CONFIG


def test_a_missing_file_is_refused(folder: Path) -> None:
    (folder / "plans.json").unlink()
    with pytest.raises(ModelError, match="missing"):
        load_bundle(str(folder))


def test_code_in_a_weights_file_is_not_run(folder: Path, tmp_path: Path) -> None:
    trace = tmp_path / "was-run"

    torch.save({"a.bias": Hostile(trace)}, folder / "weights.pt")
    card = json.loads((folder / "model.json").read_text())
    card["files"]["weights.pt"] = sha256_of(folder / "weights.pt")
    (folder / "model.json").write_text(json.dumps(card))
    with pytest.raises(ModelError):
        load_bundle(str(folder)).load_into(network())
    assert not trace.exists()


def test_weights_of_another_network_are_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match="another network"):
        load_bundle(str(folder)).load_into(torch.nn.Linear(5, 5))


def test_an_unknown_model_names_the_packaged_ones() -> None:
    with pytest.raises(ModelError, match="anatomy, lesions"):
        load_card("nothing-of-this-name")


@pytest.mark.parametrize("name", ["anatomy", "lesions"])
def test_packaged_models_are_whole_small_and_described(name: str) -> None:
    assert name in packaged_models()
    bundle = load_bundle(name)
    card = dataclasses.asdict(bundle.card)
    stated = ("license", "training_data", "trainer", "spacing", "channels", "labels", "metrics")
    assert all(card[key] for key in stated)
    assert (card["name"], card["task"]) == (name, name)
    assert (bundle.folder / "weights.pt").stat().st_size < 25 * 2**20


def test_the_packaged_lesion_model_keeps_slices_and_knows_the_regions() -> None:
    model = load_lesion_model("lesions")
    assert model.card.nominal_slice_mm == model.card.spacing[0]
    assert model.card.channels == ("T2starw", "T1w")
    assert (model.classes.cmb, dict(model.classes.regions)) == (4, {1: 1, 2: 2, 3: 3})
    assert model.training_voxels is not None


def test_the_registry_is_read_without_torch() -> None:
    code = (
        "import sys\n"
        "from cmb_bidsapp.models.registry import check_lesion_model, lesion_model_parameters\n"
        "check_lesion_model('lesions'), lesion_model_parameters('lesions')\n"
        "print(sorted({'torch', 'nnunetv2'} & set(sys.modules)))\n"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert child.stdout == "[]\n"


def with_threshold(folder: Path, **stated: object) -> str:
    """The packaged lesion model with another threshold in its card, or none."""
    card = json.loads((PACKAGED / "lesions" / "model.json").read_text())
    card.pop("threshold", None)
    folder.mkdir()
    (folder / "model.json").write_text(json.dumps({**card, **stated}))
    return str(folder)


def test_the_threshold_is_the_card_s_or_a_half(tmp_path: Path):
    assert threshold_of(with_threshold(tmp_path / "a", threshold=0.8)) == 0.8
    assert threshold_of(with_threshold(tmp_path / "b")) == 0.5


@pytest.mark.parametrize("threshold", [0, 1, "half", True, None])
def test_a_threshold_that_is_no_probability_is_refused(tmp_path: Path, threshold: object):
    with pytest.raises(ModelError, match="threshold must be a probability"):
        threshold_of(with_threshold(tmp_path / "a", threshold=threshold))
