"""Classes, labels and a whole small training of the lesion network."""

import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from cmb_bidsapp.core.errors import UsageError
from cmb_bidsapp.lesions.segment import LesionNetwork
from cmb_bidsapp.models.registry import load_lesion_model
from cmb_bidsapp.train.cases import find_cases, split_participants
from cmb_bidsapp.train.lesions import (
    class_labels,
    refuse_patch,
    start_network,
    training_labels,
    write_raw_dataset,
)

SHAPE = (48, 40, 12)

AFFINE = np.diag([0.5, 0.5, 4.0, 1.0])


def write_session(
    folder: Path, number: int, *, truth: bool = True, affine: np.ndarray = AFFINE
) -> None:
    """A box of a head: four classes side by side, a lesion, and what lies beside it."""
    rng = np.random.default_rng(number)
    proxy = np.zeros(SHAPE, np.uint8)
    for value in (1, 2, 3):
        proxy[12 * (value - 1) + 4 : 12 * value + 4, 4:36] = value
    lesion, ignore, mimics = (np.zeros(SHAPE, np.uint8) for _ in range(3))
    lesion[8:11, 10:13, 5] = 1
    ignore[20:22, 10:12, 5] = 1
    mimics[10:14, 30:32, 6] = 1
    t2star = (proxy > 0) * (500 + 100.0 * proxy)
    t2star[(lesion | mimics) > 0] = 50
    t2star = t2star + rng.normal(0, 5, SHAPE) * (proxy > 0)
    images = {
        "desc-preproc_T2starw": t2star.astype(np.float32),
        "space-T2starw_desc-preproc_T1w": (300.0 * proxy).astype(np.float32),
        "space-T2starw_desc-proxy_dseg": proxy,
        "space-T2starw_label-CMB_mask": lesion,
    }
    if truth:
        images["space-T2starw_label-CMB_desc-ignore_mask"] = ignore
        images["space-T2starw_desc-mimics_dseg"] = mimics
    anat = folder / f"sub-{number:02d}" / "anat"
    anat.mkdir(parents=True)
    for name, data in images.items():
        nib.save(nib.Nifti1Image(data, affine), anat / f"sub-{number:02d}_{name}.nii.gz")


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("truth")
    for number in (1, 2, 3):
        write_session(folder, number)
    return folder


def test_the_classes_are_what_is_asked_for(sessions: Path):
    cases = find_cases(sessions)
    full = class_labels(cases, proxy=True, mimics=True)
    names = ["background", "lobar", "deep", "infratentorial", "CMB", "mimic", "ignore"]
    assert list(full) == names
    assert list(full.values()) == list(range(7))
    assert class_labels(cases, proxy=False, mimics=False) == {
        "background": 0,
        "CMB": 1,
        "ignore": 2,
    }


def test_lesions_lie_over_mimics_over_regions(sessions: Path):
    case = find_cases(sessions)[0]
    classes = class_labels([case], proxy=True, mimics=True)
    labels = training_labels(case, classes)
    assert (labels == classes["CMB"]).sum() == 9
    assert (labels == classes["ignore"]).sum() == 4
    assert (labels == classes["mimic"]).sum() == 8
    assert labels[5, 5, 0] == classes["lobar"]
    alone = training_labels(case, class_labels([case], proxy=False, mimics=False))
    assert np.unique(alone).tolist() == [0, 1, 2]
    assert (alone == 1).sum() == 9


def test_without_faint_lesions_nothing_is_ignored(tmp_path: Path):
    write_session(tmp_path, 1, truth=False)
    cases = find_cases(tmp_path)
    assert "ignore" not in class_labels(cases, proxy=True, mimics=False)
    with pytest.raises(UsageError, match=r"sub-01 has no \*_desc-mimics_dseg"):
        class_labels(cases, proxy=True, mimics=True)


def test_a_work_folder_serves_one_training(sessions: Path, tmp_path: Path):
    cases = find_cases(sessions)
    write_raw_dataset(cases, tmp_path)
    write_raw_dataset(cases, tmp_path)
    for other in ({"proxy": False}, {"mimics": True}):
        with pytest.raises(UsageError, match="choose an empty --work-dir"):
            write_raw_dataset(cases, tmp_path, **other)
    with pytest.raises(UsageError, match="choose an empty --work-dir"):
        write_raw_dataset(cases[:2], tmp_path)


