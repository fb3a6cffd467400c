"""What small-vessel disease and age leave in a brain besides microbleeds, and the choroid plexus.

None of it is magnetic enough to be drawn as a field: it has the brightness of another tissue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.core.arrays import Image
from cmb_bidsapp.core.labels import ids
from cmb_bidsapp.simulate.anatomy import Head
from cmb_bidsapp.simulate.physics import Source, draw
from cmb_bidsapp.simulate.sites import UP, Sites
from cmb_bidsapp.simulate.tissues import TISSUES, Tissue

#: Voxels beyond the surface of an inclusion that its window takes in.
ROOM = 2


@dataclass(frozen=True)
class Look:
    """Tissue that an inclusion looks like, and the structure that it does not leave, if any."""

    tissue: Tissue
    within: str | None = None


#: By :attr:`Source.kind`.
LOOKS: Mapping[str, Look] = MappingProxyType(
    {
        "perivascular-space": Look(TISSUES["csf"]),
        "lacune": Look(TISSUES["csf"]),
        "white-matter-lesion": Look(
            Tissue(proton_density=0.80, t2star_ms=66, chi=-0.010, t1w=86), "cerebral-wm"
        ),
        "choroid-plexus": Look(
            Tissue(proton_density=0.86, t2star_ms=70, chi=0.020, t1w=62), "lateral-ventricle"
        ),
    }
)
#: The most of each in a brain of the highest burden; half of all brains have less than a third.
SPACES, LESIONS, LACUNES = 160, 60, 4
#: Pieces of plexus in a brain.
PLEXUS = (4, 12)
#: Radii in mm. Spaces are tubes, the rest are uneven ellipsoids.
SPACE_MM, LESION_MM, LACUNE_MM, PLEXUS_MM = (0.25, 0.9), (1.0, 6.0), (1.5, 5.0), (1.0, 3.0)
#: Share of the spaces and of the lacunes that lie among the nuclei.
DEEP_SHARE = 0.5
#: Length of a perivascular space, mm.
SPACE_LENGTH_MM = (4.0, 16.0)


def choose_inclusions(sites: Sites, rng: np.random.Generator) -> list[Source]:
    """Draw the inclusions of a brain; how many there are of each kind rises together.

    Parameters
    ----------
    sites
        Where in the head they may lie.
    rng
        Draws them.
    """
    burden = float(rng.beta(1, 2))
    chosen = [_space(sites, rng) for _ in range(int(rng.integers(int(SPACES * burden) + 1)))]
    for _ in range(int(rng.integers(int(LESIONS * burden) + 1))):
        site = "periventricular" if rng.random() < 0.6 else "subcortical"
        chosen.append(_blob("white-matter-lesion", site, sites, rng, LESION_MM))
    for _ in range(int(rng.integers(int(LACUNES * burden) + 1))):
        site = "basal-ganglia" if rng.random() < DEEP_SHARE else "subcortical"
        chosen.append(_blob("lacune", site, sites, rng, LACUNE_MM))
    for _ in range(int(rng.integers(*PLEXUS, endpoint=True))):
        chosen.append(_blob("choroid-plexus", "choroid", sites, rng, PLEXUS_MM))
    return [inclusion for inclusion in chosen if inclusion is not None]


def _space(sites: Sites, rng: np.random.Generator) -> Source | None:
    """A straight tube that rises through the nuclei, or runs outward through white matter."""
    deep = rng.random() < DEEP_SHARE
    start = sites.draw("striatum" if deep else "subcortical", rng)
    if start is None:
        return None
    direction = np.array(UP) if deep else sites.away_from_ventricle(start)
    direction = direction + rng.normal(0, 0.2, 3)
    length = rng.uniform(*SPACE_LENGTH_MM)
    end = start + length * direction / np.linalg.norm(direction)
    radius = float(rng.uniform(*SPACE_MM))
    return Source(
        kind="perivascular-space", chi=0.0, semi_axes=(radius,) * 3, path=np.stack([start, end])
    )


def _blob(
    kind: str, site: str, sites: Sites, rng: np.random.Generator, radius_mm: tuple[float, float]
) -> Source | None:
    center = sites.draw(site, rng)
    if center is None:
        return None
    a, b, c = (float(rng.uniform(*radius_mm) * share) for share in rng.uniform(0.6, 1, 3))
    return Source(kind=kind, chi=0.0, semi_axes=(a, b, c), path=center[None])


def shares(inclusions: Sequence[Source], head: Head, rng: np.random.Generator) -> dict[str, Image]:
    """Share of each voxel of a head that each kind of inclusion fills.

    Parameters
    ----------
    inclusions
        In head space (mm).
    head
        Anatomy, 1 mm, head space.
    rng
        Turns the ellipsoids and makes their surfaces uneven.

    Returns
    -------
    shares
        By kind, 0..1, 1 mm, head space; only kinds that there are.
    """
    found: dict[str, Image] = {}
    for source in inclusions:
        share = found.setdefault(source.kind, np.zeros(head.dseg.shape, np.float32))
        reach = max(source.semi_axes) + ROOM
        low = np.floor(source.path.min(axis=0) - reach).astype(int).clip(0)
        high = np.ceil(source.path.max(axis=0) + reach).astype(int) + 1
        high = np.minimum(high, head.dseg.shape)
        if (high - low < 2).any():
            continue
        x, y, z = (np.arange(a, b, dtype=np.float64) for a, b in zip(low, high, strict=True))
        window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        share[window] = np.maximum(share[window], draw(source, (x, y, z), rng))
    for kind, share in found.items():
        within = LOOKS[kind].within
        if within is not None:
            share *= np.isin(head.dseg, ids(structure=within))
    return found


def included_tissues(filled: Mapping[str, Image]) -> set[Tissue]:
    """Tissues that inclusions look like."""
    return {LOOKS[kind].tissue for kind in filled}


def included(
    values: Image, filled: Mapping[str, Image], level: Mapping[str, float]
) -> npt.NDArray[np.float32]:
    """Values of a head with those of the inclusions mixed in.

    Parameters
    ----------
    values
        One per voxel of the head.
    filled
        See :func:`shares`.
    level
        Value of each kind.
    """
    for kind, share in filled.items():
        values = values + share * (np.float32(level[kind]) - values)
    return values
