"""Trained model folders of nnU-Net v2: which files are taken, what is refused."""

import json

import pytest
import torch

from cmb_bidsapp.core.errors import ExitCode, ModelError
from cmb_bidsapp.models.nnunet import open_result_folder
from cmb_bidsapp.models.registry import (
    check_lesion_model,
    lesion_model_parameters,
    load_lesion_model,
)
from tests.models.toys import (
    CONFIGURATION,
    FIVE,
    SPACING,
    checkpoint,
    toy_bundle,
    toy_dataset,
    toy_folder,
    toy_network,
    toy_plans,
    write,
)

FINAL, BEST = "checkpoint_final.pth", "checkpoint_best.pth"


def refused(folder, said="", folds=()):
    with pytest.raises(ModelError, match=said) as caught:
        load_lesion_model(str(folder), folds)
    assert caught.value.code == ExitCode.CONFIG
    assert "\n" not in str(caught.value)


def test_a_folder_tells_what_it_is(tmp_path):
    model = load_lesion_model(str(toy_folder(tmp_path)))
    card = model.card
    assert (card.task, card.trainer, card.configuration) == (
        "lesions",
        "nnUNetTrainer",
        CONFIGURATION,
    )
    assert card.spacing == tuple(SPACING)
    assert card.channels == ("T2starw", "T1w")
    assert dict(card.labels) == FIVE
    assert card.mirror_axes == (2,)
    assert card.nominal_slice_mm is None
    assert set(card.files) == {"dataset.json", "plans.json", f"fold_0/{FINAL}"}
    assert model.name == f"nnUNetTrainer__nnUNetPlans__{CONFIGURATION}-fold_0"
    assert model.sha256 == card.files[f"fold_0/{FINAL}"]
    assert model.training_voxels is None
    assert model.notes == ()


def folder_with(tmp_path, files):
    for file in files:
        path = tmp_path / file
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


@pytest.mark.parametrize(
    ("files", "folds", "taken", "unfinished"),
    [
        (["fold_0/final", "fold_1/final"], [], ["fold_0/final", "fold_1/final"], []),
        (["fold_0/final", "fold_0/best"], [], ["fold_0/final"], []),
        (["fold_0/best", "fold_1/best"], [], ["fold_0/best", "fold_1/best"], []),
        (["fold_0/final", "fold_1/best"], [], ["fold_0/final"], ["1"]),
        (["fold_0/final", "fold_1/best"], ["0", "1"], ["fold_0/final", "fold_1/best"], []),
        (["fold_all/final"], [], ["fold_all/final"], []),
        (["fold_all/final", "fold_3/final"], [], ["fold_3/final"], []),
        (["fold_all/final", "fold_3/final"], ["all"], ["fold_all/final"], []),
        (["fold_0/final", "fold_1/final"], ["1", "1"], ["fold_1/final"], []),
        (["fold_0/final", "fold_x/final", "fold_1/latest"], [], ["fold_0/final"], []),
    ],
)
def test_the_checkpoint_of_each_fold(tmp_path, files, folds, taken, unfinished):
    def full(names):
        return [name.replace("/", "/checkpoint_") + ".pth" for name in names]

    found = open_result_folder(folder_with(tmp_path, full(files)), folds)
    assert [str(p.relative_to(tmp_path)) for p in found.checkpoints.values()] == full(taken)
    assert list(found.unfinished) == unfinished


@pytest.mark.parametrize("fold", ["2", "all", "..", "../fold_0", "0/../0", ""])
def test_a_fold_that_is_not_there_is_refused_with_those_that_are(tmp_path, fold):
    refused(toy_folder(tmp_path, ("0", "1")), "there are 0, 1", [fold])


def test_folds_that_are_left_out_are_told(tmp_path):
    folder = toy_folder(tmp_path, ("0", "1"))
    (folder / "fold_1" / FINAL).rename(folder / "fold_1" / BEST)
    model = load_lesion_model(str(folder))
    assert len(model.weights) == 1
    (note,) = model.notes
    assert "fold 1" in note


def test_folds_of_other_trainings_are_refused(tmp_path):
    folder = toy_folder(tmp_path, ("0", "1"))
    other = checkpoint(toy_network(), inference_allowed_mirroring_axes=None)
    torch.save(other, folder / "fold_1" / FINAL)
    refused(folder, "a different training")


