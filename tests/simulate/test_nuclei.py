"""Iron-rich nuclei that label maps do not name."""

import numpy as np

from cmb_bidsapp.simulate.nuclei import iron_nuclei
from tests.simulate.heads import HEAD


def head_with_ventral_dc():
    dseg = HEAD.dseg.copy()
    i, j, k = np.indices(dseg.shape) - 29.5
    here = (np.abs(i) < 14) & (np.abs(j - 2) < 10) & (k >= -8) & (k < -1)
    dseg[here] = np.where(i < 0, 28, 60)[here]
    return dseg


def test_iron_nuclei_lie_with_their_neighbors_on_both_sides():
    dseg = head_with_ventral_dc()
    nuclei = iron_nuclei(dseg)
    for name, homes in (
        ("red-nucleus", (28, 60, 16)),
        ("substantia-nigra", (28, 60, 16)),
        ("dentate", (7, 46)),
    ):
        mask = nuclei[name]
        assert np.isin(dseg[mask], homes).all(), name
        left, right = mask[:30].sum(), mask[30:].sum()
        assert min(left, right) > 20, name
        assert max(left, right) < 1.5 * min(left, right), name
    assert not (nuclei["red-nucleus"] & nuclei["substantia-nigra"]).any()


def test_a_head_without_a_brainstem_gets_no_nuclei():
    nothing = iron_nuclei(np.zeros((20, 20, 20), np.int16))
    assert not any(mask.any() for mask in nothing.values())
