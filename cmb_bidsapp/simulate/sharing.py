"""Images as archives share them: without the face or the skull, T1w on the grid of the T2*w."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from nibabel.affines import voxel_sizes
from scipy import ndimage

from cmb_bidsapp.core.arrays import Affine, Mask
from cmb_bidsapp.simulate.case import Case
from cmb_bidsapp.simulate.request import Kept

#: Around a half-stripped brain so much of the head is left on average, and how unevenly (mm); the
#: width of what is left or cut off together (standard deviation, mm).
LEFT_MM, UNEVEN_MM, PATCH_MM = 6.0, 8.0, 15.0


def shared(case: Case, kept: Kept, rng: np.random.Generator, *, t1w_on_t2star: bool) -> Case:
    """A session as an archive shares it; what is true of it stays.

    Parameters
    ----------
    case
        The session as it was scanned.
    kept
        What is left of the head.
    rng
        Draws where skull and eyes are left.
    t1w_on_t2star
        Whether the T1w is resampled to the grid of the T2*w.
    """
    if t1w_on_t2star:
        case = replace(
            case,
            t1w=case.t1w_on_t2star,
            t1w_brain=case.brain,
            t1w_affine=case.affine,
            t1w_to_t2star=np.eye(4),
        )
    left = left_over(case.brain > 0, case.affine, kept, rng)
    of_t1w = left if t1w_on_t2star else left_over(case.t1w_brain > 0, case.t1w_affine, kept, rng)
    return replace(
        case,
        t2star=np.where(left, case.t2star, np.float32(0)),
        phase=np.where(left, case.phase, np.float32(0)),
        t1w=np.where(of_t1w, case.t1w, np.float32(0)),
    )


def left_over(brain: Mask, affine: Affine, kept: Kept, rng: np.random.Generator) -> Mask:
    """Voxels that are left of a head.

    Parameters
    ----------
    brain
        Its brain, any axis order.
    affine
        Voxel to world, mm.
    kept
        What is to be left.
    rng
        Draws where skull and eyes are left.
    """
    if kept is Kept.WHOLE:
        return np.ones(brain.shape, np.bool_)
    if kept is Kept.BRAIN:
        return brain
    voxel = voxel_sizes(affine)
    noise = ndimage.gaussian_filter(
        rng.standard_normal(brain.shape, dtype=np.float32), PATCH_MM / voxel
    )
    reach = LEFT_MM + UNEVEN_MM * noise / noise.std()
    left: Mask = brain | (ndimage.distance_transform_edt(~brain, voxel) <= reach)
    return left
