"""Where in a head microbleeds and their mimics lie, and how large and how magnetic they are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cmb_bidsapp.core.labels import ids, table
from cmb_bidsapp.simulate.anatomy import Head
from cmb_bidsapp.simulate.physics import Source

Mask = npt.NDArray[np.bool_]

#: Radius of a microbleed's source, its share of faint ones, and the step of a vein's course.
RADIUS_MM, FAINT_SHARE, VEIN_STEP_MM = (0.3, 2.4), 0.1, 2.0
#: How many veins a head has, how many small vessels in its sulci and cisterns, and how many at most
#: in its putamen and pallidum (lenticulostriate arteries and mineral streaks).
VEINS, SMALL_VESSELS, STRIATE = (40, 110), (150, 450), 30
#: Direction of a vessel that runs through the slices.
UP = (0.0, 0.0, 1.0)
#: Sites that calcify together, the share of heads in which they do, and the most in one site:
#: two thirds of adults in the choroid plexus, few elsewhere (CT of 1,569 adults, Daghighi et al.
#: 2007, Folia Morphol 66:115; basal ganglia after Kwak et al. 1988, No To Shinkei 40:569).
CALCIFIED: tuple[tuple[tuple[str, ...], float, int], ...] = (
    (("choroid",), 0.66, 4),
    (("falx",), 0.10, 2),
    (("sulcus",), 0.07, 2),
    (("left-pallidum", "right-pallidum"), 0.08, 2),
)
#: Share of microbleeds by site (see docs/simulation.md).
SITES = {
    "junction": 0.38,
    "subcortical": 0.39,
    "basal-ganglia": 0.12,
    "thalamus": 0.04,
    "cerebellum": 0.05,
    "brainstem": 0.02,
}


class Sites:
    """Where in a head microbleeds and their mimics may lie."""

    def __init__(self, head: Head) -> None:
        self._box = ndimage.find_objects(head.brain.astype(np.uint8))[0]
        dseg = head.dseg[self._box]
        self._offset = np.array([s.start for s in self._box], float)
        white = np.isin(dseg, ids(structure="cerebral-wm"))
        cortex = np.isin(dseg, ids(structure="cerebral-cortex"))
        fluid = np.isin(dseg, ids(structure="csf"))
        to_cortex = ndimage.distance_transform_edt(~cortex)
        ventricle = np.isin(dseg, ids(structure="lateral-ventricle"))
        to_ventricle = ndimage.distance_transform_edt(~ventricle)
        across = np.broadcast_to(np.arange(dseg.shape[0])[:, None, None], dseg.shape)
        inner = ndimage.distance_transform_edt(dseg > 0)
        named = {
            name: np.isin(dseg, [i for s in structures for i in ids(structure=s)])
            for name, structures in {
                "basal-ganglia": ("caudate", "putamen", "pallidum"),
                "thalamus": ("thalamus",),
                "striatum": ("putamen", "pallidum"),
                "cerebellum": ("cerebellar-wm", "cerebellar-cortex"),
                "brainstem": ("brainstem",),
            }.items()
        }
        masks: dict[str, Mask] = {
            "junction": (cortex & (inner > 2)) | (white & (to_cortex <= 2)),
            "subcortical": white & (to_cortex > 2),
            "sulcus": fluid & (to_cortex <= 2),
            "periventricular": white & (to_ventricle <= 3),
            # The wide parts, where the plexus hangs free.
            "choroid": ndimage.distance_transform_edt(ventricle) >= 2,
            "falx": fluid & (np.abs(across - across[cortex].mean()) <= 3),
            "left-pallidum": np.isin(dseg, _pallidum("L")),
            "right-pallidum": np.isin(dseg, _pallidum("R")),
            **named,
        }
        self._masks = masks
        self._voxels = {name: np.argwhere(mask) for name, mask in masks.items()}
        self._to_ventricle = to_ventricle

    def draw(self, site: str, rng: np.random.Generator) -> npt.NDArray[np.float64] | None:
        """A random point (mm, head space) of a site; ``None`` where the head has none."""
        voxels = self._voxels[site]
        if len(voxels) == 0:
            return None
        point: npt.NDArray[np.float64] = (
            voxels[rng.integers(len(voxels))] + self._offset + rng.uniform(-0.5, 0.5, 3)
        )
        return point

    def contains(self, site: str, point: npt.NDArray[np.float64]) -> bool:
        """Whether a point (mm, head space) lies in a site."""
        mask = self._masks[site]
        i, j, k = np.round(point - self._offset).astype(int)
        inside = 0 <= i < mask.shape[0] and 0 <= j < mask.shape[1] and 0 <= k < mask.shape[2]
        return inside and bool(mask[i, j, k])

    def away_from_ventricle(self, point: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Direction in which the distance to the lateral ventricles grows."""
        distance = self._to_ventricle
        low = np.clip(np.round(point - self._offset).astype(int) - 2, 0, None)
        around = distance[tuple(slice(i, i + 5) for i in low)]
        slope = [float(np.diff(around, axis=axis).mean()) for axis in range(3)]
        return np.asarray(slope, np.float64)


