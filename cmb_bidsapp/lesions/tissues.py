"""What surrounds a place: tissues, by the structures that the anatomy network sees in a T2*w.

A vessel in a sulcus, mineral in a nucleus and a microbleed in white matter may look alike; where
they lie differs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cmb_bidsapp.core.arrays import Regions, Volume
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


def structures_on(structures: Volume[np.integer[Any]], t2star: Volume[np.float32]) -> Regions:
    """Structure of every voxel of an image; 0 outside the brain.

    Parameters
    ----------
    structures
        Classes of the anatomy network (:data:`~cmb_bidsapp.core.labels.STRUCTURES`), on any grid.
    t2star
        Brain-extracted image, 0 outside the brain.
    """
    grid = Grid.of(t2star.data, t2star.affine)
    nearest = resample(structures.data, structures.affine, grid, order=0)
    return np.where(t2star.data > 0, nearest, 0).astype(np.uint8)


def tissues_on(structures: Volume[np.integer[Any]], t2star: Volume[np.float32]) -> Regions:
    """Tissue of every voxel of an image, numbered as in :data:`TISSUES`.

    Parameters
    ----------
    structures, t2star
        See :func:`structures_on`.
    """
    tissue_of = np.zeros(len(STRUCTURES), np.uint8)
    for number, names in enumerate(TISSUES, start=1):
        tissue_of[structure_classes(names)] = number
    return tissue_of[structures_on(structures, t2star)]
