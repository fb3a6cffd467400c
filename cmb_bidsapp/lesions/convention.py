"""Which way the phase of a scanner runs: told by dark structures, and by the iron of the nuclei.

Both are paramagnetic in most people: veins, iron and old blood by their dipoles, the basal ganglia
by the field of their iron. The nuclei are large, so that thick slices, in which the dipoles of
small structures are lost, still tell. Either may mislead: tissue between bright fluid looks dark,
and nuclei calcify. Where they contradict each other, the convention is not sure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cmb_bidsapp.anatomy.standard import centers
from cmb_bidsapp.core.arrays import Image, Regions
from cmb_bidsapp.core.labels import STRUCTURES
from cmb_bidsapp.lesions.phase import (
    EVIDENT,
    Convention,
    PhaseImage,
    field_of_slices,
    filtered_field,
    fit_sources,
)
from cmb_bidsapp.lesions.windows import windows
from cmb_bidsapp.preprocess.resampling import Grid

#: The convention is sure when this many dark structures have a sign, and this share the same one.
LEAST_PIECES, LEAST_AGREEING = 8, 0.75
#: A dark structure lacks this share of the signal around, and has this many voxels; the largest
#: are looked at.
DARK, LEAST_VOXELS, MOST_PIECES = 0.3, 4, 200
#: Somewhere it has less than this share of the median of the brain: what has more may be tissue
#: between bright fluid, which the fluid's field makes look diamagnetic.
BLACK = 0.45
#: They are narrower than this (mm), and as far from the edge of the brain: beyond is the field of
#: air, and what a closing makes of it.
NARROW_MM, EDGE_MM = 4.0, 6.0
#: Susceptibility (ppm) of the nuclei against the white matter around them, in adults; only the
#: ratios matter. Source: Langkammer et al. 2012, NeuroImage 62:1593.
IRON: Mapping[str, float] = MappingProxyType({"pallidum": 0.13, "putamen": 0.05, "caudate": 0.05})
#: What is beyond this distance (mm) of the nuclei says nothing of them. Their field is computed in
#: a box with so much room (mm), in sub-slices that are not thicker than this (mm).
NEAR_NUCLEI_MM, ROOM_MM, FINE_MM = 4.0, 12.0, 1.5
#: Least correlation of the phase with the field of the nuclei: on each side, and on average. In ten
#: simulated heads it was 0.01 to 0.24 on a side, and right on all. With the nuclei moved to where
#: there are none, 41 of 140 sides had 0.05 or more, and no pair of one sign 0.09 on average.
LEAST_ON_A_SIDE, LEAST_ON_AVERAGE = 0.05, 0.10


def find_convention(image: PhaseImage, structures: Regions | None = None) -> Convention:
    """Ask dark structures and nuclei which way the phase runs; 0 where they are not sure.

    Parameters
    ----------
    image
        Filtered phase and magnitude of the session.
    structures
        Classes of the anatomy network (:data:`~cmb_bidsapp.core.labels.STRUCTURES`) on the same
        grid; without them the dark structures alone are asked.
    """
    found = [fit.evidence for _, fit in fit_sources(image, dark_structures(image))]
    decided = [evidence > 0 for evidence in found if abs(evidence) >= EVIDENT]
    up = sum(decided) / len(decided) if decided else 0.5
    agreeing = max(up, 1 - up) if decided else 0.0
    dark = 0
    if len(decided) >= LEAST_PIECES and agreeing >= LEAST_AGREEING:
        dark = 1 if up > 0.5 else -1
    sides = (0.0, 0.0) if structures is None else nuclei_agreement(image, structures)
    average = float(np.mean(sides))
    iron, least = 0, min(np.sign(average) * np.array(sides))
    if abs(average) >= LEAST_ON_AVERAGE and least >= LEAST_ON_A_SIDE:
        iron = 1 if average > 0 else -1
    return Convention(
        sign=int(np.sign(dark + iron)), pieces=len(decided), agreeing=agreeing, nuclei=average
    )


def nuclei_agreement(image: PhaseImage, structures: Regions) -> tuple[float, float]:
    """Correlation of the phase with the field of the nuclei's iron, on either side.

    Parameters
    ----------
    image, structures
        See :func:`find_convention`.

    Returns
    -------
    sides
        From -1 to 1, the side of smaller x first; 0 where there are no nuclei.
    """
    grid = Grid.of(image.magnitude, image.affine)
    iron = np.zeros(len(STRUCTURES), np.float32)
    for name, ppm in IRON.items():
        iron[STRUCTURES.index(name)] = ppm
    chi = iron[structures]
    room = [math.ceil(ROOM_MM / step) for step in grid.spacing]
    found = next(windows((chi > 0).astype(np.uint8), room), None)
    if found is None:
        return 0.0, 0.0
    _, box, nuclei = found
    magnitude = image.magnitude[box]
    own = grid.part(np.array([side.start for side in box]), np.array(magnitude.shape))
    field = filtered_field(_iron_field(chi[box], own), magnitude, own)
    near = ndimage.distance_transform_edt(~nuclei, own.spacing) <= NEAR_NUCLEI_MM
    weight = np.where(near, np.square(magnitude), 0)
    across = centers(own)[..., 0]
    middle = float(across[nuclei].mean())
    left, right = (
        _correlation(field[side], image.passed[box][side], weight[side])
        for side in (across <= middle, across > middle)
    )
    return left, right


def _iron_field(chi: Image, grid: Grid) -> Image:
    """Relative field of a susceptibility, mean of sub-slices where slices are thick."""
    parts = max(1, int(np.ceil(grid.spacing[grid.slice_axis] / FINE_MM)))
    fine = np.repeat(np.moveaxis(chi, grid.slice_axis, 2), parts, axis=2)
    return field_of_slices(fine, parts, grid, room=0.3)


def _correlation(one: Image, other: Image, weight: npt.NDArray[np.floating]) -> float:
    """Weighted, about 0: what the filter leaves has no mean."""
    total = float(np.sqrt((weight * one**2).sum() * (weight * other**2).sum()))
    return float((weight * one * other).sum()) / total if total > 0 else 0.0


def dark_structures(image: PhaseImage) -> npt.NDArray[np.int32]:
    """Number the narrow dark structures inside a brain, the largest of them."""
    grid, magnitude = Grid.of(image.magnitude, image.affine), image.magnitude
    across = [a for a in range(3) if a != grid.slice_axis]
    size = [
        1 if a not in across else 2 * round(NARROW_MM / 2 / s) + 1
        for a, s in enumerate(grid.spacing)
    ]
    closed = ndimage.grey_closing(magnitude, size=size)
    blurs = [0 if a == grid.slice_axis else NARROW_MM / s for a, s in enumerate(grid.spacing)]
    inside = magnitude > 0
    covered = ndimage.gaussian_filter(inside.astype(np.float32), blurs)
    around = ndimage.gaussian_filter(magnitude, blurs) / np.maximum(covered, 1e-3)
    if not inside.all():
        inside = ndimage.distance_transform_edt(inside, grid.spacing) >= EDGE_MM
    dark = inside & (magnitude < (1 - DARK) * np.minimum(closed, around))
    pieces, count = ndimage.label(dark, np.ones((3, 3, 3)))
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    black = dark & (magnitude < BLACK * np.median(magnitude[magnitude > 0]))
    sizes *= np.bincount(pieces[black], minlength=count + 1) > 0
    sizes[0] = 0
    largest = np.argsort(sizes, kind="stable")[::-1][:MOST_PIECES]
    number = np.zeros(count + 1, np.int32)
    chosen = largest[sizes[largest] >= LEAST_VOXELS]
    number[chosen] = np.arange(1, len(chosen) + 1)
    return np.asarray(number[pieces], np.int32)
