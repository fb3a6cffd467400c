"""Lesion models of a few weights, run: bundles and nnU-Net's own folders."""

import dataclasses

import numpy as np
import pytest
import torch

from cmb_bidsapp.core.errors import ExitCode, ModelError
from cmb_bidsapp.core.labels import CMB
from cmb_bidsapp.lesions.second_look import SecondLook
from cmb_bidsapp.lesions.segment import LesionNetwork, class_map, with_regions
from cmb_bidsapp.models.classes import Classes
from cmb_bidsapp.models.registry import load_lesion_model
from cmb_bidsapp.train.export import add_second_look
from tests.models.toys import (
    CONFIGURATION,
    SPACING,
    checkpoint,
    toy_bundle,
    toy_dataset,
    toy_folder,
    toy_network,
    toy_plans,
)

SHAPE = (18, 20, 5)
BINARY = {"background": 0, "CMB": 1}
T2_ONLY = {"0": "T2S"}


def affine_of(slice_mm=SPACING[0]):
    return np.diag([1.0, 1.0, slice_mm, 1.0])


def volume(seed=0):
    return np.random.default_rng(seed).uniform(50, 150, SHAPE).astype(np.float32)


def segment(folder, *, t1w=None, slice_mm=SPACING[0], folds=(), mirror=False):
    network = LesionNetwork(load_lesion_model(str(folder), folds), mirror=mirror)
    return network(volume(), t1w, affine_of(slice_mm))


def same(one, other, atol=0.0):
    np.testing.assert_allclose(one.cmb_probability, other.cmb_probability, atol=atol)
    return np.array_equal(one.labels, other.labels)


def logit(probability):
    clipped = np.clip(probability.astype(np.float64), 1e-6, 1 - 1e-6)
    return np.log(clipped / (1 - clipped))


def test_a_result_has_the_grid_and_all_kinds_of_classes(tmp_path):
    found = segment(toy_folder(tmp_path), t1w=volume(1))
    assert found.labels.shape == found.cmb_probability.shape == SHAPE
    assert found.labels.dtype == np.uint8
    assert set(np.unique(found.labels)) <= {0, 1, 2, 3, CMB}
    assert len(np.unique(found.labels)) > 2
    assert 0 <= found.cmb_probability.min() < found.cmb_probability.max() <= 1


@pytest.mark.parametrize("mirror", [True, False])
def test_a_bundle_and_a_folder_of_the_same_weights_agree(tmp_path, mirror):
    folder, bundle = toy_folder(tmp_path), toy_bundle(tmp_path / "bundle")
    results = [segment(one, t1w=volume(1), mirror=mirror) for one in (folder, bundle)]
    assert same(*results)


def test_mirroring_is_averaged_where_the_model_allows_it(tmp_path):
    folder = toy_folder(tmp_path)
    one, two = (segment(folder, mirror=mirror) for mirror in (True, False))
    assert not np.allclose(one.cmb_probability, two.cmb_probability, atol=1e-3)
    never = toy_folder(tmp_path / "never", inference_allowed_mirroring_axes=None)
    assert same(segment(never, mirror=True), two)


def test_the_value_in_the_card_decides_whether_slices_are_resampled(tmp_path):
    keeps = toy_bundle(tmp_path / "keeps")
    resamples = toy_bundle(tmp_path / "resamples", nominal_slice_mm=None)
    folder = toy_folder(tmp_path)
    thin, thick = 2.0, SPACING[0]
    kept = segment(keeps, slice_mm=thin)
    assert same(kept, segment(keeps, slice_mm=thick))
    planned = segment(folder, slice_mm=thin)
    assert planned.labels.shape == SHAPE
    assert same(planned, segment(resamples, slice_mm=thin))
    assert not np.allclose(planned.cmb_probability, kept.cmb_probability, atol=1e-2)


def test_thin_slices_are_seen_in_pairs_from_both_first_slices(tmp_path):
    network = LesionNetwork(load_lesion_model(str(toy_bundle(tmp_path))), mirror=False)
    image = volume()
    found = network(image, None, affine_of(0.8))
    # Slices 0-1, 2-3, 4-4 and 0-0, 1-2, 3-4, as thick ones.
    passes = []
    for pairs, back in (
        ([(0, 1), (2, 3), (4, 4)], (0, 0, 1, 1, 2)),
        ([(0, 0), (1, 2), (3, 4)], (0, 1, 1, 2, 2)),
    ):
        thick = np.stack([image[..., list(pair)].mean(axis=-1) for pair in pairs], axis=-1)
        passes.append(network(thick, None, affine_of(1.6)).cmb_probability[..., list(back)])
    np.testing.assert_allclose(found.cmb_probability, np.maximum(*passes), atol=2e-2)
    assert not np.allclose(*passes, atol=2e-2)
    whole = LesionNetwork(load_lesion_model(str(toy_bundle(tmp_path))), mirror=False, slab_mm=0)
    assert same(whole(image, None, affine_of(0.8)), network(image, None, affine_of(3.0)))