def _pallidum(side: str) -> list[int]:
    return [x.index for x in table().values() if x.structure == "pallidum" and x.side == side]


def choose_microbleeds(
    sites: Sites,
    count: int,
    rng: np.random.Generator,
    *,
    min_chi: float = 0.2,
    present: Sequence[Source] = (),
) -> list[Source]:
    """Draw ``count`` microbleeds, sizes and susceptibilities log-uniform.

    They lie at least 6 mm apart, and as far from those that are ``present``.

    One in ten is faint (0.05 ppm up to ``min_chi``), as iron below a rater's threshold.
    """
    chosen: list[Source] = []
    for _ in range(50 * count):
        if len(chosen) == count:
            break
        site = str(rng.choice(list(SITES), p=list(SITES.values())))
        centre = sites.draw(site, rng)
        if centre is None or any(
            np.linalg.norm(centre - other.path[0]) < 6 for other in (*present, *chosen)
        ):
            continue
        radius = log_uniform(rng, *RADIUS_MM)
        b, c = (radius * float(v) for v in rng.uniform(0.7, 1.0, 2))
        faint = rng.random() < FAINT_SHARE
        chi = log_uniform(rng, 0.05, min_chi) if faint else log_uniform(rng, min_chi, 2.0)
        chosen.append(Source("cmb", chi, (radius, b, c), centre[None]))
    return chosen


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is evenly distributed."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def choose_mimics(sites: Sites, rng: np.random.Generator, veins: int | None = None) -> list[Source]:
    """Veins of the sulci and of the deep white matter, and calcifications.

    ``veins`` is their number; without it, one that a head has.
    """
    wanted = int(rng.integers(*VEINS, endpoint=True)) if veins is None else veins
    mimics: list[Source] = []
    for _ in range(4 * wanted):
        if len(mimics) >= wanted:
            break
        kind = rng.random()
        if kind < 0.70:
            found = [_walk(sites, "sulcus", rng, radius=float(rng.uniform(0.3, 1.1)))]
        elif kind < 0.85:
            found = [_walk(sites, "periventricular", rng, radius=float(rng.uniform(0.25, 0.6)))]
        else:
            found = _medullary(sites, rng)
        mimics += [vein for vein in found if vein is not None]
    if veins is None:
        mimics += choose_small_vessels(sites, rng)
    return mimics + choose_calcifications(sites, rng)


