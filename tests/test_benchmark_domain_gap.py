"""Measures of pictures whose noise, borders and lesions are known."""

import numpy as np
import pytest
from gap_measures import Lesion, disc, edge_width, noise, places_for, texture, unrest
from real_marks import ball, measure_spot
from scipy import ndimage

from cmb_bidsapp.core.labels import STRUCTURES
from cmb_bidsapp.preprocess.resampling import Grid

SPACING = (0.5, 0.5, 4.0)
AFFINE = np.diag([*SPACING, 1.0])
SHAPE = (80, 80, 5)


def flat(noise=0.0):
    rng = np.random.default_rng(0)
    return (1 + noise * rng.standard_normal(SHAPE)).astype(np.float32)


def everywhere():
    return np.ones(SHAPE, np.bool_)


def around(*voxel, radius=2.0):
    return ball(Grid(SHAPE, AFFINE), np.array(voxel) * SPACING, radius)


def test_noise_is_that_of_voxels_and_not_of_a_slope():
    image = flat(0.05)
    assert noise(image, everywhere()) == pytest.approx(0.05, rel=0.03)
    slope = np.linspace(0, 1, SHAPE[0], dtype=np.float32)[:, None, None]
    inside = everywhere()
    inside[0] = inside[-1] = False
    assert noise(image + slope, inside) == pytest.approx(0.05, rel=0.05)


def test_texture_is_found_at_its_scale_and_the_surroundings_do_not_count():
    rough = ndimage.gaussian_filter(flat(1.0) - 1, (4, 4, 0))
    rough /= rough.std()
    image = (1 + 0.1 * rough).astype(np.float32)
    region = everywhere()
    fine, middle, coarse = (texture(image, region, scale, SPACING) for scale in (1.0, 2.0, 4.0))
    assert fine < middle < coarse
    region[40:] = False
    aside = np.where(region, flat(), 9).astype(np.float32)
    assert texture(aside, region, 2.0, SPACING) == pytest.approx(0, abs=1e-5)
    assert np.isnan(texture(image, np.zeros(SHAPE, np.bool_), 2.0, SPACING))


@pytest.mark.parametrize("sigma_mm", [0.5, 1.0])
def test_the_width_of_a_border_grows_with_its_blur(sigma_mm):
    fluid = np.zeros(SHAPE, np.bool_)
    fluid[25:55, 25:55] = True
    image = (1 + 0.5 * fluid).astype(np.float32)
    blurred = ndimage.gaussian_filter(image, (sigma_mm / 0.5, sigma_mm / 0.5, 0))
    white = ~ndimage.binary_dilation(fluid, disc(4.0, SPACING))
    # Step by slope of a blurred step: sigma times the root of 2 pi.
    expected = sigma_mm * np.sqrt(2 * np.pi)
    assert edge_width(blurred, fluid, white, SPACING) == pytest.approx(expected, rel=0.15)


def test_a_lesion_that_is_moved_keeps_its_contrast_and_its_size():
    image = 200 * flat()
    image[30:34, 30:34, 2] = 80
    image[34, 30:34, 2] = 150
    lesion = Lesion.of(image, everywhere(), AFFINE, around(31, 31, 2))
    other = 900 * flat()
    lesion.put_into(other, np.array([60, 50, 3]))
    before = measure_spot(image, everywhere(), AFFINE, around(31, 31, 2))
    after = measure_spot(other, everywhere(), AFFINE, around(61, 51, 3))
    assert after.contrast == pytest.approx(before.contrast) == pytest.approx(0.6)
    assert after.diameter == pytest.approx(before.diameter)
    # What lies beyond the image is left out.
    lesion.put_into(other, np.array([79, 79, 4]))


def test_unrest_leaves_the_spot_itself_out():
    image = flat()
    image[40:43, 40:43, 2] = 0.3
    assert unrest(image, everywhere(), AFFINE, around(41, 41, 2)) == pytest.approx(0)
    image += flat(0.1) - 1
    found = unrest(image, everywhere(), AFFINE, around(41, 41, 2))
    assert found == pytest.approx(0.1, rel=0.1)


def test_places_are_deep_in_white_matter_and_apart():
    structures = np.zeros(SHAPE, np.uint8)
    structures[10:70, 10:70] = STRUCTURES.index("cerebral-wm")
    taken = np.zeros(SHAPE, np.bool_)
    taken[40, 40] = True
    places = places_for(structures, taken, AFFINE, 50, np.random.default_rng(0))
    assert 2 <= len(places) < 50
    for number, place in enumerate(places):
        assert (place[:2] >= 15).all()
        assert (place[:2] < 65).all()
        assert np.linalg.norm((place[:2] - 40) * 0.5) >= 6
        gaps = [np.linalg.norm((place - other) * SPACING) for other in places[:number]]
        assert all(gap >= 12 for gap in gaps)
