"""A small made-up head for the simulation."""

import numpy as np

from cmb_bidsapp.simulate.anatomy import Head

SIZE = 60


def toy_head():
    """Shells around the middle, nuclei and ventricles inside, cerebellum and stem below."""
    i, j, k = np.indices((SIZE, SIZE, SIZE)) - 29.5
    r = np.sqrt(i**2 + j**2 + k**2)
    left = i < 0
    dseg = np.zeros(r.shape, np.int16)
    for radius, inner, outer in (
        (28, 511, 511),
        (26, 515, 515),
        (24, 24, 24),
        (22, 3, 42),
        (18, 2, 41),
    ):
        dseg[r < radius] = np.where(left, inner, outer)[r < radius]
    side = np.abs(i)
    for low, high, depth, left_id, right_id in (
        (1, 4, 5, 4, 43),
        (4, 7, 4, 11, 50),
        (9, 11, 4, 13, 52),
        (11, 14, 5, 12, 51),
    ):
        here = (side >= low) & (side < high) & (np.abs(k) < depth) & (np.abs(j - 4) < 6)
        dseg[here] = np.where(left, left_id, right_id)[here]
    here = (side >= 1) & (side < 6) & (np.abs(k) < 4) & (np.abs(j + 7) < 4)
    dseg[here] = np.where(left, 10, 49)[here]
    below = (r < 22) & (k < -8)
    dseg[below & (j < -4)] = np.where(left, 8, 47)[below & (j < -4)]
    deep = (r < 18) & (k < -10) & (j < -6)
    dseg[deep] = np.where(left, 7, 46)[deep]
    dseg[(np.hypot(i, j) < 4) & (k < -8) & (r < 22)] = 16
    return Head(dseg)


HEAD = toy_head()
