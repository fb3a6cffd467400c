"""Head anatomies to simulate from: label maps, or a head made from the packaged atlas."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial.transform import Rotation

from cmb_bidsapp.anatomy.atlas import load_atlas
from cmb_bidsapp.anatomy.pieces import largest_piece
from cmb_bidsapp.bids.images import read_labels
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.core.labels import LAST_EXTRACEREBRAL, ids, mirror_lookup

#: Ids for tissue outside the brain of :func:`atlas_head`, as the public head label maps number it.
SOFT_TISSUE, SKIN, BONE = 507, 511, 515
#: Sinus air and fluid outside the brain (as of the eyes) in those maps.
SINUS, FLUID = 509, 506

#: Pieces of air with fewer voxels (of 1 mm) are none.
SPECK_VOXELS = 100

Dseg = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Head:
    """A head as labels: 1 mm voxels, RAS axes; voxel ``(i, j, k)`` lies at ``(i, j, k)`` mm.

    ``dseg`` holds FreeSurfer ids in the brain and ids of 500 and more for other tissue.
    """

    dseg: Dseg

    @property
    def brain(self) -> npt.NDArray[np.bool_]:
        """Brain with its CSF."""
        return is_brain(self.dseg)


def is_brain(dseg: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Voxels of the brain and its CSF (not of skull, scalp or air)."""
    return (dseg > 0) & ~((dseg >= 500) & (dseg <= LAST_EXTRACEREBRAL))


def read_head(path: Path) -> Head:
    """Read a FreeSurfer-numbered head of 1 mm voxels, in any orientation.

    Raises
    ------
    DataError
        The file cannot be read, or is none.
    """
    read = read_labels(path)
    image = nib.as_closest_canonical(nib.Nifti1Image(read.data, read.affine))
    if not np.allclose(image.header.get_zooms()[:3], 1.0, atol=0.05):
        raise DataError(f"{path} has other than 1 mm voxels; resample it, labels unmixed")
    if not np.isin(image.dataobj, ids(structure="cerebral-wm")).any():
        raise DataError(
            f"{path} has no cerebral white matter; a label map in FreeSurfer's numbers is needed"
        )
    return Head(without_spine(without_specks(np.asarray(image.dataobj).astype(np.int16))))


def without_specks(dseg: Dseg) -> Dseg:
    """Give small pieces of air inside a head the label of what lies around them.

    They are gaps of the segmentation; at 9.2 ppm a single voxel would look like a large microbleed.
    """
    specks = np.zeros(dseg.shape, np.bool_)
    for air in (0, SINUS):
        pieces, _ = ndimage.label(dseg == air)
        sizes = np.bincount(pieces.ravel())
        specks |= (sizes < SPECK_VOXELS)[pieces] & (dseg == air)
    nearest = ndimage.distance_transform_edt(specks, return_distances=False, return_indices=True)
    filled: Dseg = dseg[tuple(nearest)]
    return filled


def without_spine(dseg: Dseg) -> Dseg:
    """Give the fluid below the brainstem and the cerebellum, and stray pieces, the id of fluid.

    Head label maps number the spinal canal, and specks in face and neck, as CSF of the brain.
    """
    brain = is_brain(dseg)
    floor = np.isin(dseg, ids(region="brainstem") + ids(region="cerebellum")).any(axis=(0, 1))
    # Without either, argmax is 0: nothing is below.
    above = np.arange(dseg.shape[2]) >= floor.argmax()
    return np.where(brain & ~largest_piece(brain & above), np.int16(FLUID), dseg)


def atlas_head() -> Head:
    """The packaged MNI152 atlas with CSF, skull and scalp grown around the brain."""
    atlas = load_atlas()
    image = nib.as_closest_canonical(nib.Nifti1Image(atlas.data.astype(np.int16), atlas.affine))
    dseg = np.pad(np.asarray(image.dataobj), 24)
    brain = ndimage.binary_closing(dseg > 0, iterations=6)
    brain = ndimage.binary_fill_holes(brain)
    outside = ndimage.distance_transform_edt(~ndimage.binary_dilation(brain, iterations=2))
    head = np.zeros_like(dseg)
    for limit, label in ((16.0, SKIN), (12.0, SOFT_TISSUE), (9.0, BONE)):
        head[outside <= limit] = label
    head[outside <= 1.0] = 24
    head[dseg > 0] = dseg[dseg > 0]
    return Head(head)


def rotation(degrees: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Rotate about x, y and z, one after the other."""
    x, y, z = np.asarray(degrees, float)
    # The sense of the second angle keeps seeded datasets what they have been.
    matrix: npt.NDArray[np.float64] = Rotation.from_euler(
        "XYZ", (x, -y, z), degrees=True
    ).as_matrix()
    return matrix


def deform(head: Head, rng: np.random.Generator, strength: float = 1.0) -> Head:
    """A new anatomy: another size, pose and shape of the same head.

    Parameters
    ----------
    head
        Label map, 1 mm; it stays as it is.
    rng
        Draws size, pose, shape, and whether left and right are swapped.
    strength
        Scales all of it; 1 means rotations of about 6 degrees, sizes of +-10 % and local shifts
        of about 3 mm.
    """
    import torch
    import torch.nn.functional as F

    shape = head.dseg.shape
    axes = [torch.arange(n, dtype=torch.float32) for n in shape]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    center = torch.from_numpy(np.argwhere(head.brain).mean(axis=0).astype(np.float32))
    matrix = torch.from_numpy(rotation(rng.normal(0, 6 * strength, 3)).astype(np.float32))
    scale = torch.from_numpy((1 + rng.uniform(-0.1, 0.1, 3) * strength).astype(np.float32))
    knots = torch.from_numpy(rng.normal(0, 3 * strength, (1, 3, 7, 7, 7)).astype(np.float32))
    shift = F.interpolate(knots, shape, mode="trilinear", align_corners=True)[0]
    moved = (points - center) @ (matrix * scale).T + center + shift.permute(1, 2, 3, 0)
    grid = (moved / (torch.tensor(shape) - 1) * 2 - 1).flip(-1)[None]
    labels = torch.from_numpy(head.dseg.astype(np.float32))[None, None]
    found = F.grid_sample(labels, grid, mode="nearest", align_corners=True)[0, 0]
    deformed = Head(found.round().numpy().astype(np.int16))
    return _flip(deformed) if rng.random() < 0.5 else deformed


def _flip(head: Head) -> Head:
    """Mirror left and right, exchanging the labels of the two sides."""
    return Head(mirror_lookup()[head.dseg[::-1]].astype(np.int16))
