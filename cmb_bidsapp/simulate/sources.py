"""Microbleeds and their mimics: where they lie, how large and how magnetic they are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.simulate.physics import Source
from cmb_bidsapp.simulate.sites import UP, Sites

#: Largest half length of a microbleed's source, the share that its others are of it, the share of
#: faint ones, and the step of a vein's course.
RADIUS_MM, FLATTENED, FAINT_SHARE, VEIN_STEP_MM = (0.35, 2.8), (0.4, 1.0), 0.1, 2.0
#: How many veins a head has, how many small vessels in its sulci and cisterns, and how many at most
#: in its putamen and pallidum (lenticulostriate arteries and mineral streaks).
VEINS, SMALL_VESSELS, STRIATE = (40, 110), (150, 450), 30
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


def choose_microbleeds(
    sites: Sites,
    count: int,
    rng: np.random.Generator,
    *,
    min_chi: float = 0.2,
    present: Sequence[Source] = (),
) -> list[Source]:
    """Draw microbleeds, sizes and susceptibilities log-uniform.

    One in ten is faint (0.05 ppm up to ``min_chi``), as iron below a rater's threshold.

    Parameters
    ----------
    sites
        Where in the head they may lie.
    count
        How many; fewer where there is no room.
    rng
        Draws them.
    min_chi
        Smallest susceptibility (ppm) of those that are not faint.
    present
        Microbleeds of earlier sessions. New ones lie at least 6 mm from these and from each
        other.
    """
    chosen: list[Source] = []
    for _ in range(50 * count):
        if len(chosen) == count:
            break
        site = str(rng.choice(list(SITES), p=list(SITES.values())))
        center = sites.draw(site, rng)
        if center is None or any(
            np.linalg.norm(center - other.path[0]) < 6 for other in (*present, *chosen)
        ):
            continue
        shape = uneven(rng)
        faint = rng.random() < FAINT_SHARE
        chi = log_uniform(rng, 0.05, min_chi) if faint else log_uniform(rng, min_chi, 2.0)
        chosen.append(Source(kind="cmb", chi=chi, semi_axes=shape, path=center[None]))
    return chosen


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is evenly distributed.

    Parameters
    ----------
    rng
        Draws it.
    low, high
        Limits, above 0.
    """
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def uneven(rng: np.random.Generator) -> tuple[float, float, float]:
    """Draw half lengths (mm) of the ellipsoid of a microbleed.

    Real ones are elongated: of those that raters marked in two cohorts the longest axis was 1.8
    times the shortest (docs/simulation.md).
    """
    radius = log_uniform(rng, *RADIUS_MM)
    b, c = (radius * float(share) for share in rng.uniform(*FLATTENED, 2))
    return radius, b, c


def choose_mimics(sites: Sites, rng: np.random.Generator, veins: int | None = None) -> list[Source]:
    """Veins of the sulci and of the deep white matter, and calcifications.

    Parameters
    ----------
    sites
        Where in the head they may lie.
    rng
        Draws them.
    veins
        How many; ``None``: as many as a head has, and small vessels besides.
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
    """Short vessels: dark dots where they cross a slice, in bright fluid and among the nuclei.

    Parameters
    ----------
    sites
        Where in the head they may lie.
    rng
        Draws them.
    """
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
    """A nearly straight vessel of a few millimeters that starts in a site."""
    start = sites.draw(site, rng)
    if start is None:
        return None
    direction = rng.normal(UP, 0.3) if rising else rng.standard_normal(3)
    steps = np.arange(int(rng.integers(2, 6)))[:, None] * VEIN_STEP_MM
    path = start + steps * direction / np.linalg.norm(direction)
    path += rng.normal(0, 0.2, path.shape)
    return _vein(list(path), float(rng.uniform(*radius)), float(rng.uniform(0.15, 0.6)))


def choose_calcifications(sites: Sites, rng: np.random.Generator) -> list[Source]:
    """Calcium in the places and in the share of heads in which people have it.

    Parameters
    ----------
    sites
        Where in the head they may lie.
    rng
        Draws them.
    """
    chosen: list[Source] = []
    for together, share, most in CALCIFIED:
        if rng.random() >= share:
            continue
        for site in together:
            for _ in range(int(rng.integers(1, most + 1))):
                center = sites.draw(site, rng)
                if center is not None:
                    radius = float(rng.uniform(0.5, 2.5))
                    chi = -log_uniform(rng, 0.1, 3.0)
                    chosen.append(
                        Source(
                            kind="calcification",
                            chi=chi,
                            semi_axes=(radius,) * 3,
                            path=center[None],
                        )
                    )
    return chosen


def _vein(path: Sequence[npt.NDArray[np.float64]], radius: float, chi: float) -> Source:
    return Source(kind="vein", chi=chi, semi_axes=(radius, radius, radius), path=np.array(path))


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