def test_a_folder_may_have_any_name_and_its_checkpoint_tells_the_configuration(tmp_path):
    plans = toy_plans()
    plans["configurations"]["2d"] = {}
    folder = toy_folder(tmp_path, plans=plans, name="ours")
    check_lesion_model(str(folder))
    assert load_lesion_model(str(folder)).card.configuration == CONFIGURATION


def test_a_name_that_contradicts_the_checkpoint_is_refused(tmp_path):
    plans = toy_plans()
    plans["configurations"]["other"] = plans["configurations"][CONFIGURATION]
    folder = toy_folder(tmp_path, plans=plans, name="a__b__other")
    refused(folder, "folder's name says 'other'")


@pytest.mark.parametrize("name", ["dataset.json", "plans.json"])
@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_folder_without_its_descriptions_is_refused(tmp_path, name, content):
    folder = toy_folder(tmp_path)
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content)
    refused(folder, name)
    with pytest.raises(ModelError, match=name):
        check_lesion_model(str(folder))


def test_a_folder_without_a_checkpoint_is_refused(tmp_path):
    folder = toy_folder(tmp_path)
    (folder / "fold_0" / FINAL).unlink()
    refused(folder, "no fold has a")


@pytest.mark.parametrize("lacking", ["in_plane_mm", "slice_mm", None])
def test_ranges_of_the_training_are_used_where_both_are_there(tmp_path, lacking):
    ranges = {"in_plane_mm": [0.4, 1.0], "slice_mm": [2.0, 6.0]}
    ranges.pop(lacking, None)
    model = load_lesion_model(str(toy_folder(tmp_path, dataset={**toy_dataset(), **ranges})))
    assert (model.training_voxels is None) == (lacking is not None)


@pytest.mark.parametrize("value", [1, [1.0], ["a", "b"], [2.0, 1.0], {"0": 1}])
def test_ranges_that_are_none_are_refused(tmp_path, value):
    ranges = {"in_plane_mm": value, "slice_mm": [2.0, 6.0]}
    refused(toy_folder(tmp_path, dataset={**toy_dataset(), **ranges}), "in_plane_mm")


def test_stamps_depend_on_every_file_and_the_folds(tmp_path):
    folder = toy_folder(tmp_path, ("0", "1"))
    seen = [lesion_model_parameters(str(folder), folds) for folds in ((), ("0",), ("1",))]
    write(folder / "dataset.json", {**toy_dataset(), "comment": "new"})
    seen.append(lesion_model_parameters(str(folder)))
    torch.save(checkpoint(toy_network(seed=5)), folder / "fold_1" / FINAL)
    seen.append(lesion_model_parameters(str(folder)))
    assert len({json.dumps(one, sort_keys=True) for one in seen}) == 5


def test_where_a_folder_lies_does_not_matter_to_stamps(tmp_path):
    folder = toy_folder(tmp_path)
    before = lesion_model_parameters(str(folder))
    moved = folder.rename(tmp_path / "moved")
    assert lesion_model_parameters(str(moved)) == before


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ({"channels": ["T1w", "T2starw"]}, "channels"),
        ({"labels": {"background": 0, "CMB": 1}}, "labels"),
        ({"spacing": [5.0, 1.0, 2.0]}, "spacing"),
        ({"configuration": "2d"}, "no complete configuration '2d'"),
    ],
)
def test_a_bundle_is_what_its_card_says(tmp_path, card, said):
    refused(toy_bundle(tmp_path, **card), said)


def test_a_bundle_has_no_folds(tmp_path):
    refused(toy_bundle(tmp_path), "no folds", ["0"])
    refused("lesions", "no folds", ["all"])


def test_the_anatomy_model_finds_no_lesions():
    refused("anatomy", "not for lesions")


@pytest.mark.parametrize("name", ["../models/lesions", "lesions/", "./anatomy/../lesions"])
def test_only_names_are_packaged_names(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    refused(name, "no such model")


def test_a_folder_above_the_model_is_told_where_to_go(tmp_path):
    folder = toy_folder(tmp_path)
    refused(tmp_path, f"such as {folder}")
