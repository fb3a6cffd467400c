"""Between a head and MNI152: where its points lie there, and back.

MNI152 is that of the packaged atlas, :data:`cmb_bidsapp.core.labels.STANDARD_SPACE`. World
coordinates are RAS mm on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.affines import apply_affine
from scipy import ndimage

from cmb_bidsapp.bids.images import read_derivative
from cmb_bidsapp.core.arrays import Affine, Image, Points, Volume
from cmb_bidsapp.preprocess.ants import FLIP, read_linear
from cmb_bidsapp.preprocess.resampling import IDENTITY, Grid, isotropic_grid

#: Voxels of a field that is stored: the deformation is smoother than that.
FIELD_MM = 4.0


@dataclass(frozen=True)
class Field:
    """Where the points of one space lie in another.

    Attributes
    ----------
    displacement
        Shape ``(x, y, z, 3)``, RAS mm, to be added to a point's coordinates.
    grid
        Its voxels, in the space the points come from.
    """

    displacement: Image
    grid: Grid

    def __call__(self, points: Points) -> Points:
        """Map points.

        Parameters
        ----------
        points
            Shape ``(n, ..., 3)``; beyond the grid the displacement of its edge holds.
        """
        voxels = voxels_at(points, self.grid.affine)
        moved = [
            ndimage.map_coordinates(self.displacement[..., axis], voxels, order=1, mode="nearest")
            for axis in range(3)
        ]
        there: Points = points + np.stack(moved, axis=-1)
        return there

    def between(self, grid: Grid, before: Affine = IDENTITY, after: Affine = IDENTITY) -> Field:
        """Sample the field, between two linear transforms, on another grid of coarse voxels.

        Parameters
        ----------
        grid
            Whose points are mapped.
        before, after
            World coordinates (mm) of the grid to those of the field's own grid, and of where the
            field leads to those that are wanted.
        """
        coarse = isotropic_grid(grid, FIELD_MM)
        points = centers(coarse)
        there = apply_affine(after, self(apply_affine(before, points)))
        return Field((there - points).astype(np.float32), coarse)


@dataclass(frozen=True)
class StandardTransforms:
    """Both ways between a head and MNI152."""

    to_standard: Field
    from_standard: Field

    @classmethod
    def of_ants(cls, warp: Path, linear: Path, inverse_warp: Path) -> StandardTransforms:
        """Make them of what SyN leaves: it bends first, then moves the head's points to MNI152.

        Parameters
        ----------
        warp, inverse_warp
            Displacement fields (``1Warp.nii.gz``, ``1InverseWarp.nii.gz``).
        linear
            Affine part (``0GenericAffine.mat``).
        """
        matrix = read_linear(linear)
        bent, back = read_field(warp), read_field(inverse_warp)
        here, there = centers(bent.grid), centers(back.grid)
        moved = apply_affine(matrix, here + bent.displacement)
        returned = back(apply_affine(np.linalg.inv(matrix), there))
        return cls(
            Field((moved - here).astype(np.float32), bent.grid),
            Field((returned - there).astype(np.float32), back.grid),
        )

    def seen_from(self, grid: Grid, pull: Affine) -> StandardTransforms:
        """Carry it to another image of the head.

        Parameters
        ----------
        grid
            Voxels of that image.
        pull
            World coordinates of that image to those of the head (mm).
        """
        back: Affine = np.linalg.inv(pull).astype(np.float64)
        return StandardTransforms(
            self.to_standard.between(grid, before=pull),
            self.from_standard.between(self.from_standard.grid, after=back),
        )


def centers(grid: Grid) -> Points:
    """World coordinates of the voxel centers, shape ``(x, y, z, 3)``."""
    index = np.moveaxis(np.indices(grid.shape), 0, -1)
    points: Points = apply_affine(grid.affine, index)
    return points


def voxels_at(points: Points, affine: Affine) -> Points:
    """Array coordinates of points, as SciPy's ``map_coordinates`` wants them.

    Parameters
    ----------
    points
        World coordinates (mm), shape ``(n, ..., 3)``.
    affine
        Voxel to world of the image.

    Returns
    -------
    coordinates
        Shape ``(3, n, ...)``.
    """
    found: Points = np.moveaxis(apply_affine(np.linalg.inv(affine), points), -1, 0)
    return found


def sample(image: Volume[np.generic], points: Points) -> Image:
    """Look an image up at points, linearly; 0 beyond it.

    Parameters
    ----------
    image
        Shape ``(x, y, z)``.
    points
        World coordinates (mm), shape ``(n, ..., 3)``.
    """
    found: Image = ndimage.map_coordinates(
        image.data.astype(np.float32),
        voxels_at(points, image.affine),
        order=1,
        mode="grid-constant",
    )
    return found


def in_space(lesions: Volume[np.integer], points: Points) -> npt.NDArray[np.uint8]:
    """Mask of lesions on another grid: voxels whose center lies in one.

    Of a lesion too small for that, the voxel nearest to its center, so that none gets lost.

    Parameters
    ----------
    lesions
        By number, shape ``(x, y, z)``.
    points
        World coordinates (mm) of the other grid's voxels, shape ``(x, y, z, 3)``.
    """
    instances = lesions.data
    mask = sample(Volume(instances > 0, lesions.affine), points) >= 0.5
    for number in np.unique(instances[instances > 0]):
        center = apply_affine(lesions.affine, np.argwhere(instances == number).mean(axis=0))
        away = ((points - center) ** 2).sum(axis=-1)
        mask.flat[away.argmin()] = True
    return mask.astype(np.uint8)


def read_field(path: Path) -> Field:
    """Read a displacement field of ITK (5-D NIfTI, vectors in LPS mm).

    Raises
    ------
    DataError
        It cannot be read.
    """
    read = read_derivative(path)
    vectors = read.data[:, :, :, 0, :] * np.diag(FLIP)[:3]
    return Field(vectors.astype(np.float32), Grid(vectors.shape[:3], read.affine))


def tabulate(path: Path, grid: Grid) -> Field:
    """Displacement of any ITK transform (``.h5``, ``.mat``, ``.txt``) at the voxels of a grid.

    Parameters
    ----------
    path
        Of the transform, which takes points of the grid (LPS mm, as ITK has them).
    grid
        Where it is looked at.

    Raises
    ------
    RuntimeError
        ITK cannot read it.
    """
    import SimpleITK

    transform = SimpleITK.ReadTransform(str(path))
    lps = FLIP @ grid.affine
    field = SimpleITK.TransformToDisplacementField(
        transform,
        SimpleITK.sitkVectorFloat32,
        grid.shape,
        lps[:3, 3].tolist(),
        grid.spacing,
        (lps[:3, :3] / grid.spacing).ravel().tolist(),
    )
    vectors = SimpleITK.GetArrayFromImage(field).transpose(2, 1, 0, 3) * np.diag(FLIP)[:3]
    return Field(vectors.astype(np.float32), grid)


def write_field(field: Field, path: Path) -> None:
    """Write a field as ANTs and SimpleITK read it: it resamples images of the space it leads to.

    Parameters
    ----------
    field
        Displacements in RAS mm; the file has them in LPS mm.
    path
        NIfTI file of shape ``(x, y, z, 1, 3)``.
    """
    vectors = field.displacement * np.diag(FLIP)[:3]
    image = nib.Nifti1Image(vectors[:, :, :, None, :].astype(np.float32), field.grid.affine)
    image.header.set_intent("vector")
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
