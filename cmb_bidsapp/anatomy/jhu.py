"""Internal and external capsule from the JHU-ICBM-DTI-81 white-matter labels (Mori 2008).

The labels are not shipped, since their license is non-commercial: a user names the file, such as
FSL's ``JHU-ICBM-labels-1mm.nii.gz``. Copies of it are mirrored or misnumbered often enough
(Rohlfing 2013, Front Neurosci 7:4) that the anatomy is looked at before a label is believed.
"""

from __future__ import annotations

import logging
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cmb_bidsapp.anatomy.standard import voxels_at
from cmb_bidsapp.bids.images import read_volume
from cmb_bidsapp.core.arrays import Mask, Points, Volume
from cmb_bidsapp.core.errors import DataError

LOG = logging.getLogger(__name__)

#: Odd labels are right, even ones left, from the corticospinal tract (7, 8) to the tapetum.
FIRST_PAIR, LAST_LABEL = 7, 48
#: Anterior limb, posterior limb and retrolenticular part of the internal capsule.
INTERNAL_CAPSULE = (17, 18, 19, 20, 21, 22)
EXTERNAL_CAPSULE = (33, 34)

#: Where the pair that begins with a label lies: distance from the midline, y and z in MNI152
#: (mm). Measured on the labels; the capsules of a map of MARS regions are centered within 1 mm.
CENTERS = MappingProxyType(
    {
        17: (17.7, 7.5, 8.2),
        19: (20.0, -13.2, 7.9),
        21: (30.9, -29.3, 5.9),
        33: (30.1, 0.3, 1.4),
    }
)
#: Neighbors in the list lie 19 mm apart or more; large voxels move a center 1 or 2 mm.
CENTER_TOLERANCE_MM = 6.0
#: x halfway between a pair in FSL's file, mm: its midline is not quite at 0.
MIDLINE_MM = 0.5
#: The field of MNI152, mm: lowest and highest x, y and z that a voxel may have.
FIELD_MM = (-91.5, -127.0, -73.0), (92.0, 92.5, 110.0)


def read_jhu(path: Path) -> Volume[np.uint8]:
    """Read the labels, check them by their anatomy, and put left and right where they belong.

    Returns
    -------
    jhu
        JHU labels 0 to 48 in MNI152. It is logged where left and right were exchanged.

    Raises
    ------
    DataError
        The file cannot be read, holds other than integers 0 to 48, does not lie in MNI152, or
        its capsules are not where capsules are (numbering shifted by one, or another atlas).
    """
    read = read_volume(path)
    data, affine = read.data, read.affine
    if not np.isfinite(data).all() or (data != np.rint(data)).any():
        raise DataError(f"{path} contains values that are not integers; give the JHU label file")
    # One more than the last label, so that shifted numbers can be told from another atlas.
    if data.min() < 0 or data.max() > LAST_LABEL + 1:
        raise DataError(
            f"{path} holds values {data.min():.0f} to {data.max():.0f}; JHU labels range from 0 "
            f"to {LAST_LABEL}"
        )
    labels = data.astype(np.uint8)
    points = np.argwhere(labels > 0) @ affine[:3, :3].T + affine[:3, 3]
    if len(points) == 0:
        raise DataError(f"{path} holds no labels")
    low, high = points.min(axis=0), points.max(axis=0)
    if (low < FIELD_MM[0]).any() or (high > FIELD_MM[1]).any():
        raise DataError(
            f"{path} reaches from {np.round(low)} to {np.round(high)} mm, outside MNI152; check "
            "its affine"
        )
    centers = _centers(labels[labels > 0], points)
    _check_numbers(path, centers)
    mirrored, midline = _sides(centers)
    if mirrored:
        LOG.warning("%s has left and right swapped; the app flips its x axis", path)
        affine = np.diag([-1.0, 1.0, 1.0, 1.0]) @ affine
        # Who mirrors an image by its header seldom gets the origin right: the public copy that
        # is 181 voxels wide ends up 1 mm off, a third of the external capsule's thickness.
        affine[0, 3] += MIDLINE_MM + midline
    return Volume(labels, affine)


def _centers(
    values: npt.NDArray[np.uint8], points: npt.NDArray[np.float64]
) -> dict[int, npt.NDArray[np.float64]]:
    """Center of mass (mm) of every label."""
    count = np.bincount(values)
    sums = np.stack([np.bincount(values, axis) for axis in points.T], axis=1)
    return {int(label): sums[label] / count[label] for label in np.flatnonzero(count)}


def _check_numbers(path: Path, centers: dict[int, npt.NDArray[np.float64]]) -> None:
    """Refuse labels that do not lie where their names say."""
    if _fits(centers, 0):
        if max(centers) > LAST_LABEL:
            raise DataError(f"{path} holds label {max(centers)}; the last one is {LAST_LABEL}")
        return
    for shift, words in ((1, "one too high"), (-1, "one too low")):
        if _fits(centers, shift):
            raise DataError(
                f"{path}: the labels are {words} (the internal capsule is not 17 to 22 but "
                f"{17 + shift} to {22 + shift}); use FSL's JHU-ICBM-labels file"
            )
    raise DataError(
        f"{path}: labels 17 to 22, 33 and 34 are not where the internal and external capsules "
        "lie in MNI152; is it the JHU-ICBM-DTI-81 label file (not the tracts)?"
    )


def _fits(centers: dict[int, npt.NDArray[np.float64]], shift: int) -> bool:
    """Whether the capsules lie where they should, were all labels ``shift`` too high."""
    for first, (x, y, z) in CENTERS.items():
        left, right = centers.get(first + shift), centers.get(first + 1 + shift)
        # One side each; which one is another question.
        if left is None or right is None or left[0] * right[0] >= 0:
            return False
        for center in (left, right):
            away = np.abs([abs(center[0]) - x, center[1] - y, center[2] - z])
            if away.max() > CENTER_TOLERANCE_MM:
                return False
    return True


def _sides(centers: dict[int, npt.NDArray[np.float64]]) -> tuple[bool, float]:
    """Whether odd labels lie left, and x of the midline (mm)."""
    pairs = [
        (centers[odd][0], centers[odd + 1][0])
        for odd in range(FIRST_PAIR, LAST_LABEL, 2)
        if odd in centers and odd + 1 in centers
    ]
    right, left = np.array(pairs).T
    # Medians: a few tracts are drawn longer on one side.
    return bool(np.median(right - left) < 0), float(np.median((right + left) / 2))


def capsules(jhu: Volume[np.uint8], points: Points) -> tuple[Mask, Mask]:
    """Tell which points lie in the capsules.

    Parameters
    ----------
    jhu
        JHU labels of white matter, in MNI152.
    points
        MNI152 coordinates (RAS mm), such as those of the voxels of a head, shape ``(x, y, z, 3)``.

    Returns
    -------
    internal, external
        Shape ``(x, y, z)``. The label at a point is that of the nearest JHU voxel.
    """
    voxels = voxels_at(points, jhu.affine)
    found = ndimage.map_coordinates(jhu.data, voxels, order=0, mode="constant")
    return np.isin(found, INTERNAL_CAPSULE), np.isin(found, EXTERNAL_CAPSULE)
