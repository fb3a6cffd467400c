"""Slices as pictures."""

import numpy as np

from cmb_bidsapp.report.painting import box_around, plane, tint


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
