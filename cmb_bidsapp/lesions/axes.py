"""Axes of images, and those of the lesion network: slices first, whichever way they lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.affines import voxel_sizes

from cmb_bidsapp.core.arrays import Affine
from cmb_bidsapp.preprocess.resampling import slice_axis

#: Slice distance our own networks are told, whatever it is: slices are never resampled, so no
#: lesion is lost between them. Those networks see slices of all distances in training.
NOMINAL_SLICE_MM = 5.0

#: Voxels this many times larger or smaller than any of the training are worth a note.
UNFAMILIAR = 1.3


def ras_zooms(affine: Affine) -> tuple[float, float, float]:
    """Voxel size in mm along the axes nearest to x, y and z."""
    axes = nib.orientations.io_orientation(affine)[:, 0]
    x, y, z = (float(zoom) for zoom in voxel_sizes(affine)[np.argsort(axes)])
    return x, y, z


def slice_distance(affine: Affine) -> float:
    """Voxel size in mm across the slices."""
    return float(voxel_sizes(affine)[slice_axis(affine)])


def slices_are(affine: Affine) -> str:
    """How slices lie: ``sagittal``, ``coronal`` or ``axial``.

    >>> slices_are(np.diag([0.5, 4.0, 0.5, 1.0])), slices_are(np.diag([1.0, 1.0, 1.0, 1.0]))
    ('coronal', 'axial')
    """
    return ("sagittal", "coronal", "axial")[network_axes(affine)[0]]


def network_axes(affine: Affine) -> list[int]:
    """World axes in the order of the network: across the slices, then of z, y, x the other two."""
    across = int(nib.orientations.io_orientation(affine)[slice_axis(affine), 0])
    return [across, *(axis for axis in (2, 1, 0) if axis != across)]


def network_order(
    data: npt.NDArray[Any], affine: Affine, slice_mm: float | None = NOMINAL_SLICE_MM
) -> tuple[npt.NDArray[Any], tuple[float, float, float]]:
    """Reorient an image to RAS and reorder it to the network's axes.

    The first is across the slices, which are never resampled: (z, y, x) for axial ones, (y, z, x)
    for coronal and (x, z, y) for sagittal ones.

    Parameters
    ----------
    data, affine
        Image, shape ``(x, y, z)``, and voxel to world (RAS mm).
    slice_mm
        Slice distance to be told instead of the true one; ``None`` tells the true one.

    Returns
    -------
    data, spacing
        Spacing in mm in the same order.
    """
    orientation = nib.orientations.io_orientation(affine)
    ras = nib.orientations.apply_orientation(data, orientation)
    axes = network_axes(affine)
    across, down, along = (ras_zooms(affine)[axis] for axis in axes)
    spacing = (across if slice_mm is None else slice_mm, down, along)
    return np.ascontiguousarray(ras.transpose(axes)), spacing


def image_order(data: npt.NDArray[Any], affine: Affine) -> npt.NDArray[Any]:
    """Inverse of :func:`network_order`.

    Parameters
    ----------
    data
        Axes in the order of the network, slices first.
    affine
        Of the image whose order is wanted (RAS mm).
    """
    ras = data.transpose(np.argsort(network_axes(affine)))
    to_ras = nib.orientations.io_orientation(affine)
    canonical = np.array([[0, 1], [1, 1], [2, 1]])
    back = nib.orientations.ornt_transform(canonical, to_ras)
    restored: npt.NDArray[Any] = nib.orientations.apply_orientation(ras, back)
    return restored


def in_network_order(
    voxels: npt.NDArray[np.floating[Any]], shape: tuple[int, ...], affine: Affine
) -> npt.NDArray[np.float64]:
    """Voxels of an image where :func:`network_order` puts them; shape ``(n, 3)``.

    Parameters
    ----------
    voxels
        Indices in the image, shape ``(n, 3)``.
    shape
        That of the image.
    affine
        From voxels to RAS mm.
    """
    orientation = nib.orientations.io_orientation(affine)
    to_ras = np.linalg.inv(nib.orientations.inv_ornt_aff(orientation, shape))
    ras: npt.NDArray[np.float64] = nib.affines.apply_affine(to_ras, np.asarray(voxels, np.float64))
    return ras[:, network_axes(affine)]


def unfamiliar_voxels(affine: Affine, training: Mapping[str, Any]) -> list[str]:
    """Say where the voxels of an image are far from all of the training.

    Parameters
    ----------
    affine
        From voxels to RAS mm.
    training
        ``in_plane_mm`` and ``slice_mm``: smallest and largest voxel size of the training images.
    """
    across, *in_plane = network_axes(affine)
    zooms = ras_zooms(affine)
    found = []
    sizes = {"in_plane_mm": max(zooms[axis] for axis in in_plane), "slice_mm": zooms[across]}
    for key, name in (("in_plane_mm", "in plane"), ("slice_mm", "apart")):
        size = sizes[key]
        low, high = training[key]
        if not low / UNFAMILIAR <= size <= high * UNFAMILIAR:
            found.append(
                f"voxels are {size:.2g} mm {name}, the lesion model was trained on "
                f"{low:.2g} to {high:.2g} mm: expect more errors"
            )
    return found
