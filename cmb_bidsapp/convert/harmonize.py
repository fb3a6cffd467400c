"""What the files of one participant should agree on: their grid, and what marks a microbleed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from nibabel.affines import apply_affine, voxel_sizes
from scipy import ndimage
from scipy.spatial.transform import Rotation

from cmb_bidsapp.core.arrays import Affine

#: Headers that differ by less describe the same grid: half a voxel, a degree, a hundredth.
MOST_VOXELS, MOST_DEGREES, MOST_SCALE = 0.5, 1.0, 0.01
#: What single precision and rounded quaternions leave.
ROUNDING_VOXELS, ROUNDING_DEGREES, ROUNDING_SCALE = 0.01, 0.02, 1e-4
#: Microbleeds take a far smaller share of a head; more is something else, or a mask inverted.
MOST_MARKED = 0.1
#: Larger values number no lesions.
MOST_LESIONS = 32767
#: Values this close to whole numbers are whole numbers.
WHOLE = 0.01


@dataclass(frozen=True)
class HeaderDifference:
    """How far two images of one shape lie apart, by their affines.

    Attributes
    ----------
    voxels
        Distance of their centers along the axis where it is largest, voxels of the reference.
    degrees
        Rotation between their axes; 180 where one is mirrored.
    scale
        Largest relative difference of the voxel size.
    """

    voxels: float
    degrees: float
    scale: float

    @property
    def is_rounding(self) -> bool:
        """Whether nothing but rounding is between them."""
        return (
            self.voxels < ROUNDING_VOXELS
            and self.degrees < ROUNDING_DEGREES
            and self.scale < ROUNDING_SCALE
        )

    @property
    def is_small(self) -> bool:
        """Whether they can be taken for one grid."""
        return self.voxels < MOST_VOXELS and self.degrees < MOST_DEGREES and self.scale < MOST_SCALE

    def __str__(self) -> str:
        return (
            f"{self.voxels:.2g} voxels, {self.degrees:.2g} degrees, "
            f"{100 * self.scale:.2g} % voxel size"
        )


def header_difference(shape: tuple[int, ...], reference: Affine, other: Affine) -> HeaderDifference:
    """Compare the headers of two images of one shape.

    Parameters
    ----------
    shape
        Voxels along the axes.
    reference, other
        From voxels to RAS mm.
    """
    center = (np.array(shape[:3]) - 1) / 2
    moved = apply_affine(np.linalg.inv(reference) @ other, center)
    sizes = voxel_sizes(other), voxel_sizes(reference)
    turn = (other[:3, :3] / sizes[0]) @ np.linalg.inv(reference[:3, :3] / sizes[1])
    mirrored = np.linalg.det(turn) < 0
    degrees = 180.0 if mirrored else float(np.degrees(Rotation.from_matrix(turn).magnitude()))
    return HeaderDifference(
        float(np.abs(moved - center).max()), degrees, float(np.abs(sizes[0] / sizes[1] - 1).max())
    )


def lesion_instances(
    values: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.int32], str | None]:
    """Number the microbleeds of a mask from 1; what touches (26 neighbors) is one.

    A mask of 0 and 1 is cut at 0.5, one of gray values up to 255 at half of that. Several whole
    numbers are taken for lesion numbers: pieces of different values stay apart where they touch.

    Parameters
    ----------
    values
        Finite values of the mask, any axis order.

    Returns
    -------
    instances, note
        0 or the number of the microbleed; what was remarkable about the values, if anything.

    Raises
    ------
    ValueError
        The values are none of these, or mark a tenth of the image or more.
    """
    low, high = float(values.min()), float(values.max())
    if low <= -0.5 or high > MOST_LESIONS:
        raise ValueError(f"values from {low:g} to {high:g}, which no mask has")
    whole = np.round(values).astype(np.int32)
    numbers = [int(number) for number in np.unique(whole) if number]
    fractions = float(np.abs(values - whole).max()) > WHOLE
    note = None
    if high <= 1.5:
        whole = (values > 0.5).astype(np.int32)
        note = "mask has values between 0 and 1: cut at 0.5" if fractions else None
    elif not fractions and len(numbers) == 1:
        note = f"mask marks with {numbers[0]}, not 1"
    elif abs(high - 255) < 0.5 and (fractions or numbers != list(range(1, 256))):
        whole = (values > 127.5).astype(np.int32)
        note = "mask has gray values up to 255: cut at half"
    elif fractions:
        raise ValueError(f"values from {low:g} to {high:g}, neither a mask nor lesion numbers")
    else:
        shown = ", ".join(str(number) for number in numbers[:5])
        more = f" and {len(numbers) - 5} more" if len(numbers) > 5 else ""
        note = f"mask has the values {shown}{more}: taken for lesion numbers"
    share = float((whole > 0).mean())
    if share >= MOST_MARKED:
        raise ValueError(f"it marks {share:.0%} of the image, microbleeds take far less")
    instances = np.zeros(values.shape, np.int32)
    count = 0
    for number in np.unique(whole[whole > 0]):
        pieces, found = ndimage.label(whole == number, np.ones((3, 3, 3)))
        instances[pieces > 0] = pieces[pieces > 0] + count
        count += found
    return instances, note