@pytest.mark.parametrize("slices", [1, 2])
def test_a_scan_thinner_than_a_window_goes_on_as_it_ends(tmp_path, slices):
    plans = toy_plans()
    window = plans["configurations"][CONFIGURATION]["patch_size"]
    bundle = toy_bundle(tmp_path)
    network = LesionNetwork(load_lesion_model(str(bundle)), mirror=False)
    thin = volume()[..., :slices]
    before = (window[0] - slices) // 2
    whole = np.pad(thin, ((0, 0), (0, 0), (before, window[0] - slices - before)), mode="edge")
    here = slice(before, before + slices)
    for found, expected in (
        (network(thin, None, affine_of()), network(whole, None, affine_of())),
        (
            network(thin, None, affine_of(), around=np.array([[9, 10, 0]])),
            network(whole, None, affine_of(), around=np.array([[9, 10, before]])),
        ),
    ):
        np.testing.assert_allclose(
            found.cmb_probability, expected.cmb_probability[..., here], atol=1e-6
        )
        assert np.array_equal(found.labels, expected.labels[..., here])


def test_folds_are_averaged_as_nnunet_does_before_the_softmax(tmp_path):
    dataset = toy_dataset(T2_ONLY, BINARY)
    folder = toy_folder(tmp_path, ("0", "1"), dataset=dataset)
    first, second, both = (
        segment(folder, folds=folds).cmb_probability for folds in (["0"], ["1"], [])
    )
    assert not np.allclose(first, second, atol=0.05)
    mean = 1 / (1 + np.exp(-(logit(first) + logit(second)) / 2))
    np.testing.assert_allclose(both, mean, atol=5e-3)
    assert same(segment(folder), segment(folder, folds=["1", "0"]), atol=5e-3)


def test_a_model_of_one_channel_ignores_the_t1w(tmp_path):
    folder = toy_folder(tmp_path, dataset=toy_dataset(T2_ONLY))
    assert same(segment(folder, t1w=volume(1)), segment(folder))


def test_without_a_t1w_its_channel_is_blank(tmp_path):
    folder = toy_folder(tmp_path)
    blank = np.zeros(SHAPE, np.float32)
    assert same(segment(folder), segment(folder, t1w=blank))
    found = segment(folder, t1w=volume(1))
    assert not np.allclose(found.cmb_probability, segment(folder).cmb_probability, atol=1e-3)


def test_channels_go_in_the_order_of_the_model(tmp_path):
    network = toy_network()
    one = toy_folder(tmp_path / "one")
    other = toy_folder(tmp_path / "other", dataset=toy_dataset({"0": "T1", "1": "SWI"}))
    swapped = {
        # The first layer is the only one that sees the channels.
        key: value.flip(1) if value.ndim == 5 and value.shape[1] == 2 else value
        for key, value in network.state_dict().items()
    }
    path = other / "fold_0" / "checkpoint_final.pth"
    torch.save({**checkpoint(network), "network_weights": swapped}, path)
    found = [segment(folder, t1w=volume(1)) for folder in (one, other)]
    np.testing.assert_allclose(*(one.cmb_probability for one in found), atol=2e-2)


def test_classes_are_found_whatever_their_number(tmp_path):
    found = []
    for number in range(1, 5):
        others = [value for value in range(1, 5) if value != number]
        regions = dict(zip(("lobar", "deep", "infratentorial"), others, strict=True))
        dataset = toy_dataset(labels={"background": 0, "CMB": number, **regions})
        found.append(segment(toy_folder(tmp_path / str(number), dataset=dataset)))
    # The weights are the same, so each of the four probabilities comes once.
    total = sum(one.cmb_probability for one in found)
    assert total.max() < 1.001
    assert total.min() > found[0].cmb_probability.min()
    wins = sum((one.labels == CMB).astype(int) for one in found)
    assert wins.max() == 1
    for one in found:
        np.testing.assert_array_equal((one.labels == 0), (found[0].labels == 0))


def test_the_ignored_label_is_no_output(tmp_path):
    labels = {**BINARY, "ignore": 2}
    found = segment(toy_folder(tmp_path, dataset=toy_dataset(labels=labels)))
    assert set(np.unique(found.labels)) <= {0, CMB}


def test_other_classes_never_win_and_leave_the_probability_alone():
    #                 background, mimic, CMB, lobar, deep, infratentorial
    probabilities = np.array(
        [[0.1, 0.5, 0.3, 0.1, 0, 0], [0.2, 0.6, 0.0, 0.1, 0.1, 0], [0, 0.9, 0.01, 0, 0.04, 0.05]]
    ).T
    classes = Classes(cmb=2, regions={1: 3, 2: 4, 3: 5})
    assert class_map(probabilities, classes).tolist() == [CMB, 0, 3]


def test_regions_of_the_anatomy_fill_what_is_no_microbleed():
    labels = np.array([0, CMB, 0, CMB], np.uint8)
    assert with_regions(labels, np.array([1, 2, 0, 0])).tolist() == [1, CMB, 0, CMB]


