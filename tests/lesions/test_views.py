"""What judges see of a place."""

import numpy as np
import pytest
from scipy import ndimage

from cmb_bidsapp.lesions.views import BRIGHTNESS, CHANNELS, PIXELS, SLICES, VIEWED, Viewer

VOXEL = (0.5, 0.5, 3.0)


def test_a_place_is_in_the_middle_of_both_views(scan):
    (views,) = Viewer.of(scan, VOXEL).views(np.array([[61, 61, 6]]))
    assert views.shape == (CHANNELS, PIXELS, PIXELS)
    near, far = views[SLICES // 2], views[SLICES + SLICES // 2]
    middle = slice(PIXELS // 2 - 1, PIXELS // 2 + 1)
    assert near[middle, middle].max() < -0.7
    assert far[middle, middle].mean() < -0.1
    assert np.abs(near[:8]).max() < 1e-5, "as bright as what is around"
    assert np.abs(views[SLICES // 2 - 1]).max() < 1e-5, "the slice before has nothing"


def test_brightness_of_the_scan_does_not_matter(scan):
    place = np.array([[61, 61, 6]])
    one, other = (Viewer.of(scan * factor, VOXEL).views(place) for factor in (1, 7.5))
    np.testing.assert_allclose(one, other, atol=1e-4)


def test_beyond_the_image_there_is_nothing_in_plane(scan):
    (views,) = Viewer.of(scan, VOXEL).views(np.array([[0, 0, 6]]))
    assert (views[SLICES // 2, :12, :12] == -1).all()


@pytest.mark.parametrize("level", [0, 1, 10, 11])
def test_a_scan_goes_on_as_it_ends(scan, level):
    noisy = scan * np.random.default_rng(3).uniform(0.8, 1.2, scan.shape).astype(np.float32)
    longer = np.pad(noisy, ((0, 0), (0, 0), (5, 5)), mode="edge")
    (seen,) = Viewer.of(noisy, VOXEL).views(np.array([[61, 61, level]]))
    (expected,) = Viewer.of(longer, VOXEL).views(np.array([[61, 61, level + 5]]))
    np.testing.assert_allclose(seen, expected, atol=1e-5)


def test_tissues_are_those_of_the_nearest_voxels_in_both_views():
    tissues = np.zeros((60, 40, 3), np.uint8)
    tissues[:30], tissues[30:, 20:], tissues[30:, :20] = 2, 3, 1
    viewer = Viewer.of(np.full(tissues.shape, 400, np.float32), (0.5, 1.0, 3.0), tissues)
    (near, far) = viewer.tissues_around(np.array([[30, 20, 1]]))[0]
    offset = np.arange(PIXELS) - (PIXELS - 1) / 2
    for seen, mm in ((near, 0.5), (far, 1.5)):
        x, y = (np.rint(offset * mm / size).astype(int) for size in (0.5, 1.0))
        for row, column in ((0, 0), (15, 15), (16, 16), (31, 0), (31, 31), (12, 20)):
            at = 30 + x[row], 20 + y[column]
            beyond = not (0 <= at[0] < 60 and 0 <= at[1] < 40)
            assert seen[row, column] == (0 if beyond else tissues[*at, 1])


def test_a_tissue_is_a_channel_of_each_view(scan):
    place = np.array([[61, 61, 6]])
    known = Viewer.of(scan, VOXEL, np.full(scan.shape, 3, np.uint8)).views(place)[0, BRIGHTNESS:]
    assert (known[[2, 7], 8:24, 8:24] == 0).all()
    assert (np.delete(known, [2, 7], axis=0) == -1).all()
    unknown = Viewer.of(scan, VOXEL).views(place)[0, BRIGHTNESS:]
    assert (unknown == -1).all()


def test_thin_slices_are_averaged():
    t2star = np.full((60, 60, 20), 400, np.float32)
    t2star[30, 30, 10:12] = 0
    viewer = Viewer.of(t2star, (0.5, 0.5, 0.8))
    assert viewer.step == 2
    assert viewer.near[30, 30].min() == 0
    assert viewer.near[30, 30, 12] == pytest.approx(200)


def test_many_places_are_seen_as_each_alone(scan):
    places = np.random.default_rng(0).integers(0, (120, 120, 12), (VIEWED + 3, 3))
    viewer = Viewer.of(scan, VOXEL)
    together = viewer.views(places)
    alone = np.concatenate([viewer.views(place[None]) for place in places])
    np.testing.assert_allclose(together, alone, atol=1e-6)


@pytest.mark.parametrize("voxel", [VOXEL, (0.8, 1.1, 0.8), (0.3, 0.45, 6.0)])
def test_pixels_are_interpolated_linearly_from_what_the_image_has_there(voxel):
    rng = np.random.default_rng(1)
    image = np.pad(rng.uniform(1, 2, (60, 48, 8)), ((10, 10), (10, 10), (2, 2))).astype(np.float32)
    viewer, places = Viewer.of(image, voxel), rng.integers(0, image.shape, (20, 3))
    offset, slices = np.arange(20) - 9.5, (np.arange(SLICES) - SLICES // 2) * viewer.step
    for place, seen in zip(places, viewer.brightness(places, 20), strict=True):
        expected = []
        for image_there, mm in ((viewer.near, 0.5), (viewer.far, 1.5)):
            z, x, y = np.meshgrid(
                slices, offset * mm / voxel[0], offset * mm / voxel[1], indexing="ij"
            )
            at = [middle + axis for middle, axis in zip(place, (x, y, z), strict=True)]
            at[2] = np.clip(at[2], 0, image.shape[2] - 1)
            expected.append(ndimage.map_coordinates(image_there, at, order=1))
        around = expected[1][expected[1] > 0]
        brightness = np.median(around) if around.size else 1
        expected = np.clip(np.concatenate(expected) / brightness, 0, 3) - 1
        np.testing.assert_allclose(seen, expected, atol=1e-5)
