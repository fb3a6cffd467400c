"""Real texture on simulated brains: where it is, and how strong."""

import numpy as np
import pytest

from cmb_bidsapp.simulate.acquisition import tissue_texture
from cmb_bidsapp.simulate.grid import ScanGrid
from cmb_bidsapp.simulate.protocols import PROTOCOLS
from cmb_bidsapp.simulate.texture import LIMITS, Texture
from tests.simulate.heads import HEAD


def test_an_even_image_has_no_texture():
    texture = Texture.of(np.full((20, 20, 20), 700, np.float32), (0.5, 0.5, 1))
    np.testing.assert_allclose(texture.relative, 1, atol=1e-5)


def test_a_vein_is_dark_in_the_texture_whatever_the_brightness_around():
    image = np.linspace(200, 800, 40, dtype=np.float32)[:, None, None] * np.ones((40, 40, 40))
    image[:, 20, 20] *= 0.5
    relative = Texture.of(image.astype(np.float32), (0.5, 0.5, 0.5)).relative
    assert (relative[5:-5, 20, 20] < 0.6).all()
    assert relative.min() >= LIMITS[0]


@pytest.fixture(scope="module")
def textured():
    rng = np.random.default_rng(0)
    texture = Texture.of(rng.normal(500, 60, (30, 30, 20)).astype(np.float32), (0.5, 0.5, 1))
    grid = ScanGrid.around(HEAD, PROTOCOLS["gre3t3mm"])
    return grid, texture.on(grid, HEAD, np.random.default_rng(1))


def test_texture_fills_the_brain_and_nothing_else(textured):
    grid, texture = textured
    inside = grid.to_slices(HEAD.brain.astype(np.float32))
    assert texture.shape == (*grid.shape[:2], grid.shape[2] * grid.slab)
    middle = texture[..., grid.slab // 2 :: grid.slab]
    assert middle[inside > 0.99].std() > 0.01
    assert (middle[inside == 0] == 1).mean() > 0.95


def test_tissue_has_texture_of_several_scales():
    texture = tissue_texture(HEAD, np.random.default_rng(0))
    assert texture.shape == HEAD.dseg.shape
    assert texture.mean() == pytest.approx(1, abs=0.02)
    assert 0.01 < texture.std() < 0.12
