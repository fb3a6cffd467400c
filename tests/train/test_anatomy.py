from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from cmb_bidsapp.anatomy.network import (
    FIELD_VOXELS,
    AnatomyNetwork,
    as_input,
    normalize,
)
from cmb_bidsapp.core.arrays import Volume
from cmb_bidsapp.core.labels import STRUCTURES
from cmb_bidsapp.models.registry import load_bundle
from cmb_bidsapp.preprocess.resampling import Grid
from cmb_bidsapp.train.anatomy import (
    PART_VOXELS,
    load_anatomy,
    segmentation_loss,
    synthesize,
    train_anatomy,
)
from cmb_bidsapp.train.export import export_anatomy


@pytest.fixture(scope="module")
def label_map(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ball of brain in a skull: cortex around white matter, two ventricles."""
    x, y, z = np.ogrid[-45:45, -50:50, -45:45]
    radius = np.sqrt(x**2 + (0.9 * y) ** 2 + z**2)
    dseg = np.zeros((90, 100, 90), np.int16)
    left = np.broadcast_to(x < 0, dseg.shape)
    for limit, inside in ((42, (511, 511)), (38, (515, 515)), (35, (24, 24)), (33, (3, 42))):
        dseg[(radius < limit) & left], dseg[(radius < limit) & ~left] = inside
    dseg[(radius < 29) & left], dseg[(radius < 29) & ~left] = 2, 41
    dseg[(radius < 8) & left], dseg[(radius < 8) & ~left] = 4, 43
    path = tmp_path_factory.mktemp("maps") / "head.nii.gz"
    nib.save(nib.Nifti1Image(dseg, np.eye(4)), path)
    return path


@pytest.mark.parametrize("shape", [PART_VOXELS, FIELD_VOXELS])
def test_synthesis_is_seeded_scaled_and_holds_the_structures(label_map: Path, shape) -> None:
    anatomy = load_anatomy(label_map)
    channels, target = synthesize(anatomy, shape, np.random.default_rng(5))
    again, _ = synthesize(anatomy, shape, np.random.default_rng(5))
    other, _ = synthesize(anatomy, shape, np.random.default_rng(6))
    assert channels.shape == (2, *shape)
    assert target.shape == shape
    assert torch.equal(channels, again)
    assert not torch.equal(channels, other)
    assert 0 <= float(channels.min()) < float(channels.max()) <= 1
    names = {STRUCTURES[i] for i in target.unique().tolist()}
    assert {"background", "cerebral-wm", "cerebral-cortex", "csf"} <= names


def test_white_matter_is_brighter_than_cortex_in_t1w_only(label_map: Path) -> None:
    anatomy = load_anatomy(label_map)
    # A ball of tissue in air dephases more than a head does.
    anatomy = replace(anatomy, gradient=torch.zeros_like(anatomy.gradient))
    brighter: dict[int, list[bool]] = {0: [], 1: []}
    for seed in range(24):
        channels, target = synthesize(anatomy, PART_VOXELS, np.random.default_rng(seed))
        (channel,) = channels.flatten(1).any(1).nonzero().flatten().tolist()
        white = target == STRUCTURES.index("cerebral-wm")
        cortex = target == STRUCTURES.index("cerebral-cortex")
        if white.sum() > 500 and cortex.sum() > 500:
            mean = [float(channels[channel][mask].mean()) for mask in (white, cortex)]
            brighter[channel].append(mean[0] > mean[1])
    assert np.mean(brighter[0]) > 0.8
    assert np.mean(brighter[1]) < 0.2


def test_signal_is_lost_where_the_field_is_steep_in_t2starw_only(label_map: Path) -> None:
    anatomy = load_anatomy(label_map)
    flat, steep = (replace(anatomy, gradient=g) for g in (0 * anatomy.gradient, anatomy.gradient))
    lost: dict[int, list[bool]] = {0: [], 1: []}
    for seed in range(8):
        without, with_it = (
            synthesize(one, PART_VOXELS, np.random.default_rng(seed))[0] for one in (flat, steep)
        )
        (channel,) = with_it.flatten(1).any(1).nonzero().flatten().tolist()
        lost[channel].append(not torch.equal(without, with_it))
    assert lost[0]
    assert not any(lost[0])
    assert lost[1]
    assert all(lost[1])


def test_next_to_air_the_field_is_steep(label_map: Path) -> None:
    anatomy = load_anatomy(label_map)
    steep = anatomy.gradient.abs()
    white = anatomy.structure[anatomy.tissue.long()] == STRUCTURES.index("cerebral-wm")
    outermost = anatomy.tissue == float(anatomy.tissue[45, 50, 4])
    assert float(steep[outermost].mean()) > 5 * float(steep[white].mean())


def test_what_lies_beyond_the_label_map_is_background(label_map: Path) -> None:
    _, target = synthesize(load_anatomy(label_map), FIELD_VOXELS, np.random.default_rng(0))
    # The field is larger than the map, so its corners are outside.
    assert (target[:3, :3, :3] == 0).all()


def test_each_contrast_has_its_channel() -> None:
    image = torch.rand(2, 3, 4)
    assert torch.equal(as_input(image, "T1w"), torch.stack([image, torch.zeros(2, 3, 4)]))
    assert torch.equal(as_input(image, "T2starw"), torch.stack([torch.zeros(2, 3, 4), image]))


def test_the_loss_is_lowest_for_the_truth() -> None:
    target = torch.randint(0, 3, (1, 6, 6, 6), generator=torch.Generator().manual_seed(0))
    right = torch.nn.functional.one_hot(target, 3).movedim(-1, 1) * 10.0
    assert float(segmentation_loss(right, target)) < 0.05
    assert float(segmentation_loss(right.flip(1), target)) > 1


def test_training_resumes_and_its_bundle_segments(label_map: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "anatomy.ckpt"
    seen: list[int] = []
    train_anatomy([label_map], checkpoint, steps=1, progress=lambda step, _: seen.append(step))
    weights = train_anatomy(
        [label_map], checkpoint, steps=2, progress=lambda step, _: seen.append(step)
    )
    assert seen == [1, 2]
    stated = {"name": "t", "version": "1", "license": "none", "training_data": "a ball"}
    export_anatomy(weights, tmp_path / "bundle", stated, steps=2)
    network = AnatomyNetwork(load_bundle(str(tmp_path / "bundle")))
    data = np.random.default_rng(0).random((40, 30, 20)).astype(np.float32)
    affine = np.diag([2.0, 3.0, 5.0, 1.0])
    found = network(Volume(data, affine), "T2starw")
    np.testing.assert_allclose(found.probabilities.sum(axis=0), 1, atol=1e-3)
    assert found.brain_mask(Grid.of(data, affine)).shape == data.shape


def test_normalize_ignores_the_blank_outside() -> None:
    image = torch.zeros(10, 10, 10)
    image[2:8, 2:8, 2:8] = torch.linspace(50, 150, 216).reshape(6, 6, 6)
    scaled = normalize(image)
    assert float(scaled.max()) == 1
    assert float(scaled[5, 5, 5]) == pytest.approx((image[5, 5, 5].item() - 51) / 98, abs=0.02)
    assert normalize(torch.zeros(4, 4, 4)).sum() == 0
