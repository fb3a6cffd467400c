"""Susceptibility-weighted imaging: the filtered phase, and the magnitude that it darkens.

Source: Haacke et al. 2004, Magn Reson Med 52:612.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from cmb_bidsapp.core.arrays import Affine, Image
from cmb_bidsapp.preprocess.resampling import Grid

#: Standard deviation (mm) of the blur in plane whose phase is taken away.
SMOOTH_MM = 4.0


def smoothing(grid: Grid) -> list[float]:
    """Standard deviation (voxels) of the blur, along each axis of an image."""
    return [0 if a == grid.slice_axis else SMOOTH_MM / s for a, s in enumerate(grid.spacing)]


def homodyne(magnitude: Image, phase: Image, affine: Affine) -> Image:
    """High-pass filtered phase (rad).

    The phase of the blurred complex image is taken away, in plane: nothing needs unwrapping, and
    slices that were excited one by one need not fit together, both of which a Laplacian asks for.

    Parameters
    ----------
    magnitude, phase
        Same grid; magnitude may be 0 outside the brain.
    affine
        Voxel to world (mm).
    """
    sigma = smoothing(Grid.of(magnitude, affine))
    real, imaginary = (magnitude * turn(phase) for turn in (np.cos, np.sin))
    smooth = ndimage.gaussian_filter(real, sigma) + 1j * ndimage.gaussian_filter(imaginary, sigma)
    passed = np.angle((real + 1j * imaginary) * smooth.conj())
    return np.asarray(np.where(magnitude > 0, passed, 0), np.float32)


def susceptibility_weighted(magnitude: Image, passed: Image, convention: int) -> Image:
    """Magnitude times the fourth power of the phase mask.

    The mask darkens where the field is raised, as in veins along B0.

    Parameters
    ----------
    magnitude, passed
        Same grid; the phase after :func:`homodyne`, rad.
    convention
        +1 where the phase grows with the field, -1 where it falls; with 0 nothing is darkened.
    """
    raised = np.clip(passed * convention, 0, np.pi)
    return np.asarray(magnitude * (1 - raised / np.pi) ** 4, np.float32)