def test_slice_by_slice_models_run(tmp_path):
    plans = toy_plans()
    one = plans["configurations"].pop(CONFIGURATION)
    arguments = one["architecture"]["arch_kwargs"]
    for key, value in arguments.items():
        if isinstance(value, str):
            arguments[key] = value.replace("3d", "2d")
    arguments |= {"kernel_sizes": [[3, 3], [3, 3]], "strides": [[1, 1], [2, 2]]}
    one |= {"patch_size": [16, 16], "spacing": [1.0, 1.0]}
    plans["configurations"]["2d"] = one
    folder = toy_folder(tmp_path, (), plans=plans, name="a__b__2d")
    (folder / "fold_0").mkdir()
    state = checkpoint(toy_network(plan=one), init_args={"configuration": "2d"})
    state["inference_allowed_mirroring_axes"] = (0, 1)
    torch.save(state, folder / "fold_0" / "checkpoint_final.pth")
    found = segment(folder, t1w=volume(1), mirror=True, slice_mm=2.0)
    assert found.labels.shape == SHAPE
    assert len(np.unique(found.labels)) > 1


def test_plans_of_nnunets_first_years_run(tmp_path):
    plans = toy_plans()
    one = plans["configurations"][CONFIGURATION]
    arguments = one.pop("architecture")["arch_kwargs"]
    one |= {
        "UNet_class_name": "PlainConvUNet",
        "UNet_base_num_features": 3,
        "unet_max_num_features": 4,
        "n_conv_per_stage_encoder": arguments["n_conv_per_stage"],
        "n_conv_per_stage_decoder": arguments["n_conv_per_stage_decoder"],
        "num_pool_per_axis": [0, 1, 1],
        "pool_op_kernel_sizes": arguments["strides"],
        "conv_kernel_sizes": arguments["kernel_sizes"],
    }
    older, newer = toy_folder(tmp_path / "older", plans=plans), toy_folder(tmp_path / "newer")
    assert same(segment(older), segment(newer))


def test_weights_of_another_network_are_refused(tmp_path):
    folder = toy_folder(tmp_path, dataset=toy_dataset(T2_ONLY))
    torch.save(checkpoint(toy_network(2)), folder / "fold_0" / "checkpoint_final.pth")
    with pytest.raises(ModelError, match="another network") as caught:
        LesionNetwork(load_lesion_model(str(folder)))
    assert caught.value.code == ExitCode.CONFIG


@pytest.mark.parametrize("value", [0, "two", 10**6])
def test_plans_that_describe_no_network_are_refused(tmp_path, value):
    plans = toy_plans()
    plans["configurations"][CONFIGURATION]["architecture"]["arch_kwargs"]["n_stages"] = value
    with pytest.raises(ModelError, match="does not describe a network"):
        LesionNetwork(load_lesion_model(str(toy_folder(tmp_path, plans=plans))))


@pytest.fixture
def second_looks(monkeypatch):
    """What the second look is shown: image, probability, voxel size, where spots are looked for."""
    shown = []

    def look_again(_, t2star, probability, voxel, within, tissues):
        shown.append((t2star, voxel, within, tissues))
        return probability

    monkeypatch.setattr("cmb_bidsapp.lesions.proposals.look_again", look_again)
    return shown


@pytest.mark.parametrize("across", [0, 1, 2])
def test_the_second_look_is_shown_slices_whichever_way_they_lie(tmp_path, second_looks, across):
    bundle = toy_bundle(tmp_path / "bundle")
    add_second_look(bundle, SecondLook().state_dict())
    sizes = np.array([0.7, 0.8, 0.9])
    sizes[across] = SPACING[0]
    image = np.moveaxis(volume(), 2, across)
    tissues = np.random.default_rng(0).integers(0, 6, image.shape).astype(np.uint8)
    network = LesionNetwork(load_lesion_model(str(bundle)))
    network(image, None, np.diag([*sizes, 1.0]), tissues=tissues)
    ((seen, voxel, within, around),) = second_looks
    plane = [axis for axis in range(3) if axis != across]
    np.testing.assert_array_equal(seen, image.transpose(*plane, across))
    assert voxel == pytest.approx((*sizes[plane], SPACING[0]))
    assert within.shape == seen.shape
    np.testing.assert_array_equal(around, tissues.transpose(*plane, across))


def test_dark_spots_are_looked_for_where_the_network_sees_brain(tmp_path, second_looks):
    bundle = toy_bundle(tmp_path / "bundle")
    add_second_look(bundle, SecondLook().state_dict())
    model = load_lesion_model(str(bundle))
    network = LesionNetwork(model)
    network(volume(), None, affine_of())
    plain = dataclasses.replace(model, card=dataclasses.replace(model.card, dark_spots=False))
    LesionNetwork(plain)(volume(), None, affine_of())
    (*_, within, _), (*_, nowhere, _) = second_looks
    assert 0 < within.mean() < 1
    assert nowhere is None
