"""Slices as pictures."""

import numpy as np

from cmb_bidsapp.report.painting import T1W_HEADROOM, box_around, gray, plane, tint, window


def test_a_box_holds_the_mask_and_nothing_else():
    mask = np.zeros((5, 6, 7), np.bool_)
    assert box_around(mask) == (slice(0, 5), slice(0, 6), slice(0, 7))
    mask[1, 2, 3] = mask[3, 2, 5] = True
    assert box_around(mask) == (slice(1, 4), slice(2, 3), slice(3, 6))


def test_a_plane_is_cut_as_a_radiologist_looks_at_it():
    volume = np.arange(24).reshape(2, 3, 4)
    assert plane(volume, 2, 1).tolist() == volume[::-1, ::-1, 1].T.tolist()
    assert plane(volume, 0, 1).tolist() == volume[1, ::-1, ::-1].T.tolist()


def test_a_tint_is_a_blend():
    picture = np.full((1, 2, 3), 100, np.uint8)
    tint(picture, np.array([[True, False]]), "#00ff00", 0.5)
    assert picture.tolist() == [[[50, 177, 50], [100, 100, 100]]]


def test_white_matter_of_a_t1w_is_light_gray():
    rng = np.random.default_rng(0)
    # Gray and white matter, as bright as in the simulated scans that were measured.
    image = np.concatenate([rng.normal(75, 2.5, 5000), rng.normal(105, 2.5, 5000)]).astype(
        np.float32
    )
    brain = np.ones(image.shape, np.bool_)
    close = gray(image, window(image, brain))
    roomy = gray(image, window(image, brain, T1W_HEADROOM))
    assert (close >= 245).mean() > 0.05
    assert (roomy >= 245).sum() == 0
    assert 190 < np.median(roomy[5000:]) < 220
