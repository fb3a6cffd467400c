"""Signal physics of T2*w gradient echo: susceptibility, dipole fields, complex signal.

Arrays are in RAS axis order with B0 along the third axis. Sources of susceptibility are drawn in
a small box at 0.25 mm or finer, their field is the convolution of the susceptibility with the
unit dipole, and the complex signal is averaged over each voxel: that average is the blooming.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.core.arrays import Image
from cmb_bidsapp.preprocess.dipole import dipole_field
from cmb_bidsapp.preprocess.resampling import along_axes

Complex = npt.NDArray[np.complex64]

#: Gyromagnetic ratio of the proton over 2 pi, in MHz/T.
GAMMA_BAR = 42.577
#: Relaxation caused by susceptibility, in 1/s per ppm at 3 T (scales with B0).
R2_PRIME_PER_PPM = 137.0


def phase_per_ppm(b0: float, te_ms: float) -> float:
    """Phase in radians that one ppm of field gathers until the echo.

    Parameters
    ----------
    b0
        Field strength (T).
    te_ms
        Echo time (ms).
    """
    return float(2 * np.pi * GAMMA_BAR * b0 * te_ms * 1e-3)


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source of susceptibility in the head.

    Attributes
    ----------
    kind
        ``cmb``, ``vein`` or ``calcification``.
    chi
        Susceptibility in ppm against water.
    semi_axes
        Half lengths of an ellipsoid in mm; a vessel repeats its radius.
    path
        Center, or the course of a vessel, in mm; shape ``(n, 3)``.
    """

    kind: str
    chi: float
    semi_axes: tuple[float, float, float]
    path: npt.NDArray[np.float64]

    @property
    def diameter(self) -> float:
        """Diameter in mm of the sphere of the same volume (of a vessel: its calibre)."""
        return float(2 * np.cbrt(np.prod(self.semi_axes)))

    def reach(self, b0: float, te_ms: float) -> float:
        """Distance in mm at which the phase has fallen under 0.1 rad, at least its diameter.

        Parameters
        ----------
        b0
            Field strength (T).
        te_ms
            Echo time (ms).
        """
        radius: float = self.diameter / 2
        phase = phase_per_ppm(b0, te_ms) * abs(self.chi) * 2 / 3
        exponent = 1 / 3 if len(self.path) == 1 else 1 / 2
        return float(min(20.0, radius * max(2.0, (phase / 0.1) ** exponent)))


Axes = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]


def draw(source: Source, axes: Axes, rng: np.random.Generator | None = None) -> Image:
    """Fraction of each voxel of a box that the source fills.

    Parameters
    ----------
    source
        In the coordinates of the axes (mm).
    axes
        Voxel centers of the box along each axis, mm, evenly spaced.
    rng
        Turns an ellipsoid at random and makes its surface uneven; without it the ellipsoid is
        smooth and axis-aligned. Vessels do not use it.
    """
    spacing = [float(a[1] - a[0]) for a in axes]
    if len(source.path) > 1:
        reach = source.semi_axes[0] + min(spacing)
        distance = _distance_to_path(source.path, axes, spacing, reach)
        filled: Image = np.clip((source.semi_axes[0] - distance) / min(spacing) + 0.5, 0, 1)
        # A vessel finer than the voxels is drawn about one voxel wide: keep its cross-section.
        section, width = np.pi * source.semi_axes[0] ** 2, min(spacing)
        return filled * np.float32(min(1.0, section / width**2))
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) - source.path[0]
    scaled = grid.astype(np.float32)
    if rng is not None:
        turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
        scaled = scaled @ turn.astype(np.float32)
    scaled /= np.array(source.semi_axes, np.float32)
    radius = np.linalg.norm(scaled, axis=-1)
    for _ in range(0 if rng is None else 3):
        assert rng is not None
        wave = rng.normal(0, 1.5, 3).astype(np.float32)
        radius *= 1 + 0.06 * np.sin(scaled @ wave + np.float32(rng.uniform(0, 2 * np.pi)))
    occupancy = np.clip((1 - radius) * (source.diameter / 2) / min(spacing) + 0.5, 0, 1)
    # A source about as small as the voxels keeps its volume, hence its magnetic moment.
    drawn = float(occupancy.sum()) * float(np.prod(spacing))
    volume = 4 / 3 * np.pi * float(np.prod(source.semi_axes))
    share = min(1.0, volume / drawn) if drawn > 0 else 1.0
    drawn_volume: Image = (occupancy * share).astype(np.float32)
    return drawn_volume


