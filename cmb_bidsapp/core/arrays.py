"""Kinds of arrays that the whole package speaks of, and an array with its place in the world."""

from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

#: From voxels to world coordinates (RAS mm), or from one world to another; shape ``(4, 4)``.
Affine = npt.NDArray[np.float64]
#: Values of an image, a part of it, or what it is made of: single precision, any shape.
Image = npt.NDArray[np.float32]
#: Numbers of structures or of lesions, the shape of their image.
Labels = npt.NDArray[np.int32]
#: Numbers of a few regions or classes (proxy, MARS, the network's), the shape of their image.
Regions = npt.NDArray[np.uint8]
#: Which voxels, or pixels, are meant; the shape of their image.
Mask = npt.NDArray[np.bool_]
#: World coordinates (RAS mm), shape ``(n, 3)``.
Points = npt.NDArray[np.float64]
#: Numbers of double precision, any shape.
Floats = npt.NDArray[np.float64]
#: Voxel size in mm per array axis.
Spacing = tuple[float, float, float]

V = TypeVar("V", bound=np.generic, covariant=True)


@dataclass(frozen=True, eq=False)
class Volume(Generic[V]):
    """An image with its affine: neither tells anything without the other.

    Attributes
    ----------
    data
        A value for each voxel; images of one volume have three axes.
    affine
        From voxels to world coordinates (RAS mm).
    """

    data: npt.NDArray[V]
    affine: Affine
