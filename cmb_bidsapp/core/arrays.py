"""Kinds of arrays that the whole package speaks of."""

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
