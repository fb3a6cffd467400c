"""Whether an image is what its name says: a head, upright, in that contrast.

The anatomy network finds a brain in anything, noise included; how sure it is of it tells. On real
scans, whole or stripped, it is sure of 0.98 of a T2*w brain and 0.97 of a T1w; of noise, phantoms
and phase of 0.83 to 0.88. An image that lies the wrong way round, is inverted, or is a T1w in the
place of a T2*w comes to 0.93 to 0.97, and is surer by 0.01 to 0.04 once it is put right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cmb_bidsapp.anatomy.quality import BEYOND, POSSIBLE_BRAIN_ML, SURE_OF_BRAIN, share_beyond
from cmb_bidsapp.core.arrays import Volume
from cmb_bidsapp.core.contrast import Contrast
from cmb_bidsapp.core.labels import STRUCTURES
from cmb_bidsapp.preprocess.brain import BrainImage
from cmb_bidsapp.preprocess.resampling import resample

if TYPE_CHECKING:  # torch
    from cmb_bidsapp.anatomy.network import AnatomySegmentation

#: Least certainty of the brain that is one.
LEAST_CERTAINTY = 0.90
#: Where it is less certain than this, the image is looked at in other ways, too ...
DOUBTFUL = MappingProxyType({Contrast.T2STARW: 0.975, Contrast.T1W: SURE_OF_BRAIN[Contrast.T1W]})
#: ... and is refused where one of them makes it more certain by as much.
CLEARER = 0.008
#: Least certainty of the structures of a whole brain, of which good scans have 0.73 to 0.82.
LEAST_STRUCTURE = 0.62
#: Least number of values that the brain of a scan has; a mask or a label map has fewer.
LEAST_VALUES = 16
#: Least number of voxels (2 mm) that a brightness is a median of.
LEAST_FLUID = 20

Recognize = Callable[[Volume[np.float32], Contrast], "AnatomySegmentation"]


def certainty(anatomy: AnatomySegmentation) -> float:
    """Mean probability of being brain where that is likelier than not; 0 without a brain."""
    inside = 1 - anatomy.probabilities[0]
    return _mean(inside[inside > 0.5])


def structure_certainty(anatomy: AnatomySegmentation) -> float:
    """Mean probability of the likeliest structure where that is one of the brain; 0 without."""
    structure = anatomy.structures > 0
    return _mean(anatomy.probabilities.max(axis=0)[structure])


def fluid_brightness(head: Volume[np.float32], anatomy: AnatomySegmentation) -> float:
    """Median of the lateral ventricles by that of the white matter, off their borders.

    Parameters
    ----------
    head
        Without bias.
    anatomy
        What the network sees in that image.

    Returns
    -------
    brightness
        NaN where fewer than :data:`LEAST_FLUID` voxels (2 mm) of either are seen.
    """
    found = anatomy.structures
    values = resample(head.data, head.affine, anatomy.grid)
    fluid, white = (
        values[ndimage.binary_erosion(found == STRUCTURES.index(name))]
        for name in ("lateral-ventricle", "cerebral-wm")
    )
    if min(fluid.size, white.size) < LEAST_FLUID or np.median(white) <= 0:
        return float("nan")
    return float(np.median(fluid) / np.median(white))


def why_not(
    head: BrainImage, contrast: Contrast, recognize: Recognize, *, anatomy: AnatomySegmentation
) -> str:
    """Say why an image cannot be what it is given as; empty where it can.

    Parameters
    ----------
    head, contrast
        The image, and what it is to be.
    recognize
        The anatomy network.
    anatomy
        What it has found.
    """
    least, most = POSSIBLE_BRAIN_ML
    if not least <= head.brain_ml <= most:
        return (
            f"shows a brain of {head.brain_ml:.0f} ml (plausible: {least:g} to {most:g} ml); it "
            "may have too few slices, a wrong voxel size, or no head"
        )
    sure = certainty(anatomy)
    if sure < LEAST_CERTAINTY:
        return f"shows no recognizable brain (certainty {sure:.2f}); is it noise, or not a head?"
    if np.unique(head.data[head.brain]).size < LEAST_VALUES:
        return f"has fewer than {LEAST_VALUES} values in the brain; is it a mask or a label map?"
    if sure < DOUBTFUL[contrast]:
        for words, other in _other_ways(head, contrast):
            if certainty(recognize(*other)) > sure + CLEARER:
                return f"is not a {contrast} of an upright head: it looks like {words}"
    known = structure_certainty(anatomy)
    if known < LEAST_STRUCTURE and share_beyond(head.brain) <= BEYOND:
        return (
            f"shows a whole brain whose structures cannot be recognized (certainty {known:.2f}); "
            "the axes in its header may be wrong, or the image is damaged"
        )
    return ""


def _other_ways(
    head: Volume[np.float32], contrast: Contrast
) -> Iterator[tuple[str, tuple[Volume[np.float32], Contrast]]]:
    """What an image may be instead, in words, with what would put it right."""
    other = Contrast.T2STARW if contrast == Contrast.T1W else Contrast.T1W
    yield f"a {other}", (head, other)
    for words, signs in (
        ("one that is upside down", (1, 1, -1, 1)),
        ("one with front and back swapped", (1, -1, 1, 1)),
        ("one that is turned by 180 degrees", (1, -1, -1, 1)),
    ):
        turned = np.diag(np.array(signs, dtype=np.float64)) @ head.affine
        yield words, (Volume(head.data, turned), contrast)
    data = head.data
    shown = data[data > 0]
    bright = float(np.percentile(shown, 99.5)) if shown.size else 0.0
    inverted = np.where(data > 0, np.clip(bright - data, 0, None), 0).astype(np.float32)
    yield "one with inverted brightness", (Volume(inverted, head.affine), contrast)


def _mean(values: npt.NDArray[np.float32]) -> float:
    return float(values.mean()) if values.size else 0.0