def choose_small_vessels(sites: Sites, rng: np.random.Generator) -> list[Source]:
    """Short vessels: dark dots where they cross a slice, in bright fluid and among the nuclei."""
    number = int(rng.integers(*SMALL_VESSELS, endpoint=True))
    found = [_short(sites, "sulcus", rng, (0.15, 0.5)) for _ in range(number)]
    # They rise through the nuclei, with age in growing number.
    rising = int(rng.integers(STRIATE + 1))
    found += [_short(sites, "striatum", rng, (0.15, 0.45), rising=True) for _ in range(rising)]
    return [vessel for vessel in found if vessel is not None]


def _short(
    sites: Sites,
    site: str,
    rng: np.random.Generator,
    radius: tuple[float, float],
    *,
    rising: bool = False,
) -> Source | None:
    """A nearly straight vessel of a few millimetres that starts in a site."""
    start = sites.draw(site, rng)
    if start is None:
        return None
    direction = rng.normal(UP, 0.3) if rising else rng.standard_normal(3)
    steps = np.arange(int(rng.integers(2, 6)))[:, None] * VEIN_STEP_MM
    path = start + steps * direction / np.linalg.norm(direction)
    path += rng.normal(0, 0.2, path.shape)
    return _vein(list(path), float(rng.uniform(*radius)), float(rng.uniform(0.15, 0.6)))


def choose_calcifications(sites: Sites, rng: np.random.Generator) -> list[Source]:
    """Calcium in the places and in the share of heads in which people have it."""
    chosen: list[Source] = []
    for together, share, most in CALCIFIED:
        if rng.random() >= share:
            continue
        for site in together:
            for _ in range(int(rng.integers(1, most + 1))):
                centre = sites.draw(site, rng)
                if centre is not None:
                    radius = float(rng.uniform(0.5, 2.5))
                    chi = -log_uniform(rng, 0.1, 3.0)
                    chosen.append(Source("calcification", chi, (radius,) * 3, centre[None]))
    return chosen


def _vein(path: Sequence[npt.NDArray[np.float64]], radius: float, chi: float) -> Source:
    return Source("vein", chi, (radius, radius, radius), np.array(path))


def _walk(sites: Sites, site: str, rng: np.random.Generator, *, radius: float) -> Source | None:
    """A vein that keeps to a sulcus, or to the wall of a ventricle (subependymal, septal)."""
    start = sites.draw(site, rng)
    if start is None:
        return None
    direction = rng.standard_normal(3)
    if rng.random() < 0.35:
        # Through the slices: the likeliest to be taken for a microbleed.
        direction = rng.normal(UP, 0.25)
    path = [start]
    for _ in range(int(rng.integers(5, 22))):
        for bend in (0.2, 0.3, 0.5, 0.8, 1.2):
            turned = direction / np.linalg.norm(direction) + rng.normal(0, bend, 3)
            turned /= np.linalg.norm(turned)
            ahead = path[-1] + VEIN_STEP_MM * turned
            if sites.contains(site, ahead):
                path.append(ahead)
                direction = turned
                break
        else:
            break
    return _vein(path, radius, float(rng.uniform(0.15, 0.45))) if len(path) > 2 else None


def _medullary(sites: Sites, rng: np.random.Generator) -> list[Source | None]:
    """A few deep medullary veins side by side, from the ventricle straight into white matter."""
    root = sites.draw("periventricular", rng)
    if root is None:
        return [None]
    outward = sites.away_from_ventricle(root)
    if not np.linalg.norm(outward) > 0:
        return [None]
    outward = outward / np.linalg.norm(outward)
    veins: list[Source | None] = []
    for number in range(int(rng.integers(2, 6))):
        start = root + np.array([0.0, 3.0 * number, 0.0]) + rng.normal(0, 0.5, 3)
        direction = outward + rng.normal(0, 0.1, 3)
        steps = np.arange(int(rng.integers(5, 12)))
        path = list(start + VEIN_STEP_MM * steps[:, None] * direction)
        veins.append(_vein(path, float(rng.uniform(0.12, 0.35)), float(rng.uniform(0.15, 0.45))))
    return veins
