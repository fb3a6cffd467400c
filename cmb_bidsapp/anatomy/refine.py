"""Where the network is unsure which structure a voxel is, the image's own brightness decides.

The network works at 2 mm; the border between cortex and fluid is finer than that. Its
probabilities are the prior, the brightness of each class in the neighborhood the likelihood, as
in one step of the expectation-maximization that tissue segmentation is usually made of (Ashburner
and Friston 2005, NeuroImage 26:839).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cmb_bidsapp.core.arrays import Image, Volume
from cmb_bidsapp.preprocess.resampling import Grid, along_axes, gaussian_weights, resample

if TYPE_CHECKING:  # torch
    from cmb_bidsapp.anatomy.network import AnatomySegmentation

#: How far around (SD, mm) the brightness of a class is learned: what bias correction leaves, and
#: real differences between regions, are smoother than this.
NEIGHBORHOOD_MM = 20.0
#: Deviations are taken this much wider than they are: neighboring voxels are no independent
#: witnesses (chosen on simulations of heads of the training).
WIDER = 1.5
#: A class that the network thinks less likely than this is none, whatever the brightness.
LEAST_PRIOR = 0.01
#: Classes seen in less than this many voxels have no brightness of their own.
LEAST_VOXELS = 50


def refined_structures(
    anatomy: AnatomySegmentation, image: Volume[np.float32], target: Grid
) -> npt.NDArray[np.uint8]:
    """Most probable class at the voxels of another grid, given the image.

    Parameters
    ----------
    anatomy
        What the network sees in that image.
    image
        What the network saw, bias-corrected and without what is not brain (there 0).
    target
        Voxels at which classes are wanted.

    Returns
    -------
    structures
        Classes of :data:`cmb_bidsapp.core.labels.STRUCTURES` on ``target``. What is background to
        the network stays so: brightness only tells the structures of the brain from each other.
    """
    brightness = resample(image.data, image.affine, target)
    best = np.zeros(target.shape, np.float32)
    winner = np.zeros(target.shape, np.uint8)
    inside = np.zeros(target.shape, np.float32)
    for number, (mean, deviation) in enumerate(_brightness(anatomy, image), start=1):
        prior = resample(anatomy.probabilities[number], anatomy.grid.affine, target)
        inside += prior
        # Most structures are small: the rest of the head need not be looked at.
        box = next(iter(ndimage.find_objects((prior > LEAST_PRIOR).astype(np.uint8))), None)
        if box is None:
            continue
        likely = prior[box]
        if deviation:
            corner = np.array([s.start for s in box])
            part = target.part(corner, np.array(likely.shape))
            away = (brightness[box] - resample(mean, anatomy.grid.affine, part)) / deviation
            likely = likely * np.exp(-(away**2) / 2) / deviation
        better = likely > best[box]
        best[box][better], winner[box][better] = likely[better], number
    background = resample(anatomy.probabilities[0], anatomy.grid.affine, target)
    return np.where(inside > background, winner, 0).astype(np.uint8)


def _brightness(
    anatomy: AnatomySegmentation, image: Volume[np.float32]
) -> Iterator[tuple[Image, float]]:
    """Local mean and overall deviation of each class but the background, on the network's grid.

    The deviation is 0 where a class has none.
    """
    values = resample(image.data, image.affine, anatomy.grid)
    around = [
        gaussian_weights(size, NEIGHBORHOOD_MM / side)
        for size, side in zip(anatomy.grid.shape, anatomy.grid.spacing, strict=True)
    ]
    for probability in anatomy.probabilities[1:]:
        # Squared: what the network is sure of counts most.
        weight = np.where(values > 0, probability**2, 0).astype(np.float32)
        total = float(weight.sum())
        if total < LEAST_VOXELS:
            yield values, 0.0
            continue
        everywhere = float((weight * values).sum()) / total
        near = along_axes(weight, around) + 1e-4
        mean = (along_axes(weight * values, around) + 1e-4 * everywhere) / near
        spread = float((weight * (values - mean) ** 2).sum()) / total
        yield mean, WIDER * float(np.sqrt(spread))