def _distance_to_path(
    path: npt.NDArray[np.float64], axes: Axes, spacing: list[float], reach: float
) -> npt.NDArray[np.float32]:
    """Distance in mm of each box voxel to a polyline; infinite beyond ``reach``."""
    size = np.array(spacing)
    first = np.array([axis[0] for axis in axes])
    shape = np.array([len(axis) for axis in axes])
    distance = np.full(shape, np.inf, np.float32)
    for start, end in itertools.pairwise(path):
        low = np.floor((np.minimum(start, end) - reach - first) / size).astype(int)
        high = np.ceil((np.maximum(start, end) + reach - first) / size).astype(int) + 1
        low, high = np.clip(low, 0, shape), np.clip(high, 0, shape)
        if (low >= high).any():
            continue
        near = [axis[i:j] for axis, i, j in zip(axes, low, high, strict=True)]
        offset = np.stack(np.meshgrid(*near, indexing="ij"), axis=-1) - start
        along = end - start
        share = np.clip(offset @ along / max(float(along @ along), 1e-12), 0, 1)
        away = np.linalg.norm(offset - share[..., None] * along, axis=-1)
        window = tuple(slice(i, j) for i, j in zip(low, high, strict=True))
        distance[window] = np.minimum(distance[window], away.astype(np.float32))
    return distance


def signal_factor(
    occupancy: Image, spacing: tuple[float, float, float], chi: float, b0: float, te_ms: float
) -> Complex:
    """What a source multiplies the complex signal with, per voxel of its box: phase and decay.

    Parameters
    ----------
    occupancy
        Share of each voxel that the source fills, 0 to 1, shape ``(x, y, z)``, B0 along z.
    spacing
        Voxel size along each axis (mm).
    chi
        Susceptibility of the source (ppm against water).
    b0
        Field strength (T).
    te_ms
        Echo time (ms).
    """
    local_chi = occupancy * np.float32(chi)
    inside = dipole_field(local_chi, spacing, room=0.25)
    decay = np.exp(-R2_PRIME_PER_PPM * np.abs(local_chi) * np.float32(b0 / 3 * te_ms * 1e-3))
    factor: Complex = (decay * np.exp(1j * inside * np.float32(phase_per_ppm(b0, te_ms)))).astype(
        np.complex64
    )
    return factor


def interpolation_matrix(n_in: int, positions: npt.NDArray[np.float64]) -> Image:
    """Linear interpolation between samples at 0, 1, 2 and so on; shape ``(positions, n_in)``.

    Parameters
    ----------
    n_in
        How many samples there are, at least two.
    positions
        Where values are wanted, in the unit of the samples; beyond the ends the last one
        counts.
    """
    matrix = np.zeros((len(positions), n_in), np.float32)
    clipped = np.clip(positions, 0, n_in - 1)
    low = np.minimum(clipped.astype(int), n_in - 2)
    weight = (clipped - low).astype(np.float32)
    rows = np.arange(len(positions))
    matrix[rows, low] = 1 - weight
    matrix[rows, low + 1] += weight
    return matrix


def resample(volume: Image, matrices: tuple[Image, Image, Image]) -> Image:
    """Interpolate along each axis; returns one value for every row of each matrix.

    Parameters
    ----------
    volume
        Shape ``(x, y, z)``.
    matrices
        One for each axis, shape ``(wanted, given)``; see :func:`interpolation_matrix`.
    """
    used = [np.flatnonzero(matrix.any(axis=0)) for matrix in matrices]
    parts = tuple(slice(int(u[0]), int(u[-1]) + 1) for u in used)
    weights = [matrix[:, part] for matrix, part in zip(matrices, parts, strict=True)]
    return along_axes(volume[parts], weights)
