"""Microbleeds drawn into scans of people, whose texture and vessels no simulation has.

The field and the decay of a source multiply the signal, whatever else is in the voxel; the
magnitude of the product is the product of the magnitudes. So a preprocessed magnitude image is
enough to implant a microbleed, and nothing beyond the reach of its field changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from nibabel.affines import apply_affine
from scipy import ndimage

from cmb_bidsapp.core.arrays import Affine, Image, Regions
from cmb_bidsapp.core.labels import PROXY_NAMES
from cmb_bidsapp.simulate.acquisition import apply_source
from cmb_bidsapp.simulate.grid import FINE_IN_PLANE, FINE_THROUGH_PLANE, ScanGrid
from cmb_bidsapp.simulate.physics import Complex, Source
from cmb_bidsapp.simulate.protocols import ScanProtocol
from cmb_bidsapp.simulate.sources import log_uniform, uneven
from cmb_bidsapp.simulate.truth import darkened, in_plane_diameter, visible_lesions

#: Share of the sources by proxy class. Deep ones are more frequent than in people: bleeds between
#: the mineral of the basal ganglia are what networks miss.
CLASS_SHARES = {1: 0.58, 2: 0.32, 3: 0.10}
#: Range of the sources' susceptibility (ppm), log-uniform.
CHI_PPM = (0.15, 2.0)
#: Share of the sources that have companions, how many at most, and how far away (mm).
CLUSTERED, COMPANIONS, COMPANION_MM = 0.2, 4, (2.0, 8.0)
#: Distance (mm) that sources keep otherwise.
APART_MM = 8.0
#: Fluid is brighter than this multiple of the brain's median; no microbleed lies in it.
FLUID = 1.3
#: Scanners interpolate: the factor is blurred in plane by up to this (standard deviation, mm).
BLUR_MM = 0.5


@dataclass(frozen=True, kw_only=True)
class Implants:
    """Sources in a scan, and what a rater would draw of them; arrays on the grid of the scan.

    Attributes
    ----------
    factor
        What the sources multiply the complex signal with; 1 beyond their reach.
    instances
        Visible lesions by number from 1, 0 elsewhere.
    ignore
        What is darkened but too faint to be called a microbleed, or none.
    rows
        One row per source, see :data:`COLUMNS`.
    """

    factor: Complex
    instances: npt.NDArray[np.int16]
    ignore: npt.NDArray[np.uint8]
    rows: list[dict[str, Any]]


_WORLD = {"Description": "Center of the source in world coordinates of the T2*w", "Units": "mm"}
COLUMNS: dict[str, dict[str, Any]] = {
    "lesion_id": {"Description": "Value in the instance dseg; n/a if not visible"},
    **dict.fromkeys("xyz", _WORLD),
    "chi": {"Description": "Susceptibility relative to water", "Units": "ppm"},
    "true_diameter": {
        "Description": "Diameter of a sphere with the volume of the source",
        "Units": "mm",
    },
    "apparent_diameter": {
        "Description": "Diameter of a disk with the area of the largest cross-section in the mask",
        "Units": "mm",
    },
    "contrast": {"Description": "Largest fractional loss of magnitude"},
    "region": {"Description": "Proxy class at the center"},
}


def draw_implants(
    t2star: Image,
    proxy: Regions,
    affine: Affine,
    count: int,
    rng: np.random.Generator,
    *,
    b0: float = 3.0,
    te_ms: float = 20.0,
    within: npt.NDArray[np.bool_] | None = None,
) -> Implants:
    """Draw microbleeds for a scan.

    Parameters
    ----------
    t2star
        Brain-extracted T2*w magnitude, axes in RAS order.
    proxy
        Proxy classes (1 lobar, 2 deep, 3 infratentorial) on its grid.
    affine
        Voxel to world (mm) of that grid.
    count
        Number of sources, visible or not.
    rng
        Draws them.
    b0, te_ms
        Field strength (T) and echo time (ms). Only their product with the susceptibility shows,
        which is drawn over more than a decade: an assumption does where they are unknown.
    within
        Where sources may lie, companions apart; everywhere without it.
    """
    voxel = tuple(float(size) for size in np.linalg.norm(affine[:3, :3], axis=0))
    grid = _grid(t2star.shape, voxel)
    sources = choose_sources(t2star, proxy, voxel, count, rng, within)
    protocol = ScanProtocol(name="implant", b0=b0, te_ms=te_ms, voxel=grid.voxel, snr=1)
    fine = np.ones((*grid.shape[:2], grid.shape[2] * grid.slab), np.complex64)
    for source in sources:
        apply_source(fine, source, grid, protocol, rng)
    factor = _blurred(grid.mean_of_slices(fine), voxel, rng.uniform(0, BLUR_MM))
    loss: Image = np.clip(1 - np.abs(factor), 0, 1)
    brain = proxy > 0
    scaling = np.diag([*voxel, 1.0])
    centers = np.array([source.path[0] for source in sources]).reshape(-1, 3)
    instances, numbers = visible_lesions(loss, brain, scaling, centers)
    ignore = darkened(loss, brain, instances)
    rows = [
        _row(source, number, loss, instances, proxy, affine, voxel)
        for source, number in zip(sources, numbers, strict=True)
    ]
    return Implants(factor=factor, instances=instances, ignore=ignore, rows=rows)


def _grid(shape: Sequence[int], voxel: Sequence[float]) -> ScanGrid:
    """The voxels of a scan, with the origin in the middle of the first one (mm)."""
    x, y, z = (float(size) for size in voxel)
    slab = max(1, round(z / FINE_THROUGH_PLANE))
    in_plane = max(1, int(np.ceil(x / FINE_IN_PLANE)))
    i, j, k = (int(n) for n in shape)
    return ScanGrid(
        origin=(0.0, 0.0, 0.0),
        voxel=(x, y, z),
        shape=(i, j, k),
        slab=slab,
        excited=slab,
        in_plane=in_plane,
    )


def choose_sources(
    t2star: Image,
    proxy: Regions,
    voxel: Sequence[float],
    count: int,
    rng: np.random.Generator,
    within: npt.NDArray[np.bool_] | None = None,
) -> list[Source]:
    """Draw sources in tissue: not at the edge of a class, not in fluid, some in clusters.

    Parameters
    ----------
    t2star, proxy
        Brain-extracted T2*w and its proxy classes, axes in RAS order.
    voxel
        Voxel size in mm; sources lie at voxel index times this size.
    count
        How many.
    rng
        Draws them.
    within
        Where they may lie, companions apart; everywhere without it.
    """
    places = _tissue_by_class(t2star, proxy, within)
    if not places:
        return []
    shares = _shares(places)
    size = np.array(voxel)
    chosen: list[Source] = []
    for _ in range(40 * count):
        if len(chosen) >= count:
            break
        voxels = places[int(rng.choice(list(places), p=shares))]
        center = (voxels[rng.integers(len(voxels))] + rng.uniform(-0.5, 0.5, 3)) * size
        if any(np.linalg.norm(center - other.path[0]) < APART_MM for other in chosen):
            continue
        chosen.append(_source(center, rng))
        if rng.random() < CLUSTERED:
            for _ in range(int(rng.integers(1, COMPANIONS + 1))):
                way = rng.standard_normal(3)
                beside = center + rng.uniform(*COMPANION_MM) * way / np.linalg.norm(way)
                index = np.round(beside / size).astype(int)
                if (index >= 0).all() and (index < proxy.shape).all() and proxy[tuple(index)]:
                    chosen.append(_source(beside, rng))
    return chosen[:count]


def tissue_places(
    t2star: Image,
    proxy: Regions,
    count: int,
    rng: np.random.Generator,
    *,
    within: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.intp]:
    """Draw voxels where microbleeds may lie, the classes as frequent as among implants.

    Parameters
    ----------
    t2star, proxy
        Brain-extracted T2*w and its proxy classes, axes in RAS order.
    count
        How many.
    rng
        Draws them.
    within
        Where they are wanted; anywhere by default.

    Returns
    -------
    voxels
        Shape ``(count, 3)``; none where there is no such tissue.
    """
    places = _tissue_by_class(t2star, proxy, within)
    if not places:
        return np.zeros((0, 3), np.intp)
    drawn = rng.choice(list(places), size=count, p=_shares(places))
    voxels: npt.NDArray[np.intp] = np.array(
        [places[int(label)][rng.integers(len(places[int(label)]))] for label in drawn], np.intp
    )
    return voxels


def _tissue_by_class(
    t2star: Image, proxy: Regions, within: npt.NDArray[np.bool_] | None = None
) -> dict[int, npt.NDArray[np.intp]]:
    """Voxels of each class that has any: not at its edge, and not in fluid."""
    if not (proxy > 0).any():
        return {}
    tissue = t2star < FLUID * np.median(t2star[proxy > 0])
    if within is not None:
        tissue &= within
    in_plane = np.ones((3, 3, 1), np.bool_)
    return {
        label: found
        for label in CLASS_SHARES
        if len(found := np.argwhere(ndimage.binary_erosion(proxy == label, in_plane) & tissue))
    }


def _shares(places: Mapping[int, npt.NDArray[np.intp]]) -> npt.NDArray[np.float64]:
    shares = np.array([CLASS_SHARES[label] for label in places])
    normalized: npt.NDArray[np.float64] = shares / shares.sum()
    return normalized


def _source(center: npt.NDArray[np.float64], rng: np.random.Generator) -> Source:
    shape = uneven(rng)
    return Source(kind="cmb", chi=log_uniform(rng, *CHI_PPM), semi_axes=shape, path=center[None])


def _blurred(factor: Complex, voxel: Sequence[float], sigma_mm: float) -> Complex:
    """The factor as an interpolating scanner shows it, where it differs from 1."""
    sigma = (sigma_mm / voxel[0], sigma_mm / voxel[1], 0)
    changed = ndimage.gaussian_filter(factor - 1, sigma, truncate=3)
    blurred: Complex = (1 + changed).astype(np.complex64)
    return blurred


def _row(
    source: Source,
    number: int | None,
    loss: Image,
    instances: npt.NDArray[np.int16],
    proxy: Regions,
    affine: Affine,
    voxel: Sequence[float],
) -> dict[str, Any]:
    center = source.path[0] / np.array(voxel)
    index = tuple(np.clip(np.round(center).astype(int), 0, np.array(proxy.shape) - 1))
    mask = instances == number if number else np.zeros(loss.shape, np.bool_)
    return {
        "lesion_id": number,
        **dict(zip("xyz", apply_affine(affine, center).tolist(), strict=True)),
        "chi": source.chi,
        "true_diameter": source.diameter,
        "apparent_diameter": in_plane_diameter(mask, voxel) if number else None,
        "contrast": float(loss[mask].max()) if number else float(loss[index]),
        "region": PROXY_NAMES[int(proxy[index])],
    }


def with_implants(t2star: Image, factor: Complex, noise: float, rng: np.random.Generator) -> Image:
    """Magnitude of a scan with implants, in whose voids there is noise as in any other.

    Parameters
    ----------
    t2star
        Magnitude of the scan, shape ``(x, y, z)``.
    factor
        What the implants multiply its complex signal with; same shape.
    noise
        Standard deviation of the noise of the scan (:func:`noise_level`); multiplied with the
        factor it would fade together with the signal.
    rng
        Draws the noise of the voids.
    """
    reach = np.flatnonzero((np.abs(factor - 1) > 1e-4) & (t2star > 0))
    share = np.abs(factor.flat[reach])
    sigma = noise * np.sqrt(np.clip(1 - share**2, 0, None))
    added = rng.standard_normal((2, len(reach)), dtype=np.float32) * sigma
    darker: Image = t2star.astype(np.float32)
    darker.flat[reach] = np.hypot(darker.flat[reach] * share + added[0], added[1])
    return darker


def noise_level(t2star: Image) -> float:
    """Standard deviation of the noise, from the differences of neighbors along the first axis.

    Anatomy is smooth at that distance almost everywhere, which the median relies on.
    """
    inside = t2star > 0
    second = t2star[2:] - 2 * t2star[1:-1] + t2star[:-2]
    known = inside[2:] & inside[1:-1] & inside[:-2]
    if not known.any():
        return 0.0
    return float(np.median(np.abs(second[known])) / 0.6745 / np.sqrt(6))
