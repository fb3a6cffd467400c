"""The MARS map: thirteen regions, left and right (Gregoire et al., Neurology 2009)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cmb_bidsapp.anatomy.parcellation import Parcellation
from cmb_bidsapp.anatomy.proxy import (
    UNNAMED_LOBE,
    Capsules,
    distance,
    tissue_regions,
    to_proxy,
)
from cmb_bidsapp.core.arrays import Affine, Spacing
from cmb_bidsapp.core.defaults import ProxyRules
from cmb_bidsapp.core.labels import (
    LEFT,
    MARS,
    MARS_FORM,
    RIGHT,
    ids,
    translate,
    where,
)
from cmb_bidsapp.preprocess.resampling import IDENTITY, Grid
from cmb_bidsapp.preprocess.shares import label_samples, majority, share_in_voxels

LOBES = tuple(name for name, (_, proxy, _) in MARS_FORM.items() if proxy == "lobar")


def mars_labels(
    parcellation: Parcellation, *, capsules: Capsules | None = None, rules: ProxyRules = "paper"
) -> npt.NDArray[np.uint8]:
    """Number every voxel of brain tissue after MARS, on the grid of the parcellation.

    Cortex and hippocampus have the lobe of their own label; white matter has that of ``wmparc``,
    else of the nearest cortex; what has no side of its own takes that of the nearest tissue
    that has one.

    Parameters
    ----------
    parcellation
        With a named cortex.
    capsules
        Internal and external capsule of an atlas; otherwise they are found between the nuclei.
    rules
        Which white matter is deep; see :func:`cmb_bidsapp.anatomy.proxy.tissue_regions`.

    Returns
    -------
    mars
        0 outside the brain and in ventricles and CSF, else 100 (left) or 200 (right) + the number
        of :data:`cmb_bidsapp.core.labels.MARS`.

    Raises
    ------
    ValueError
        There is cortex, and none of it is named.
    """
    mars = np.zeros(parcellation.dseg.shape, np.uint8)
    boxes = ndimage.find_objects((parcellation.dseg > 0).astype(np.uint8))
    if not boxes:
        return mars
    spacing = parcellation.grid.rounded_spacing
    regions = tissue_regions(
        parcellation.dseg, spacing, white=parcellation.white, capsules=capsules, rules=rules
    )
    # Nothing outside is nearer, and distances are cheaper in the smaller volume.
    box = boxes[0]
    dseg, white = parcellation.dseg[box], parcellation.white
    named = _with_lobes(regions[box], dseg, None if white is None else white[box], spacing)
    mars[box] = with_sides(named, dseg, spacing)
    return mars


def with_sides(
    regions: npt.NDArray[np.uint8], dseg: npt.NDArray[np.integer], spacing: Spacing
) -> npt.NDArray[np.uint8]:
    """Add the side to regions that have none, from FreeSurfer ids on the same grid.

    Parameters
    ----------
    regions, dseg
        Number of the MARS region, 0 beside all, and FreeSurfer id of each voxel.
    spacing
        Voxel size along each axis, mm.
    """
    right, left = where(dseg, ids(side="R")), where(dseg, ids(side="L"))
    nearer_right = distance(right, spacing) < distance(left, spacing)
    return np.where(regions > 0, regions + np.where(nearer_right, RIGHT, LEFT), 0).astype(np.uint8)


def on_grid(
    mars: npt.NDArray[np.uint8], grid: Grid, target: Grid, *, pull: Affine = IDENTITY
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Carry a MARS map to the T2*w: what fills most of a voxel, first by class, then by region.

    Parameters
    ----------
    mars, grid
        Map and its voxels, shape ``(x, y, z)``.
    target
        Voxels of the T2*w.
    pull
        World coordinates of the target to those of the map (mm).

    Returns
    -------
    proxy, mars
        Proxy classes, and the regions of that class; the two agree in every voxel.
    """
    classes = to_proxy(mars)
    background = np.ones(target.shape, np.float32)
    parts = []
    for number, box in enumerate(ndimage.find_objects(classes), start=1):
        if box is None:
            continue
        # Deep and infratentorial regions are small: the rest of the head need not be looked at.
        box = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in box)
        inside = classes[box] == number
        part = grid.part(np.array([s.start for s in box]), np.array(inside.shape))
        window = target.window(part, pull)
        corner, size = np.array([(s.start, s.stop - s.start) for s in window]).T
        within = target.part(corner, size)
        share = share_in_voxels(inside, part.affine, within, pull=pull)
        background[window] -= share
        # Where the class wins by its share between voxels, no voxel of it need be met.
        nearest = ndimage.distance_transform_edt(
            ~inside, grid.spacing, return_distances=False, return_indices=True
        )
        grown = mars[box][tuple(nearest)]
        samples = label_samples(grown, part.affine, within, pull=pull)
        parts.append((number, window, share, majority(samples, np.unique(grown).tolist())))
    most, proxy = background, np.zeros(target.shape, np.uint8)
    found = np.zeros(target.shape, np.uint8)
    for number, window, share, regions in parts:
        better = share > most[window]
        most[window][better], proxy[window][better] = share[better], number
        found[window][better] = regions[better]
    return proxy, found


def _with_lobes(
    regions: npt.NDArray[np.uint8],
    dseg: npt.NDArray[np.integer],
    white: npt.NDArray[np.integer] | None,
    spacing: Spacing,
) -> npt.NDArray[np.uint8]:
    """Regions with the lobes told apart."""
    lobar = regions == UNNAMED_LOBE
    if not lobar.any():
        return regions
    cortex = _lobes(dseg, ("cerebral-cortex",))
    if not cortex.any():
        raise ValueError("the cortex of the parcellation has no names (aparc)")
    own = _lobes(dseg, ("cerebral-cortex", "hippocampus", "amygdala"))
    if white is not None:
        own = np.where(own > 0, own, _lobes(white, ("cerebral-wm",)))
    nearest = ndimage.distance_transform_edt(
        cortex == 0, spacing, return_distances=False, return_indices=True
    )
    lobes = np.where(own > 0, own, cortex[tuple(nearest)])
    return np.where(lobar, lobes, regions).astype(np.uint8)


def _lobes(dseg: npt.NDArray[np.integer], structures: Iterable[str]) -> npt.NDArray[np.uint8]:
    """MARS number of labels that belong to a lobe, 0 elsewhere."""
    return translate(
        dseg,
        {
            index: MARS[name]
            for structure in structures
            for name in LOBES
            for index in ids(structure=structure, region=name)
        },
    )