def test_thin_slices_are_learned_as_they_are_seen_later(tmp_path: Path):
    thin = tmp_path / "truth"
    write_session(thin, 1, affine=np.diag([0.5, 0.5, 0.8, 1.0]))
    write_raw_dataset(find_cases(thin), tmp_path / "raw", mimics=True)
    written = {
        path.name: nib.load(path).get_fdata()
        for path in (tmp_path / "raw" / "Dataset001_CMB").glob("*/*.nii.gz")
    }
    given = nib.load(thin / "sub-01/anat/sub-01_desc-preproc_T2starw.nii.gz").get_fdata()
    pairs = (given[..., ::2] + given[..., 1::2]) / 2
    np.testing.assert_allclose(written["sub-01_0000.nii.gz"], pairs, rtol=1e-6)
    labels = written["sub-01.nii.gz"]
    assert labels.shape == pairs.shape
    assert np.argwhere(labels == 4)[:, 2].tolist() == [2] * 9, "slice 5 of the lesion"
    assert np.argwhere(labels == 5)[:, 2].tolist() == [3] * 8, "slice 6 of the mimic"


def network_of(classes: int):
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    plans = load_lesion_model("lesions").plans["configurations"]["3d_fullres"]["architecture"]
    torch.manual_seed(0)
    return get_network_from_plans(
        plans["network_class_name"],
        plans["arch_kwargs"],
        plans["_kw_requires_import"],
        2,
        classes,
        deep_supervision=True,
    )


def test_weights_go_to_the_classes_of_their_name():
    model = load_lesion_model("lesions")
    classes = {"background": 0, "CMB": 1, "new": 2}
    network = network_of(len(classes))
    before = network.state_dict()["decoder.seg_layers.0.weight"].clone()
    start_network(network, model, classes)
    after = network.state_dict()["decoder.seg_layers.0.weight"]
    (weights,) = model.weights.values()
    given = weights["decoder.seg_layers.0.weight"]
    assert (after[0] == given[model.card.labels["background"]]).all()
    assert (after[1] == given[model.card.labels["CMB"]]).all()
    assert (after[2] == before[2]).all()


def train(sessions: Path, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Train in a process of its own: nnU-Net takes its folders from the environment, once."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "cmb_bidsapp", "train", "lesions", str(sessions)),
            *("--work-dir", str(folder / "work"), "--output-dir", str(folder / "bundle")),
            *("--name", "tiny", *options),
        ],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_training_is_resumed_and_its_bundle_predicts(sessions: Path, tmp_path: Path):
    first = train(sessions, tmp_path, "--epochs", "1", "--loss", "ce", "--mimics")
    assert first.returncode == 0, first.stderr
    log = first.stdout
    assert "train_loss" in log
    assert "Pseudo dice" in log
    second = train(sessions, tmp_path, "--epochs", "2", "--loss", "ce", "--mimics")
    assert second.returncode == 0, second.stderr
    assert "Epoch 1" in second.stdout
    assert "Epoch 0" not in second.stdout

    card = json.loads((tmp_path / "bundle" / "model.json").read_text())
    assert card["trainer"] == "DiceCETrainer"
    assert card["schedule"] == {"epochs": 2}
    assert list(card["labels"])[-2:] == ["CMB", "mimic"]
    case = find_cases(sessions)[0]
    images = [nib.load(path).get_fdata(dtype=np.float32) for path in (case.t2star, case.t1w)]
    result = LesionNetwork(load_lesion_model(str(tmp_path / "bundle")))(*images, AFFINE)
    assert result.labels.shape == SHAPE
    assert set(np.unique(result.labels)) <= {0, 1, 2, 3, 4}
    regions = nib.load(case.proxy).get_fdata()
    # A hundred steps on three boxes are enough for the plainest region.
    agree = (result.labels == regions)[regions > 0].mean()
    assert agree > 0.5


def test_sessions_of_a_participant_are_in_the_same_fold():
    names = [f"sub-{n:02d}_ses-{s}" for n in range(1, 8) for s in "AB"]
    splits = split_participants(names, 3, seed=1)
    tested = [name for split in splits for name in split["val"]]
    assert sorted(tested) == names
    for split in splits:
        people = [{name[:6] for name in split[part]} for part in ("train", "val")]
        assert not people[0] & people[1]
        assert sorted(split["train"] + split["val"]) == names
    assert split_participants(names, 3, seed=1) == splits
    assert split_participants(names, 3, seed=2) != splits


def test_more_folds_than_participants_are_refused():
    with pytest.raises(UsageError, match="3 folds"):
        split_participants(["sub-01_ses-A", "sub-01_ses-B", "sub-02"], 3, seed=0)


def test_a_patch_that_the_network_cannot_halve_is_refused():
    strides = [[1, 1, 1], [1, 2, 2], [2, 2, 2], [2, 2, 2]]
    plans = {"architecture": {"arch_kwargs": {"strides": strides}}}
    refuse_patch((12, 96, 96), plans)
    with pytest.raises(UsageError, match=r"--patch-size 10 96 96: .* multiples of 4 8 8"):
        refuse_patch((10, 96, 96), plans)
