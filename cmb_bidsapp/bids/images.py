"""Reading images: one volume, finite values, a trustworthy affine, or a clear error."""

from __future__ import annotations

import contextlib
import errno
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError, SpatialImage

from cmb_bidsapp.bids.geometry import check_header, volume_shape
from cmb_bidsapp.core.arrays import Affine
from cmb_bidsapp.core.errors import DataError, lacks_memory

#: Magnitudes between which an image has its largest value.
SMALLEST_VALUE, LARGEST_VALUE = 1e-20, 1e20
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


def load_header(path: Path) -> tuple[Any, tuple[str, ...]]:
    """Open an image and check its header; no voxel is read.

    Returns
    -------
    image, notes
        What nibabel makes of the file, and what is unusual about it.

    Raises
    ------
    DataError
        The file is not fetched, damaged, or refused by
        :func:`cmb_bidsapp.bids.geometry.check_header`.
    """
    if not path.exists():
        if path.is_symlink():
            raise DataError(
                f"{path} is not fetched (a DataLad pointer); run: datalad get {path.name} "
                f"in {path.parent}"
            )
        raise DataError(f"{path} does not exist")
    with _whole(path):
        image = open_image(path)
        return image, check_header(image, path)


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Turn what nibabel and numpy raise at a damaged file into words."""
    try:
        yield
    except UNREADABLE as error:
        # Neither says anything of the file's content.
        if isinstance(error, PermissionError) or lacks_memory(error):
            raise
        raise DataError(f"{path} cannot be read ({error}); fetch or convert it again") from error


def open_image(path: Path) -> SpatialImage:
    """Open an image; its voxels are read when they are asked for.

    Raises
    ------
    OSError, ValueError, ...
        One of :data:`UNREADABLE`: the file is no image of voxels, or is a pipe.
    """
    if path.exists() and not path.is_file():
        # A pipe would be waited for, perhaps for ever.
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    image = nib.load(path)
    if not isinstance(image, SpatialImage):
        raise ImageFileError("no image of voxels")
    return image


def read_volume(path: Path) -> tuple[npt.NDArray[np.float32], Affine]:
    """Read a 3D image, or a 4D one that holds one volume, with its values as they are.

    Returns
    -------
    data, affine
        Values, NaN and infinite ones among them (of complex numbers the magnitude), and
        voxel-to-world (RAS mm).

    Raises
    ------
    DataError
        The file is not fetched, damaged, not 3D, or has no usable geometry.
    """
    image, _ = load_header(path)
    with _whole(path):
        _check_stream(path)
        if image.get_data_dtype().kind == "c":
            data = np.abs(np.asarray(image.dataobj)).astype(np.float32)
        else:
            data = np.asarray(image.dataobj, dtype=np.float32)
        data = data.reshape(volume_shape(image))
    return data, np.asarray(image.affine, dtype=np.float64)


def _check_stream(path: Path) -> None:
    """Read a compressed file to its end, where its checksum is; nibabel stops before it."""
    with path.open("rb") as stream:
        if stream.read(2) != b"\x1f\x8b":
            return
    with gzip.open(path) as stream:
        while stream.read(1 << 20):
            pass


def read_image(path: Path) -> tuple[npt.NDArray[np.float32], Affine]:
    """Read an image of one volume that shows something.

    Returns
    -------
    data, affine
        Values (NaN and infinite ones become 0) and voxel-to-world (RAS mm).

    Raises
    ------
    DataError
        As :func:`read_volume`, and where every voxel has the same value, or values are beyond
        what single precision can be reckoned with.
    """
    data, affine = read_volume(path)
    data = np.nan_to_num(data, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(data.min()), float(data.max())
    if high <= low:
        raise DataError(f"{path} is empty: every voxel has the same value")
    if not SMALLEST_VALUE < max(abs(low), abs(high)) < LARGEST_VALUE:
        raise DataError(f"{path} has values up to {high:.3g}; correct its scl_slope and scl_inter")
    return data, affine


def read_derivative(path: Path) -> tuple[npt.NDArray[np.float32], Affine]:
    """Read one of our own images; values are taken as they are."""
    image = open_image(path)
    return np.asarray(image.dataobj, dtype=np.float32), np.asarray(image.affine, dtype=np.float64)


def read_labels(path: Path) -> tuple[npt.NDArray[np.int32], Affine]:
    """Read an integer label image and its affine."""
    image = open_image(path)
    return np.asarray(image.dataobj).astype(np.int32), np.asarray(image.affine, dtype=np.float64)
