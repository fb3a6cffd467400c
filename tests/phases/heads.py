"""Heads whose regions are known, and their place in MNI152."""

import numpy as np

from cmb_bidsapp.anatomy.atlas import load_atlas
from cmb_bidsapp.anatomy.standard import Field, StandardTransforms
from cmb_bidsapp.phases.base import PreparedHead
from cmb_bidsapp.preprocess.resampling import Grid

#: Voxel to MNI152 of the head that is written, 2 mm.
AFFINE = np.array([[2.0, 0, 0, -70], [0, 2, 0, -104], [0, 0, 2, -70], [0, 0, 0, 1]])
SHAPE = (70, 88, 74)
#: A turn and a shift of the T2*w against the T1w, mm.
PULL = np.array([[0.96, -0.28, 0, 6], [0.28, 0.96, 0, -9], [0, 0, 1, 4], [0, 0, 0, 1]])
#: MNI152 to a head that lies elsewhere, mm.
MOVE = np.array([[1.0, 0, 0, 3], [0, 1, 0, -5], [0, 0, 1, 8], [0, 0, 0, 1]])


def ellipsoid():
    """Cortex of four lobes around white matter, thalami, brainstem; the midline is at x = 0."""
    index = np.ogrid[tuple(slice(0, n) for n in SHAPE)]
    x, y, z = (AFFINE[axis, axis] * index[axis] + AFFINE[axis, 3] for axis in range(3))
    radius = np.sqrt((x / 62) ** 2 + ((y + 17) / 80) ** 2 + (z / 65) ** 2)
    nuclei = np.sqrt((np.abs(x) - 10) ** 2 + (y + 18) ** 2 + (z - 7) ** 2) < 7
    stem = (np.abs(x) < 12) & (np.abs(y + 28) < 12) & (z < -15) & (radius < 1)
    area = np.where(z < -20, 1030, np.where(y > 0, 1028, np.where(y < -60, 1011, 1029)))
    dseg = np.zeros(SHAPE, np.int32)
    for inside, left, right in (
        (radius < 1, area, area + 1000),
        (radius < 0.85, 2, 41),
        (nuclei, 10, 49),
        (stem, 16, 16),
    ):
        dseg = np.where(inside, np.where(x > 0, right, left), dseg)
    return dseg.astype(np.int32)


def moved_atlas():
    """Every second voxel of the packaged atlas, moved, and voxel to world."""
    atlas = load_atlas()
    dseg = np.ascontiguousarray(atlas.data[::2, ::2, ::2])
    return dseg, MOVE @ atlas.affine @ np.diag([2.0, 2.0, 2.0, 1.0])


def head_of(dseg, affine, about=None):
    brain = dseg > 0
    return PreparedHead(
        data=brain.astype(np.float32), affine=affine, brain=brain, anatomy=None, about=about or {}
    )


def shifted(by):
    """Ways of a head that lies beside its place in MNI152, by as many mm."""
    grid = Grid((8, 8, 8), np.diag([40.0, 40.0, 40.0, 1.0]))
    grid.affine[:3, 3] = -140
    there = np.broadcast_to(-np.array(by), (*grid.shape, 3)).astype(np.float32)
    return StandardTransforms(Field(there, grid), Field(-there, grid))
