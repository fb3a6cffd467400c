"""Reading images: one volume, finite values, a trustworthy affine, or a clear error."""

from __future__ import annotations

import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from cmb_bidsapp.core.errors import DataError

Affine = npt.NDArray[np.float64]
#: What nibabel and numpy raise at damaged files.
UNREADABLE = (
    ImageFileError,
    HeaderDataError,
    OSError,
    EOFError,
    ValueError,
    TypeError,
    IndexError,
    OverflowError,
    zlib.error,
)


def read_volume(path: Path) -> tuple[npt.NDArray[np.float32], Affine]:
    """Read a 3D image, or a 4D one that holds one volume, with its values as they are.

    Returns
    -------
    data, affine
        Values, NaN and infinite ones among them, and voxel-to-world (RAS mm).

    Raises
    ------
    DataError
        The file is not fetched, damaged, not 3D, or has no usable geometry.
    """
    if not path.exists():
        if path.is_symlink():
            raise DataError(
                f"{path} is not fetched (a DataLad pointer); run: datalad get {path.name} "
                f"in {path.parent}"
            )
        raise DataError(f"{path} does not exist")
    try:
        image = nib.load(path)
        data = np.asarray(image.dataobj, dtype=np.float32)
    except UNREADABLE as error:
        raise DataError(f"{path} cannot be read ({error}); fetch or convert it again") from error
    if data.ndim == 4 and data.shape[3] == 1:
        data = data[..., 0]
    if data.ndim != 3 or min(data.shape) < 2:
        raise DataError(f"{path} has shape {data.shape}; one 3D volume is needed")
    affine = np.asarray(image.affine, dtype=np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-6:
        raise DataError(f"{path} has no usable affine; set its sform or qform")
    return data, affine


def read_image(path: Path) -> tuple[npt.NDArray[np.float32], Affine]:
    """Read an image of one volume that shows something.

    Returns
    -------
    data, affine
        Values (NaN and infinite ones become 0) and voxel-to-world (RAS mm).

    Raises
    ------
    DataError
        As :func:`read_volume`, and where every voxel has the same value.
    """
    data, affine = read_volume(path)
    data = np.nan_to_num(data, nan=0.0, posinf=0.0, neginf=0.0)
    if float(data.max()) <= float(data.min()):
        raise DataError(f"{path} is empty: every voxel has the same value")
    return data, affine


def read_derivative(path: Path) -> tuple[npt.NDArray[np.float32], Affine]:
    """Read one of our own images; values are taken as they are."""
    image = nib.load(path)
    return np.asarray(image.dataobj, dtype=np.float32), np.asarray(image.affine, dtype=np.float64)


def read_labels(path: Path) -> tuple[npt.NDArray[np.int32], Affine]:
    """Read an integer label image and its affine."""
    image = nib.load(path)
    return np.asarray(image.dataobj).astype(np.int32), np.asarray(image.affine, dtype=np.float64)
