"""Windows of a network around places, instead of all over an image."""

import nibabel as nib
import numpy as np
import pytest
import torch

from cmb_bidsapp.lesions.segment import LesionNetwork
from cmb_bidsapp.lesions.tiles import make_predictor, shares_of, window_starts
from cmb_bidsapp.models.registry import load_lesion_model
from tests.models.toys import CONFIGURATION, toy_bundle, toy_plans

#: Windows of the toy network are 16 x 16 x 4 voxels of 1 x 1 x 5 mm.
SHAPE, AFFINE = (40, 36, 12), np.diag([1.0, 1.0, 5.0, 1.0])


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    bundle = toy_bundle(tmp_path_factory.mktemp("toy") / "bundle")
    return LesionNetwork(load_lesion_model(str(bundle)), mirror=False)


@pytest.fixture(scope="module")
def image():
    image = np.random.default_rng(0).uniform(50, 150, SHAPE).astype(np.float32)
    # nnU-Net cuts to what is not 0.
    image[:3], image[:, -5:], image[..., :1] = 0, 0, 0
    return image


def test_only_windows_around_the_places_are_looked_at(network, image):
    places = [[11, 12, 4], [30, 20, 8]]
    found = network(image, None, AFFINE, np.array(places))
    seen = np.zeros(SHAPE, bool)
    for x, y, z in places:
        seen[x - 8 : x + 8, y - 8 : y + 8, z - 2 : z + 2] = True
    assert found.cmb_probability[~seen].max() < 1e-3
    assert not found.labels[~seen].any()
    assert found.cmb_probability[seen].max() > 0.5


def test_a_window_gives_what_a_whole_image_of_its_size_gives(network):
    one = np.random.default_rng(1).uniform(50, 150, (16, 16, 4)).astype(np.float32)
    whole = network(one, None, AFFINE)
    window = network(one, None, AFFINE, np.array([[3, 12, 1]]))
    np.testing.assert_array_equal(window.cmb_probability, whole.cmb_probability)


def test_windows_outside_the_brain_are_not_run(tmp_path, monkeypatch):
    plans = toy_plans()
    plans["configurations"][CONFIGURATION]["use_mask_for_norm"] = [True, True]
    model = load_lesion_model(str(toy_bundle(tmp_path / "bundle", plans=plans)))
    predictor = make_predictor(model, torch.device("cpu"), mirror=False)
    # Two brains with a gap between them wider than a window.
    image = np.zeros((2, 4, 16, 64), np.float32)
    rng = np.random.default_rng(2)
    for here in (slice(0, 14), slice(52, 64)):
        image[..., here] = rng.uniform(50, 150, image[..., here].shape)
    run = []
    forward = predictor._internal_maybe_mirror_and_predict
    monkeypatch.setattr(
        predictor,
        "_internal_maybe_mirror_and_predict",
        lambda window: run.append(window) or forward(window),
    )
    _, found = predictor.predict_single_npy_array(
        image, {"spacing": [5, 1, 1]}, save_or_return_probabilities=True
    )
    assert len(run) == 3, "of the five windows all but those in the gap"
    assert all(window.any() for window in run)
    assert (found[0, ..., 28:48] > 0.999).all()
    assert not np.isnan(found).any()


def test_places_are_voxels_of_the_image_whichever_way_it_is_stored(network, image):
    place = np.array([[11, 12, 4]])
    stored = np.ascontiguousarray(image.transpose(2, 0, 1)[:, ::-1])
    affine = AFFINE @ np.array([[0, -1, 0, 39], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])
    same = nib.as_closest_canonical(nib.Nifti1Image(stored, affine))
    np.testing.assert_array_equal(np.asarray(same.dataobj), image)
    found = network(stored, None, affine, np.array([[4, 39 - 11, 12]]))
    expected = network(image, None, AFFINE, place).cmb_probability
    np.testing.assert_allclose(
        found.cmb_probability, expected.transpose(2, 0, 1)[:, ::-1], atol=1e-6
    )


def test_thin_slices_are_looked_at_in_groups_there_too(network, image):
    thin = np.diag([1.0, 1.0, 0.8, 1.0])
    assert network.window(thin) == pytest.approx((16, 16, 8))
    found = network(image, None, thin, np.array([[20, 16, 6]]))
    assert found.cmb_probability[12:28, 8:24, 3:9].max() > 0.5
    assert found.cmb_probability[:10].max() < 1e-3


def test_the_next_whole_image_is_whole_again(network, image):
    before = network(image, None, AFFINE)
    network(image, None, AFFINE, np.array([[11, 12, 4]]))
    after = network(image, None, AFFINE)
    np.testing.assert_array_equal(before.cmb_probability, after.cmb_probability)


def test_windows_stay_in_the_image_and_come_once():
    places = np.array([[0.0, 0.5, 0.5], [0.01, 0.5, 0.5], [0.99, 0.5, 0.5]])
    assert window_starts(places, (40, 16, 4), (16, 16, 4)) == [(0, 0, 0), (24, 0, 0)]


def test_shares_are_of_what_is_not_black():
    stack = np.zeros((2, 10, 8, 4))
    stack[0, 2:6, :4], stack[1, 4:8, :4] = 1, 1
    shares = shares_of(np.array([[2, 0, 0], [7, 3, 3]]), stack)
    np.testing.assert_allclose(shares, [[0.5 / 6, 0.125, 0.125], [5.5 / 6, 0.875, 0.875]])
