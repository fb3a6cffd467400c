"""The sign of a candidate in the phase image: paramagnetic as blood, or diamagnetic as calcium.

A magnitude image shows both dark. The field that they cause has opposite signs, and the phase of a
gradient echo is proportional to the field. Of a small source of susceptibility ``chi`` and radius
``a`` the field (Lorentz-corrected) is a dipole's::

    chi / 3 * (a / r)**3 * (3 * cos(theta)**2 - 1)        outside, at the angle theta to B0
    0                                                     inside

so one source has both signs: beyond its poles that of ``chi``, in the plane through its middle at
right angles to B0 the opposite. What a voxel shows is their mean, weighted with what signal is
left: of simulated microbleeds the middle of the middle slice was mostly higher than around where
slices were thick, and lower where they were thin. So no single value tells the sign. The field of a
source of the candidate's size is computed for the voxels as they lie to B0, filtered as the phase
is, and fitted to what is around.

Sources: Cheng, Neelavalli, Haacke 2009, Phys Med Biol 54:1169 (fields by Fourier transform);
Schweser et al. 2010, Med Phys 37:5165 (calcium and iron by their sign).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cmb_bidsapp.core.arrays import Affine, Image, Mask
from cmb_bidsapp.lesions.lesion import PhaseSign
from cmb_bidsapp.lesions.windows import Window, windows
from cmb_bidsapp.preprocess.dipole import dipole_field
from cmb_bidsapp.preprocess.resampling import Grid
from cmb_bidsapp.preprocess.swi import smoothing

#: Ranges that scanners and converters store one turn in: radians, Siemens as stored and as
#: converted with its scale, degrees, milliradians, 16 bits.
TURNS: tuple[tuple[float, float], ...] = (
    (-np.pi, np.pi),
    (0, 2 * np.pi),
    (0, 4096),
    (-4096, 4096),
    (-2048, 2048),
    (-180, 180),
    (0, 360),
    (-1000 * np.pi, 1000 * np.pi),
    (0, 65536),
    (-32768, 32768),
)
#: Share of a range that values must fill.
FILLED = 0.95
#: Sub-slices of a computed field are not thicker (mm).
FINE_MM = 0.75
#: What is beyond this distance (mm) of a candidate says nothing of it.
NEAR_MM = 4.0
#: Strengths (rad) of sources that are tried, of both signs.
STRENGTHS: npt.NDArray[np.float32] = np.geomspace(0.5, 200, 28).astype(np.float32)

#: Least evidence of a sign. Of simulated places without a source 86 of 100 fall below, of patches
#: with a lone microbleed 2 of 100.
EVIDENT = 0.15


def to_radians(values: Image, units: str = "") -> Image:
    """Phase in radians, of an image that holds it in any of the usual units.

    Parameters
    ----------
    values
        As stored, with the scale of the header; the whole field of view.
    units
        ``Units`` of the sidecar; with ``rad`` values are taken as they are.

    Raises
    ------
    ValueError
        They cannot be a phase; says why.
    """
    if not np.isfinite(values).all():
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if not high > low:
        raise ValueError("every voxel has the same value")
    if units.strip().lower() in ("rad", "radian", "radians") and high - low > 1:
        return values
    for first, last in TURNS:
        turn = last - first
        slack = 0.005 * turn
        if first - slack <= low and high <= last + slack and high - low >= FILLED * turn:
            return np.asarray((values - (first + last) / 2) * (2 * np.pi / turn), np.float32)
    if abs(low + high) < 0.01 * high and not 0.1 < high < np.pi:
        # Some scale of an image that wraps, since both ends are equally far.
        return np.asarray(values * (np.pi / high), np.float32)
    raise ValueError(f"values from {low:.4g} to {high:.4g} are no turn in any usual unit")


def b0_direction(affine: Affine) -> npt.NDArray[np.float64]:
    """B0, the scanner's z, along the array axes; shape ``(3,)``, length 1.

    Parameters
    ----------
    affine
        Voxel to world (RAS mm), as the scanner gave it.
    """
    sides = np.linalg.norm(affine[:3, :3], axis=0)
    along = affine[2, :3] / sides
    direction: npt.NDArray[np.float64] = along / np.linalg.norm(along)
    return direction


@dataclass(frozen=True)
class PhaseImage:
    """A phase image after the filter, with its magnitude, on one grid.

    Attributes
    ----------
    magnitude
        T2*w, 0 outside the brain.
    passed
        High-pass filtered phase, rad.
    affine
        Voxel to world (RAS mm).
    """

    magnitude: Image
    passed: Image
    affine: Affine


@dataclass(frozen=True)
class Fit:
    """A source fitted to the phase around a candidate.

    Attributes
    ----------
    evidence
        Misfit is the mean of ``1 - cos(measured - computed)`` over the surroundings, weighted with
        the squared magnitude. The share of it that goes when the better of both signs is taken;
        positive where that is the sign of a source that raises the phase beyond its poles.
    strength
        Phase (rad) of the better source, signed.
    core
        Median filtered phase (rad) of the candidate in its middle slice, as measured.
    """

    evidence: float
    strength: float
    core: float


@dataclass(frozen=True)
class Sign:
    """What the phase says of one candidate."""

    sign: PhaseSign
    fit: Fit


@dataclass(frozen=True, kw_only=True)
class Convention:
    """How the phase of an image goes with the field.

    Attributes
    ----------
    sign
        +1 where it grows with the field, -1 where it falls, 0 where that is not sure.
    pieces
        Dark structures that have a sign.
    agreeing
        Share of them that have the more frequent one; 0 without any.
    nuclei
        Correlation of the phase with what the iron of the nuclei makes of it, -1 to 1, the mean of
        both sides; 0 where the nuclei are not known.
    """

    sign: int
    pieces: int
    agreeing: float
    nuclei: float = 0.0


def signs(
    image: PhaseImage, instances: npt.NDArray[np.integer], convention: Convention
) -> dict[int, Sign]:
    """Sign of every candidate, by number; undecided where convention or evidence are not sure.

    Parameters
    ----------
    image
        Filtered phase and magnitude of the session.
    instances
        0, or the number of the candidate, on the grid of the image.
    convention
        Which way the scanner's phase runs, and how sure that is.
    """
    return {
        number: Sign(_sign(fit.evidence * convention.sign), fit)
        for number, fit in fit_sources(image, instances)
    }


def _sign(evidence: float) -> PhaseSign:
    if abs(evidence) < EVIDENT:
        return PhaseSign.UNDECIDED
    return PhaseSign.PARAMAGNETIC if evidence > 0 else PhaseSign.DIAMAGNETIC


def fit_sources(image: PhaseImage, instances: npt.NDArray[np.integer]) -> Iterable[tuple[int, Fit]]:
    """Number of each candidate, and the source fitted to it; the convention is not looked at.

    Parameters
    ----------
    image, instances
        See :func:`signs`.
    """
    grid = Grid.of(instances, image.affine)
    margin = [int(np.ceil(NEAR_MM / step)) for step in grid.spacing]
    for number, window, own in windows(instances, margin):
        yield number, _fit(image, grid, window, own)


def _fit(image: PhaseImage, grid: Grid, window: Window, own: Mask) -> Fit:
    magnitude, passed = image.magnitude[window], image.passed[window]
    unit = filtered_field(source_field(own, grid), magnitude, grid)
    near = ndimage.distance_transform_edt(~own, grid.spacing) <= NEAR_MM
    weight = np.where(near, np.square(magnitude), 0)
    total = float(weight.sum())
    through = grid.slice_axis
    middle = int(np.bincount(np.argwhere(own)[:, through]).argmax())
    here = np.take(own, middle, through)
    core = float(np.median(np.take(passed, middle, through)[here]))
    if not total > 0:
        return Fit(0.0, 0.0, core)
    seen = weight > 0
    weight, measured, field = weight[seen] / total, passed[seen], unit[seen]
    computed = STRENGTHS[:, None] * field
    # Of sources of strength s and -s alike.
    even, odd = np.cos(computed) * np.cos(measured), np.sin(computed) * np.sin(measured)
    up, down = (even + odd) @ weight, (even - odd) @ weight
    best = int(up.argmax()), int(down.argmax())
    fits = float(up[best[0]]), float(down[best[1]])
    evidence = (fits[0] - fits[1]) / max(1 - min(fits), 1e-6)
    strength = STRENGTHS[best[0]] if evidence >= 0 else -STRENGTHS[best[1]]
    return Fit(evidence, float(strength), core)


def source_field(own: Mask, grid: Grid) -> Image:
    """Relative field of a source of unit susceptibility in the place of a candidate.

    A candidate is as high as its slices say, but where they are thicker than it is wide: as wide.

    Parameters
    ----------
    own
        The candidate, with room around; ``grid`` tells its voxel size and B0.
    grid
        Voxels of that part of the image: voxel size and direction of B0.
    """
    through = grid.slice_axis
    mask = np.moveaxis(own, through, 2)
    sides = [s for a, s in enumerate(grid.spacing) if a != through]
    thick = grid.spacing[through]
    parts = max(1, int(np.ceil(thick / FINE_MM)))
    widest = int(mask.sum(axis=(0, 1)).argmax())
    across = np.pad(mask[..., widest], 1)
    # Twice the largest inner distance: of a disc the diameter, of a vessel the calibre.
    width = 2 * float(ndimage.distance_transform_edt(across, sides).max()) - min(sides) / 2
    levels = np.flatnonzero(mask.any(axis=(0, 1)))
    height = max(width, (len(levels) - 1) * thick)
    shares = mask.sum(axis=(0, 1))
    center = (float(shares @ np.arange(mask.shape[2])) / shares.sum() + 0.5) * thick
    z = (np.arange(mask.shape[2] * parts) + 0.5) * thick / parts
    filled = np.clip((height / 2 - np.abs(z - center)) * parts / thick + 0.5, 0, 1)
    fine = np.repeat(mask, parts, axis=2) * filled.astype(np.float32)
    return field_of_slices(fine.astype(np.float32), parts, grid, room=0.5)


def field_of_slices(fine: Image, parts: int, grid: Grid, *, room: float) -> Image:
    """Relative field of a susceptibility on a grid, mean of the sub-slices of each slice.

    Parameters
    ----------
    fine
        Susceptibility in sub-slices, which are the last axis.
    parts
        How many there are in a slice.
    grid
        Voxels of the field: voxel size and direction of B0.
    room
        See :func:`~cmb_bidsapp.preprocess.dipole.dipole_field`.
    """
    through = grid.slice_axis
    sides = [s for a, s in enumerate(grid.spacing) if a != through]
    direction = b0_direction(grid.affine)
    direction = np.array([*np.delete(direction, through), direction[through]])
    spacing = (*sides, grid.spacing[through] / parts)
    field = dipole_field(fine, spacing, b0=direction.tolist(), room=room)
    coarse = field.reshape(*fine.shape[:2], -1, parts).mean(axis=3)
    return np.moveaxis(coarse, 2, through).astype(np.float32)


def filtered_field(field: Image, magnitude: Image, grid: Grid) -> Image:
    """A field as the filter leaves it; that of a weak source, of which it is linear.

    Parameters
    ----------
    field
        Relative field, shape ``(x, y, z)``.
    magnitude, grid
        Image that the phase was filtered with, and its voxels.
    """
    sigma = smoothing(grid)
    weight = ndimage.gaussian_filter(magnitude, sigma)
    smooth = ndimage.gaussian_filter(magnitude * field, sigma) / np.maximum(weight, 1e-6)
    return np.asarray(field - smooth, np.float32)
