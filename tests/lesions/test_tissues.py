"""Tissues of an image, by the structures of the anatomy network."""

import numpy as np

from cmb_bidsapp.core.arrays import Volume
from cmb_bidsapp.core.labels import STRUCTURES
from cmb_bidsapp.lesions.tissues import TISSUES, tissues_on


def test_every_structure_of_the_brain_is_in_one_tissue():
    named = [name for names in TISSUES for name in names]
    assert sorted(named) == sorted(STRUCTURES[1:])


def test_an_image_has_the_tissues_of_what_lies_there():
    structures = np.zeros((4, 4, 4), np.uint8)
    structures[:2] = STRUCTURES.index("putamen")
    structures[2:] = STRUCTURES.index("cerebral-wm")
    t2star = np.ones((8, 8, 2), np.float32)
    t2star[:, 0] = 0
    found = tissues_on(
        Volume(structures, np.diag([2.0, 2.0, 2.0, 1.0])),
        Volume(t2star, np.diag([1.0, 1.0, 4.0, 1.0])),
    )
    assert found.dtype == np.uint8
    assert (found[:, 0] == 0).all()
    assert (found[:3, 1:] == 4).all()
    assert (found[4:7, 1:] == 3).all()
