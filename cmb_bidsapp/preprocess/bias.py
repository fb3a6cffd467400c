"""N4 bias field correction (Tustison 2010), as ANTs does it."""

from __future__ import annotations

import numpy as np

from cmb_bidsapp.core.arrays import Image
from cmb_bidsapp.preprocess.ants import to_ants
from cmb_bidsapp.preprocess.brain import BrainImage
from cmb_bidsapp.preprocess.resampling import isotropic_grid, resample

#: The field is smooth: it is estimated at this voxel size (mm) and carried to the image's grid.
ESTIMATION_MM = 6.0
#: Less brain than this has no field that could be told from its tissues.
LEAST_ML = 64


def correct_bias(head: BrainImage) -> Image:
    """Divide an image by its bias field.

    Parameters
    ----------
    head
        The field is estimated inside its brain.

    Returns
    -------
    corrected
        Same grid and scale (the field has mean 1 in the mask).
    """
    import ants

    coarse = isotropic_grid(head.grid, ESTIMATION_MM)
    image = resample(np.maximum(head.data, 0), head.affine, coarse, smooth=True)
    inside = resample(head.brain, head.affine, coarse, smooth=True) > 0.5
    if inside.sum() * ESTIMATION_MM**3 < 1000 * LEAST_ML:
        return head.data
    field_image = ants.n4_bias_field_correction(
        to_ants(image, coarse.affine),
        mask=to_ants(inside.astype(np.float32), coarse.affine),
        shrink_factor=1,
        convergence={"iters": [50, 50, 30], "tol": 1e-6},
        spline_param=150,
        return_bias_field=True,
    )
    field = field_image.numpy().astype(np.float32)
    field = np.where(np.isfinite(field) & (field > 0), field, 1) / float(field[inside].mean())
    on_image = resample(np.log(field), coarse.affine, head.grid)
    corrected: Image = head.data / np.exp(on_image)
    return corrected
