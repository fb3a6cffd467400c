"""What surrounds a place: tissues, by the structures that the anatomy network sees in a T2*w.

A vessel in a sulcus, mineral in a nucleus and a microbleed in white matter may look alike; where
they lie differs.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.core.arrays import Affine
from cmb_bidsapp.core.labels import STRUCTURES, structure_classes
from cmb_bidsapp.preprocess.resampling import Grid, resample

#: Structures of each tissue that a judge tells apart. The position is the class, from 1 on; 0 is
#: what lies outside the brain, and everything where nobody knows.
TISSUES = (
    ("lateral-ventricle", "third-ventricle", "fourth-ventricle", "csf"),
    ("cerebral-cortex", "hippocampus", "amygdala"),
    ("cerebral-wm",),
    ("thalamus", "caudate", "putamen", "pallidum", "accumbens", "ventral-dc"),
    ("cerebellar-wm", "cerebellar-cortex", "brainstem"),
)


def tissues_on(
    structures: npt.NDArray[np.integer], affine: Affine, grid: Grid, brain: npt.NDArray[np.bool_]
) -> npt.NDArray[np.uint8]:
    """Tissue of every voxel of an image, numbered as in :data:`TISSUES`.

    Parameters
    ----------
    structures, affine
        Classes of the anatomy network (:data:`~cmb_bidsapp.core.labels.STRUCTURES`), shape
        ``(x, y, z)``, and their voxel to world (RAS mm).
    grid
        Voxels of the image.
    brain
        What is brain in the image; the rest is 0.
    """
    tissue_of = np.zeros(len(STRUCTURES), np.uint8)
    for number, names in enumerate(TISSUES, start=1):
        tissue_of[structure_classes(names)] = number
    tissues = resample(tissue_of[structures], affine, grid, order=0)
    return np.where(brain, tissues, 0).astype(np.uint8)
