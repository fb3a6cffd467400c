"""Headers: an image is taken only where its size and its place in the world are beyond doubt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.affines import apply_affine, voxel_sizes
from nibabel.openers import ImageOpener

from cmb_bidsapp.core.arrays import Affine
from cmb_bidsapp.core.errors import DataError

#: Voxel sides (mm) that a head may be scanned with.
VOXEL_MM = (0.05, 20.0)
#: Longest side (mm) of a field of view.
LONGEST_MM = 700.0
#: Largest field of view (liters), that of a cube of 46 cm; networks need memory for all of it.
MOST_LITERS = 100.0
#: Most voxels of an image: as single precision they take 8 GB.
MOST_VOXELS = 2e9
#: Largest cosine between two axes of an image; that of 89 degrees.
MOST_SHEAR = 0.0175
#: Deflate makes data at most this many times smaller.
MOST_COMPRESSION = 1100
#: An image whose center is farther (mm) from that of the scanner has no usable place.
FARTHEST_MM = 10_000.0
#: Voxel sizes that a header states twice differ at most by this share.
SAME_SIZE = 0.05
#: Units of length in a NIfTI header that are not mm, by their code.
OTHER_UNITS = {1: "meters", 3: "micrometers"}


def volume_shape(image: Any) -> tuple[int, ...]:
    """Shape of an image without trailing axes of length one."""
    shape: tuple[int, ...] = tuple(image.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def check_header(image: Any, path: Path) -> tuple[str, ...]:
    """Check the header of an image before its voxels are read.

    Parameters
    ----------
    image
        As nibabel loads it.
    path
        File of the image. Its bytes tell what nibabel corrects silently; messages name it.

    Returns
    -------
    notes
        What is unusual and was decided.

    Raises
    ------
    DataError
        The image is not one volume, its geometry is not stated or contradicts itself, no head has
        such a size, or the file is too small for its header.
    """
    shape = volume_shape(image)
    if len(shape) != 3 or min(shape) < 2:
        raise DataError(f"{path} has shape {tuple(image.shape)}; one 3D volume is needed")
    if image.get_data_dtype().fields is not None:
        raise DataError(f"{path} is a color image; a grayscale image is needed")
    _check_room(image, path)
    affine = np.asarray(image.affine, dtype=np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise DataError(f"{path} has no usable affine; set its sform or qform")
    _check_size(image, affine, shape, path)
    _check_shear(affine, path)
    away = float(np.linalg.norm(apply_affine(affine, (np.array(shape) - 1) / 2)))
    if away > FARTHEST_MM:
        raise DataError(
            f"{path} lies {away / 1000:.3g} m from the center of the scanner; correct the offsets "
            "in its header, or convert it again"
        )
    notes = _check_nifti(image, shape, path) if isinstance(image, nib.Nifti1Image) else []
    if image.get_data_dtype().kind == "c":
        notes.append(f"{path.name} contains complex numbers; using their magnitude")
    return tuple(notes)


def _check_room(image: Any, path: Path) -> None:
    """Refuse a header that asks for more than the file can hold, before memory is taken."""
    voxels = int(np.prod([int(side) for side in image.shape], dtype=object))
    wanted = voxels * image.get_data_dtype().itemsize
    with path.open("rb") as stream:
        compressed = stream.read(2) == b"\x1f\x8b"
    room = path.stat().st_size * (MOST_COMPRESSION if compressed else 1)
    if wanted > room:
        raise DataError(
            f"{path} cannot be read (its header implies {wanted / 1e6:.3g} MB, more than the "
            "file has); fetch or convert it again"
        )


def _check_size(image: Any, affine: Affine, shape: tuple[int, ...], path: Path) -> None:
    code = int(image.header["xyzt_units"]) & 7 if isinstance(image, nib.Nifti1Image) else 0
    if code in OTHER_UNITS:
        raise DataError(
            f"{path} gives its voxel size in {OTHER_UNITS[code]}; convert it again to millimeters"
        )
    sides = voxel_sizes(affine)
    if (sides < VOXEL_MM[0]).any() or (sides > VOXEL_MM[1]).any():
        raise DataError(
            f"{path} has voxels of {_by(sides)} mm, which no head scan has; the units in its "
            "header may be wrong. Convert it again"
        )
    if np.prod(np.array(shape, dtype=np.float64)) > MOST_VOXELS:
        raise DataError(
            f"{path} has {' x '.join(map(str, shape))} voxels, which no head scan has; resample it"
        )
    if (sides * shape).max() > LONGEST_MM or np.prod(sides * shape) > MOST_LITERS * 1e6:
        raise DataError(
            f"{path} has a field of view of {_by(sides * shape)} mm, which no head scan has; "
            "correct the voxel size in its header"
        )


def _check_shear(affine: Affine, path: Path) -> None:
    directions = affine[:3, :3] / voxel_sizes(affine)
    cosines = np.abs(directions.T @ directions - np.eye(3))
    if cosines.max() > MOST_SHEAR:
        angle = np.degrees(np.arccos(min(1.0, cosines.max())))
        raise DataError(
            f"{path} has a sheared sform (two of its axes are {angle:.0f} degrees apart); "
            "resample it to a rectangular grid, or convert it again"
        )


def _check_nifti(image: nib.Nifti1Image, shape: tuple[int, ...], path: Path) -> list[str]:
    """Compare what sform, qform and voxel sizes say, and where a NIfTI header ends."""
    header = image.header
    with ImageOpener(str(path)) as stream:
        # nibabel replaces a voxel size of 0 by 1 mm when it loads an image.
        raw = type(header).from_fileobj(stream, check=False)
    # nibabel takes 0 as it stands, and the header for voxels.
    if raw["vox_offset"] < header.single_vox_offset:
        raise DataError(
            f"{path} cannot be read (its voxels begin within its header, at byte "
            f"{float(raw['vox_offset']):.0f}); convert it again"
        )
    zooms = np.abs(np.asarray(raw["pixdim"][1:4], dtype=np.float64))
    if not np.isfinite(zooms).all() or not zooms.all():
        raise DataError(f"{path} has a voxel size of {_by(zooms)} mm; convert it again")
    stated = [int(header[name]) > 0 for name in ("sform_code", "qform_code")]
    if not any(stated):
        raise DataError(
            f"{path} does not say where left and right are (sform and qform have code 0); convert "
            "it again from DICOM, or set the codes if you know its orientation"
        )
    sides = voxel_sizes(image.affine)
    if (np.abs(zooms - sides) > SAME_SIZE * sides).any():
        raise DataError(
            f"{path} has voxels of {_by(sides)} mm by its sform and {_by(zooms)} mm by its pixdim; "
            "convert it again, or correct the wrong one"
        )
    if not all(stated):
        return []
    sform, qform = header.get_sform(), header.get_qform()
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(shape) - 1)
    moved = apply_affine(sform, corners) - apply_affine(qform, corners)
    apart = float(np.linalg.norm(moved, axis=1).max())
    if apart <= voxel_sizes(sform).max():
        return []
    axes = [nib.orientations.io_orientation(affine) for affine in (sform, qform)]
    if not np.array_equal(*axes):
        raise DataError(
            f"{path} has an sform and a qform that disagree on its axes ("
            + " and ".join("".join(nib.aff2axcodes(affine)) for affine in (sform, qform))
            + "); convert it again from DICOM, or remove the wrong one"
        )
    return [f"{path.name}: sform and qform are {apart:.0f} mm apart; the sform is used"]


def _by(sides: npt.NDArray[np.float64]) -> str:
    return " x ".join(f"{side:.3g}" for side in sides)
