"""The field of a map of magnetic susceptibility."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import fft

from cmb_bidsapp.core.arrays import Image


def dipole_field(
    chi: Image,
    spacing: Sequence[float],
    *,
    b0: Sequence[float] = (0.0, 0.0, 1.0),
    room: float = 0.0,
) -> Image:
    """Relative field change (ppm) of a susceptibility map (ppm), Lorentz-corrected.

    Its convolution with the unit dipole (Salomir et al. 2003, Concepts Magn Reson 19B:26).

    Parameters
    ----------
    chi
        Susceptibility (ppm), shape ``(x, y, z)``.
    spacing
        Voxel size along the axes, in any unit.
    b0
        Direction of B0 along the axes, length 1.
    room
        Share of each side that is put beyond it: the convolution is periodic, and images of the
        sources must not reach the map.
    """
    sides = chi.shape
    if room:
        sides = tuple(fft.next_fast_len(n + int(room * n), real=True) for n in sides)
    axes = [fft.fftfreq(n, step) for n, step in zip(sides[:2], spacing[:2], strict=True)]
    axes.append(fft.rfftfreq(sides[2], spacing[2]))
    k = np.meshgrid(*(axis.astype(np.float32) for axis in axes), indexing="ij", sparse=True)
    k2 = np.square(k[0]) + np.square(k[1]) + np.square(k[2])
    k2[0, 0, 0] = 1
    along = sum(np.float32(part) * one for part, one in zip(b0, k, strict=True) if part)
    kernel = np.float32(1 / 3) - np.square(along) / k2
    kernel[0, 0, 0] = 0
    field: Image = fft.irfftn(fft.rfftn(chi, sides) * kernel, sides)
    return field[tuple(slice(n) for n in chi.shape)]
