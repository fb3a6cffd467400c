"""Reading images: one volume, finite values, a trustworthy affine, or a clear error."""

from __future__ import annotations

import contextlib
import errno
import gzip
import logging
import stat
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError, SerializableImage
from nibabel.spatialimages import HeaderDataError, SpatialImage

from cmb_bidsapp.bids.geometry import check_header, volume_shape
from cmb_bidsapp.core.arrays import Volume
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
    _check_fetched(path)
    with _whole(path), _corrections() as corrected:
        image = open_image(path)
        notes = check_header(image, path)
    return image, (*notes, *(f"{path.name}: {text}" for text in corrected))


@contextlib.contextmanager
def _corrections() -> Iterator[Collection[str]]:
    """Collect what nibabel corrects in a header; else it prints it, without the file."""
    told: dict[str, None] = {}

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "leaving at current" not in record.getMessage():
                told[record.getMessage()] = None

    # nibabel's own way to silence it takes its handlers away for good.
    logger = nib.imageglobals.logger
    before = logger.handlers, logger.propagate
    logger.handlers, logger.propagate = [Listener(logging.WARNING)], False
    try:
        yield told
    finally:
        logger.handlers, logger.propagate = before


def _check_fetched(path: Path) -> None:
    """Refuse a file that is not there, or whose content is elsewhere; what to do is told."""
    annexed = (
        f"{path} is not fetched (a DataLad pointer); run: datalad get {path.name} in {path.parent}"
    )
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise DataError(annexed if path.is_symlink() else f"{path} does not exist") from error
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise DataError(f"{path} is a link that leads back to itself; replace it") from error
    if not stat.S_ISREG(mode):
        return
    with path.open("rb") as stream:
        begins = stream.read(32)
    # Files that are unlocked, or were copied without their content, hold the pointer as text.
    if begins.startswith((b"/annex/objects/", b"/.git/annex/")):
        raise DataError(annexed)
    if begins.startswith(b"version https://git-lfs"):
        raise DataError(
            f"{path} is not fetched (a Git LFS pointer); run: git lfs pull in {path.parent}"
        )


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Turn what nibabel and numpy raise at a damaged file into words."""
    try:
        yield
    except UNREADABLE as error:
        # Neither says anything of the file's content.
        if isinstance(error, PermissionError) or lacks_memory(error):
            raise
        raise DataError(f"{path} cannot be read ({error}); fetch or make it again") from error


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


def read_volume(path: Path) -> Volume[np.float32]:
    """Read a 3D image, or a 4D one that holds one volume, with its values as they are.

    Returns
    -------
    volume
        Its values have NaN and infinite ones among them; complex numbers become magnitudes.

    Raises
    ------
    DataError
        The file is not fetched, damaged, not 3D, or has no usable geometry.
    """
    load_header(path)
    with _whole(path), _corrections(), _to_its_end(path) as image:
        if image.get_data_dtype().kind == "c":
            data = np.abs(np.asarray(image.dataobj)).astype(np.float32)
        else:
            data = np.asarray(image.dataobj, dtype=np.float32)
        data = data.reshape(volume_shape(image))
    return Volume(data, np.asarray(image.affine, dtype=np.float64))


@contextlib.contextmanager
def _to_its_end(path: Path) -> Iterator[Any]:
    """Open an image for its voxels; a compressed one is read to its end, where its checksum is.

    nibabel stops after the last voxel, and takes whatever a flipped bit has made of it.
    """
    image = open_image(path)
    with path.open("rb") as stream:
        compressed = stream.read(2) == b"\x1f\x8b"
    if not compressed:
        yield image
        return
    with gzip.open(path) as stream:
        yield type(image).from_stream(stream) if isinstance(image, SerializableImage) else image
        while stream.read(1 << 20):
            pass


def read_image(path: Path) -> Volume[np.float32]:
    """Read an image of one volume that shows something.

    Returns
    -------
    volume
        NaN and infinite values become 0.

    Raises
    ------
    DataError
        As :func:`read_volume`, and where every voxel has the same value, or values are beyond
        what single precision can be reckoned with.
    """
    volume = read_volume(path)
    # In files x runs fastest, in what is computed z: mixing the two costs more than this copy.
    data = np.ascontiguousarray(volume.data)
    np.nan_to_num(data, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(data.min()), float(data.max())
    if high <= low:
        raise DataError(f"{path} is empty: every voxel has the same value")
    if not SMALLEST_VALUE < max(abs(low), abs(high)) < LARGEST_VALUE:
        raise DataError(f"{path} has values up to {high:.3g}; correct its scl_slope and scl_inter")
    return Volume(data, volume.affine)


def read_derivative(path: Path) -> Volume[np.float32]:
    """Read an image of any shape, such as one of our own; values are taken as they are.

    Raises
    ------
    DataError
        The file is not there, or damaged.
    """
    with _whole(path), _to_its_end(path) as image:
        data = np.asarray(image.dataobj, dtype=np.float32)
    return Volume(data, np.asarray(image.affine, dtype=np.float64))


def read_labels(path: Path) -> Volume[np.int32]:
    """Read an integer label image and its affine; errors as of :func:`read_derivative`."""
    with _whole(path), _to_its_end(path) as image:
        data = np.asarray(image.dataobj).astype(np.int32)
    return Volume(data, np.asarray(image.affine, dtype=np.float64))
