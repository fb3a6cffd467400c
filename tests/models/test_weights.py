"""Tensors from files of any origin."""

import contextlib
import pickle
import zipfile

import numpy as np
import pytest
import torch

from cmb_bidsapp.models.registry import (
    load_lesion_model,
)
from tests.models.test_nnunet import FINAL, refused
from tests.models.toys import (
    Hostile,
    checkpoint,
    toy_folder,
    toy_network,
)


def test_numbers_of_numpy_1_are_read_as_those_of_numpy_2(tmp_path):
    folder = toy_folder(tmp_path)
    path = folder / "fold_0" / FINAL
    now, before = b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(path.with_name("old"), "w") as target:
        for item in source.infolist():
            content = source.read(item)
            assert now in content or not item.filename.endswith("data.pkl")
            target.writestr(item.filename, content.replace(now, before))
    path.with_name("old").replace(path)
    assert load_lesion_model(str(folder)).card.trainer == "nnUNetTrainer"


@pytest.mark.parametrize("place", ["whole", "network_weights", "logging", "_best_ema", "plain"])
def test_code_in_a_checkpoint_is_not_run(tmp_path, place):
    folder, trace = toy_folder(tmp_path), tmp_path / "was-run"
    path = folder / "fold_0" / FINAL
    if place == "plain":
        path.write_bytes(pickle.dumps(Hostile(trace)))
    elif place == "whole":
        torch.save(Hostile(trace), path)
    else:
        torch.save(checkpoint(toy_network(), **{place: Hostile(trace)}), path)
    refused(folder, "does not hold")
    assert not trace.exists()
    # The file is as hostile as it is meant to be.
    with contextlib.suppress(RuntimeError):
        torch.load(path, weights_only=False)
    assert trace.exists()


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused(tmp_path, share):
    folder = toy_folder(tmp_path)
    path = folder / "fold_0" / FINAL
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refused(folder, "damaged")


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"network_weights": {}}, "plain tensors"),
        ({"network_weights": {"a": 1}}, "plain tensors"),
        ({"network_weights": {"a": torch.eye(2).to_sparse()}}, "plain tensors"),
        ({"init_args": {}}, "not a checkpoint"),
        ({"init_args": {"configuration": ["2d"]}}, "not a checkpoint"),
        ({"trainer_name": None}, "not a checkpoint"),
        ({"current_epoch": "9"}, "not a checkpoint"),
        ({"inference_allowed_mirroring_axes": (7,)}, "not a checkpoint"),
        ({"inference_allowed_mirroring_axes": "x"}, "not a checkpoint"),
    ],
)
def test_other_checkpoints_are_refused(tmp_path, other, said):
    refused(toy_folder(tmp_path, **other), said)


@pytest.mark.parametrize("content", [np.float64(1), [], {"state_dict": {"a": torch.zeros(1)}}])
def test_files_of_other_programs_are_refused(tmp_path, content):
    folder = toy_folder(tmp_path)
    torch.save(content, folder / "fold_0" / FINAL)
    refused(folder, "not a checkpoint")
