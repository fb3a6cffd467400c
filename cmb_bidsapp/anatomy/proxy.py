"""Proxy labels: lobar, deep supratentorial and infratentorial regions of a FreeSurfer dseg.

Implements Algorithm 1 of Kwon, Seo and Park (MICCAI 2024) with two additions that MARS asks for:
the putamen is deep, and the internal and external capsules are found geometrically where no
white-matter atlas is given.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cmb_bidsapp.labels import PROXY, ids

Mask = npt.NDArray[np.bool_]

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

DEEP_NUCLEI = ("thalamus", "caudate", "putamen", "pallidum", "accumbens", "ventral-dc")
INFRATENTORIAL = ("brainstem", "cerebellar-wm", "cerebellar-cortex")
LOBAR_GREY = ("cerebral-cortex", "hippocampus", "amygdala")


def _where(dseg: npt.NDArray[np.integer], *structures: str) -> Mask:
    wanted = [index for name in structures for index in ids(structure=name)]
    return np.isin(dseg, wanted)


def _distance(mask: Mask, spacing: tuple[float, float, float]) -> npt.NDArray[np.float32]:
    """Distance to the mask in mm; infinite where the mask is empty."""
    if not mask.any():
        return np.full(mask.shape, np.inf, np.float32)
    distance: npt.NDArray[np.float32] = ndimage.distance_transform_edt(~mask, spacing).astype(
        np.float32
    )
    return distance


def proxy_labels(
    dseg: npt.NDArray[np.integer], spacing: tuple[float, float, float]
) -> npt.NDArray[np.uint8]:
    """Group FreeSurfer labels into the proxy classes of the paper (Algorithm 1, section 2.1).

    Parameters
    ----------
    dseg
        FreeSurfer ids (``aseg`` or ``aparc+aseg``), any axis order.
    spacing
        Voxel size in mm, one value per axis; about 1 mm is meant.

    Returns
    -------
    proxy
        0 background, ventricles and CSF; 1 lobar; 2 deep supratentorial; 3 infratentorial.
    """
    proxy = np.zeros(dseg.shape, np.uint8)
    brain = dseg > 0
    if not brain.any():
        return proxy
    box = ndimage.find_objects(brain.astype(np.uint8))[0]
    proxy[box] = _proxy_labels(dseg[box], spacing)
    return proxy


def _proxy_labels(
    dseg: npt.NDArray[np.integer], spacing: tuple[float, float, float]
) -> npt.NDArray[np.uint8]:
    white = _where(dseg, "cerebral-wm")
    cortex = _where(dseg, "cerebral-cortex")
    insula = np.isin(dseg, ids(structure="cerebral-cortex", region="insula"))
    to_cortex = _distance(cortex, spacing)
    to_medial = _distance(_where(dseg, "caudate", "thalamus"), spacing)
    to_putamen = _distance(_where(dseg, "putamen"), spacing)
    to_pallidum = _distance(_where(dseg, "pallidum"), spacing)
    to_ventricle = _distance(np.isin(dseg, (4, 43)), spacing)
    to_insula = _distance(insula, spacing) if insula.any() else to_cortex

    surrounding = (to_ventricle <= PERIVENTRICULAR_MM) | (
        np.minimum(to_medial, to_pallidum) <= PERINUCLEAR_MM
    )
    deep_white = surrounding & (to_cortex > CORTEX_BAND_MM)
    to_lateral = np.minimum(to_putamen, to_pallidum)
    internal_capsule = to_medial + to_lateral <= INTERNAL_CAPSULE_MM
    external_capsule = to_putamen + to_insula <= EXTERNAL_CAPSULE_MM
    deep = deep_white | internal_capsule | external_capsule | _callosum(dseg, spacing, to_ventricle)

    proxy = np.zeros(dseg.shape, np.uint8)
    proxy[white | _where(dseg, *LOBAR_GREY)] = PROXY["lobar"]
    proxy[(white & deep) | _where(dseg, *DEEP_NUCLEI)] = PROXY["deep"]
    proxy[_where(dseg, *INFRATENTORIAL)] = PROXY["infratentorial"]
    return proxy


def _callosum(
    dseg: npt.NDArray[np.integer],
    spacing: tuple[float, float, float],
    to_ventricle: npt.NDArray[np.float32],
) -> Mask:
    """Callosum as labelled, or white matter that meets the other hemisphere's above a ventricle."""
    labelled = np.isin(dseg, ids(region="corpus-callosum"))
    left, right = np.isin(dseg, (2, 25, 78)), np.isin(dseg, (41, 57, 79))
    near_right = _distance(right, spacing) <= CALLOSUM_MM
    near_left = _distance(left, spacing) <= CALLOSUM_MM
    bridge = (left & near_right) | (right & near_left)
    found: Mask = labelled | (bridge & (to_ventricle <= CALLOSUM_REACH_MM))
    return found
