"""One simulated session: images, transform and truth."""

import numpy as np
import pytest
from nibabel.affines import apply_affine

from cmb_bidsapp.anatomy.proxy import UNNAMED_LOBE, to_proxy
from cmb_bidsapp.simulate.grid import ScanGrid
from tests.simulate.cases import CENTER, PROTOCOL, case_of
from tests.simulate.heads import HEAD, SIZE


def images(case):
    return {
        name: getattr(case, name)
        for name in ("t2star", "t1w_on_t2star", "brain", "proxy", "instances", "ignore")
    }


def test_everything_is_on_the_t2star_grid(case):
    assert len({image.shape for image in images(case).values()}) == 1
    np.testing.assert_allclose(np.diag(case.affine)[:3], PROTOCOL.voxel)
    assert case.t1w.shape == HEAD.dseg.shape


def test_the_grid_covers_the_brain(case):
    grid = ScanGrid.around(HEAD, PROTOCOL)
    assert grid.shape == case.t2star.shape
    inside = np.argwhere(HEAD.brain)
    index = (inside - np.array(grid.origin)) / np.array(grid.voxel)
    assert (index >= -0.5).all()
    assert (index <= np.array(grid.shape) - 0.5).all()
    volume = case.brain.sum() * np.prod(PROTOCOL.voxel)
    assert volume == pytest.approx(HEAD.brain.sum(), rel=0.05)


def test_magnitudes_are_plausible(case):
    assert np.isfinite(case.t2star).all()
    assert case.t2star.min() >= 0
    inside = case.brain > 0
    assert np.median(case.t2star[inside]) > 5 * np.median(case.t2star[:3])
    assert np.median(case.t1w_on_t2star[inside]) > 3 * np.median(case.t1w_on_t2star[:3])


def test_proxy_classes_of_the_case(case):
    assert set(np.unique(case.proxy)) == {0, 1, 2, 3}
    half = case.proxy.shape[2] // 2
    assert not (case.proxy[:, :, half:] == 3).any()  # the head stands upright
    assert (case.proxy == 1).sum() > (case.proxy == 2).sum()


def test_the_mars_map_agrees_with_the_proxy_classes_and_knows_no_lobes(case):
    known = case.mars > 0
    assert (to_proxy(case.mars)[known] == case.proxy[known]).all()
    assert set(np.unique(case.mars[known] % 100)) <= {*range(1, 9), UNNAMED_LOBE}
    assert known[case.proxy > 0].mean() > 0.95
    x = (np.indices(case.mars.shape)[0] * case.affine[0, 0] + case.affine[0, 3])[known]
    right = case.mars[known] >= 200
    assert x[right].mean() > 5 > -5 > x[~right].mean()  # mm, RAS


def test_the_t1w_image_does_not_show_it(strong):
    point, case = strong
    i, j, k = np.round(point).astype(int)
    nearby = case.t1w[i - 1 : i + 2, j - 1 : j + 2, k - 1 : k + 2].mean()
    assert nearby == pytest.approx(np.median(case.t1w[np.isin(HEAD.dseg, (2, 41))]), rel=0.15)


def test_the_transform_leads_from_t1w_to_t2star(case):
    """Voxel (i, j, k) of the T1w is at (i, j, k) mm of the head; its center is T2*w's origin."""
    both = case.t1w_to_t2star @ case.t1w_affine
    np.testing.assert_allclose(apply_affine(both, CENTER), 0, atol=1e-9)
    np.testing.assert_allclose(both[:3, :3], np.eye(3), atol=1e-9)
    assert np.abs(case.t1w_affine[:3, :3] - np.eye(3)).max() > 1e-3


def test_t1w_on_the_t2star_grid_is_the_t1w_image(case):
    """Up to the misregistration that is put in."""
    pull = np.linalg.inv(case.t1w_affine) @ np.linalg.inv(case.t1w_to_t2star) @ case.affine
    index = np.round(apply_affine(pull, np.argwhere(case.brain))).astype(int)
    direct = case.t1w[tuple(np.clip(index, 0, SIZE - 1).T)]
    assert np.corrcoef(direct, case.t1w_on_t2star[case.brain > 0])[0, 1] > 0.7


def test_the_same_seed_gives_the_same_case(case):
    again = case_of()
    for name, image in images(case).items():
        np.testing.assert_array_equal(images(again)[name], image, err_msg=name)
    np.testing.assert_array_equal(again.t1w, case.t1w)
    np.testing.assert_array_equal(again.t1w_to_t2star, case.t1w_to_t2star)
    assert (again.lesions, again.mimics) == (case.lesions, case.mimics)


def test_another_seed_gives_another_case(case):
    other = case_of(seed=1)
    for name in ("t2star", "t1w_on_t2star", "instances"):
        assert (images(other)[name] != images(case)[name]).any(), name
    np.testing.assert_array_equal(other.brain, case.brain)
    np.testing.assert_array_equal(other.proxy, case.proxy)
