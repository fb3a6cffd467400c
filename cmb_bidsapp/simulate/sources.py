"""Where in a head microbleeds and their mimics lie, and how large and how magnetic they are."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cmb_bidsapp.labels import ids
from cmb_bidsapp.simulate.anatomy import Head
from cmb_bidsapp.simulate.physics import Source

Mask = npt.NDArray[np.bool_]

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
        inner = ndimage.distance_transform_edt(dseg > 0)
        named = {
            name: np.isin(dseg, [i for s in structures for i in ids(structure=s)])
            for name, structures in {
                "basal-ganglia": ("caudate", "putamen", "pallidum"),
                "thalamus": ("thalamus",),
                "cerebellum": ("cerebellar-wm", "cerebellar-cortex"),
                "brainstem": ("brainstem",),
            }.items()
        }
        masks: dict[str, Mask] = {
            "junction": (cortex & (inner > 2)) | (white & (to_cortex <= 2)),
            "subcortical": white & (to_cortex > 2),
            "sulcus": fluid & (to_cortex <= 2),
            "periventricular": white & (to_ventricle <= 3),
            "choroid": ventricle,
            **named,
        }
        self._voxels = {name: np.argwhere(mask) for name, mask in masks.items()}

    def draw(self, site: str, rng: np.random.Generator) -> npt.NDArray[np.float64] | None:
        """A random point (mm, head space) of a site; ``None`` where the head has none."""
        voxels = self._voxels[site]
        if len(voxels) == 0:
            return None
        point: npt.NDArray[np.float64] = (
            voxels[rng.integers(len(voxels))] + self._offset + rng.uniform(-0.5, 0.5, 3)
        )
        return point


def choose_microbleeds(
    sites: Sites, count: int, rng: np.random.Generator, *, min_chi: float = 0.2
) -> list[Source]:
    """Draw ``count`` microbleeds, at least 6 mm apart, sizes and susceptibilities log-uniform."""
    chosen: list[Source] = []
    for _ in range(50 * count):
        if len(chosen) == count:
            break
        site = str(rng.choice(list(SITES), p=list(SITES.values())))
        centre = sites.draw(site, rng)
        if centre is None or any(np.linalg.norm(centre - s.path[0]) < 6 for s in chosen):
            continue
        radius = math.exp(rng.uniform(math.log(0.4), math.log(2.2)))
        b, c = (radius * float(v) for v in rng.uniform(0.7, 1.0, 2))
        chi = math.exp(rng.uniform(math.log(min_chi), math.log(2.0)))
        chosen.append(Source("cmb", chi, (radius, b, c), centre[None]))
    return chosen


def choose_mimics(sites: Sites, rng: np.random.Generator, veins: int) -> list[Source]:
    """Sulcal and medullary veins, in plane and through plane, and calcifications."""
    mimics: list[Source] = []
    for _ in range(veins):
        medullary = rng.random() < 0.25
        start = sites.draw("periventricular" if medullary else "sulcus", rng)
        if start is None:
            continue
        direction = rng.standard_normal(3)
        if not medullary and rng.random() < 0.4:
            direction = np.array([0.0, 0.0, 1.0]) + rng.normal(0, 0.25, 3)
        steps = int(rng.integers(4, 14))
        path = [start]
        for _ in range(steps):
            direction = direction / np.linalg.norm(direction)
            path.append(path[-1] + 2.0 * direction)
            direction = direction + rng.normal(0, 0.25, 3)
        radius = float(rng.uniform(0.2, 0.45) if medullary else rng.uniform(0.25, 1.0))
        chi = float(rng.uniform(0.15, 0.45))
        mimics.append(Source("vein", chi, (radius, radius, radius), np.array(path)))
    for site, most in (("choroid", 3), ("basal-ganglia", 2), ("sulcus", 3)):
        for _ in range(int(rng.integers(0, most + 1))):
            centre = sites.draw(site, rng)
            if centre is not None:
                radius = float(rng.uniform(0.5, 2.5))
                chi = -math.exp(rng.uniform(math.log(0.1), math.log(3.0)))
                mimics.append(Source("calcification", chi, (radius,) * 3, centre[None]))
    return mimics
