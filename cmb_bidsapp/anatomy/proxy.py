"""Which tissue is lobar, deep or infratentorial: Algorithm 1, in the terms of the MARS form.

Implements Algorithm 1 of Kwon, Seo and Park (MICCAI 2024), with two additions that MARS asks for:
the putamen is deep, and the internal and external capsules are found geometrically where no
white-matter atlas is given. The deep regions of MARS are told apart on the way, so that the proxy
classes and the MARS map never disagree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cmb_bidsapp.core.arrays import Mask, Spacing
from cmb_bidsapp.core.defaults import ProxyRules
from cmb_bidsapp.core.labels import MARS, MARS_FORM, PROXY, ids, where

#: White matter farther than this from the cortex is deep white matter, as in FreeSurfer's wmparc.
CORTEX_BAND_MM = 5.0
#: Deep white matter this close to the lateral ventricle is periventricular (MARS).
PERIVENTRICULAR_MM = 10.0
#: Deep white matter this close to caudate, thalamus or pallidum surrounds them (paper, 2.1).
PERINUCLEAR_MM = 5.0
#: A capsule voxel lies between two structures whose distances add up to at most this.
INTERNAL_CAPSULE_MM = 12.0
EXTERNAL_CAPSULE_MM = 8.0
#: White matter this close to the white matter of the other side is corpus callosum.
CALLOSUM_MM = 6.0
#: ... where a lateral ventricle is no farther than this (the occipital lobes touch as well).
CALLOSUM_REACH_MM = 12.0
#: No rule asks how much farther than this a structure is.
REACH_MM = max(
    PERIVENTRICULAR_MM,
    PERINUCLEAR_MM,
    INTERNAL_CAPSULE_MM,
    EXTERNAL_CAPSULE_MM,
    CALLOSUM_REACH_MM,
)

#: Region of lobar tissue before its lobe is known, beside the numbers of :data:`MARS`.
UNNAMED_LOBE = len(MARS) + 1
#: White matter of wmparc that belongs to no cortical area.
UNSEGMENTED = (5001, 5002)


@dataclass(frozen=True)
class Capsules:
    """Internal and external capsule from a white-matter atlas, on the grid of the labels."""

    internal: Mask
    external: Mask


def to_proxy(regions: npt.NDArray[np.integer]) -> npt.NDArray[np.uint8]:
    """Proxy class of MARS regions, with or without their side.

    >>> to_proxy(np.array([0, 1, 3, 14, 113, 203])).tolist()
    [0, 3, 2, 1, 1, 2]
    """
    lookup = np.zeros(UNNAMED_LOBE + 1, np.uint8)
    for name, number in MARS.items():
        lookup[number] = PROXY[MARS_FORM[name][1]]
    lookup[UNNAMED_LOBE] = PROXY["lobar"]
    proxy: npt.NDArray[np.uint8] = lookup[regions % 100]
    return proxy


def tissue_regions(
    dseg: npt.NDArray[np.integer],
    spacing: Spacing,
    *,
    white: npt.NDArray[np.integer] | None = None,
    capsules: Capsules | None = None,
    rules: ProxyRules = "paper",
) -> npt.NDArray[np.uint8]:
    """Number the tissue after MARS, lobes not yet told apart.

    Parameters
    ----------
    dseg
        FreeSurfer ids (``aseg`` or ``aparc+aseg``), any axis order.
    spacing
        Voxel size in mm, one value per axis; about 1 mm is meant.
    white
        Ids of ``wmparc``, which then decide what white matter is deep.
    capsules
        From an atlas; otherwise they are found between the nuclei.
    rules
        ``paper`` or ``reference``: which white matter is deep.

    Returns
    -------
    regions
        0 background, ventricles and CSF; numbers of :data:`cmb_bidsapp.core.labels.MARS`, of the
        lobes :data:`UNNAMED_LOBE` only.
    """
    regions = np.zeros(dseg.shape, np.uint8)
    brain = dseg > 0
    if not brain.any():
        return regions
    box = ndimage.find_objects(brain.astype(np.uint8))[0]
    regions[box] = _tissue_regions(
        dseg[box],
        spacing,
        None if white is None else white[box],
        None if capsules is None else Capsules(capsules.internal[box], capsules.external[box]),
        rules,
    )
    return regions


def _tissue_regions(
    dseg: npt.NDArray[np.integer],
    spacing: Spacing,
    wmparc: npt.NDArray[np.integer] | None,
    capsules: Capsules | None,
    rules: ProxyRules,
) -> npt.NDArray[np.uint8]:
    white = _has(dseg, "cerebral-wm")
    insula = where(dseg, ids(structure="cerebral-cortex", region="insula"))
    to_cortex = distance(_has(dseg, "cerebral-cortex"), spacing)
    to_insula = distance(insula, spacing, REACH_MM) if insula.any() else to_cortex
    to_medial = distance(_has(dseg, "caudate", "thalamus"), spacing, REACH_MM)
    to_putamen = distance(_has(dseg, "putamen"), spacing, REACH_MM)
    to_pallidum = distance(_has(dseg, "pallidum"), spacing, REACH_MM)
    to_ventricle = distance(where(dseg, (4, 43)), spacing, REACH_MM)

    far, insular = to_cortex > CORTEX_BAND_MM, to_insula <= to_cortex
    if wmparc is not None:
        # The callosum keeps its aseg ids there: where nothing is named, the distance decides.
        named = where(wmparc, [i for i in ids(structure="cerebral-wm") if i >= 3000])
        far = np.where(named, where(wmparc, UNSEGMENTED), far)
        insular = where(wmparc, ids(structure="cerebral-wm", region="insula"))
    if capsules is None:
        to_lateral = np.minimum(to_putamen, to_pallidum)
        capsules = Capsules(
            to_medial + to_lateral <= INTERNAL_CAPSULE_MM,
            to_putamen + to_insula <= EXTERNAL_CAPSULE_MM,
        )
    if rules == "paper":
        near = np.minimum(to_medial, to_pallidum) <= PERINUCLEAR_MM
        deep_white = far & (near | (to_ventricle <= PERIVENTRICULAR_MM))
    else:
        deep_white = far
        capsules = Capsules(capsules.internal & far, capsules.external & (far | insular))

    regions = np.zeros(dseg.shape, np.uint8)
    regions[white | _has(dseg, "cerebral-cortex", "hippocampus", "amygdala")] = UNNAMED_LOBE
    regions[white & deep_white] = MARS["dpwm"]
    regions[white & capsules.external] = MARS["external-capsule"]
    regions[white & capsules.internal] = MARS["internal-capsule"]
    regions[white & _callosum(dseg, spacing, to_ventricle)] = MARS["corpus-callosum"]
    for name in ("brainstem", "cerebellum", "basal-ganglia", "thalamus"):
        regions[where(dseg, ids(region=name))] = MARS[name]
    return regions


def _has(dseg: npt.NDArray[np.integer], *structures: str) -> Mask:
    return where(dseg, [index for name in structures for index in ids(structure=name)])


def _around(mask: Mask, spacing: Spacing, reach: float) -> tuple[slice, ...] | None:
    """Box of everything within ``reach`` (mm) of a mask; ``None`` where the mask is empty."""
    boxes = ndimage.find_objects(mask.view(np.uint8))
    if not boxes:
        return None
    margins = [math.ceil(reach / step) for step in spacing]
    return tuple(
        slice(max(side.start - margin, 0), side.stop + margin)
        for side, margin in zip(boxes[0], margins, strict=True)
    )


def distance(mask: Mask, spacing: Spacing, reach: float | None = None) -> npt.NDArray[np.float32]:
    """Distance to the mask in mm; infinite where the mask is empty.

    Parameters
    ----------
    mask
        Three axes.
    spacing
        Voxel size along each of them, mm.
    reach
        Distances above this (mm) may be infinite; those to a small structure take less time then.
    """
    found = np.full(mask.shape, np.inf, np.float32)
    box = _around(mask, spacing, max(mask.shape) * max(spacing) if reach is None else reach)
    if box is not None:
        found[box] = _distance(mask[box], spacing)
    return found


def _distance(mask: Mask, spacing: Spacing) -> npt.NDArray[np.floating]:
    """Distance to a mask that is not empty."""
    found: npt.NDArray[np.floating]
    if len(set(spacing)) > 1:
        found = ndimage.distance_transform_edt(~mask, spacing)
    else:
        import SimpleITK  # slow to import

        # ITK takes half of SciPy's time, in single precision: that is exact for the whole numbers
        # that squares of distances are in cubic voxels.
        squared = SimpleITK.SignedMaurerDistanceMap(
            SimpleITK.GetImageFromArray(mask.view(np.uint8)),
            insideIsPositive=False,
            squaredDistance=True,
            useImageSpacing=False,
        )
        outside = np.where(mask, 0, SimpleITK.GetArrayViewFromImage(squared))
        found = np.sqrt(outside, dtype=np.float64) * spacing[0]
    return found


def _callosum(
    dseg: npt.NDArray[np.integer], spacing: Spacing, to_ventricle: npt.NDArray[np.float32]
) -> Mask:
    """Callosum as labeled, or white matter that meets the other hemisphere's above a ventricle."""
    found = where(dseg, ids(region="corpus-callosum"))
    near = to_ventricle <= CALLOSUM_REACH_MM
    # What lies farther than that from every place in question cannot be met there.
    box = _around(near, spacing, CALLOSUM_MM)
    if box is not None:
        left, right = (where(dseg[box], ids(structure="cerebral-wm", side=s)) for s in "LR")
        near_right = distance(right, spacing, CALLOSUM_MM) <= CALLOSUM_MM
        near_left = distance(left, spacing, CALLOSUM_MM) <= CALLOSUM_MM
        found[box] |= near[box] & ((left & near_right) | (right & near_left))
    return found
