"""Texture of real gradient-echo images, with their small vessels, for simulated brains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from cmb_bidsapp.bids.images import read_derivative
from cmb_bidsapp.core.arrays import Image
from cmb_bidsapp.simulate.anatomy import Head
from cmb_bidsapp.simulate.grid import ScanGrid
from cmb_bidsapp.simulate.physics import resample

#: Brightness is relative to that of the surroundings of this width (standard deviation, mm).
SURROUNDINGS_MM = 4.0
#: Size at which the texture appears, relative to its own, and how strong it is.
SCALE, STRENGTH = (0.8, 1.6), (0.3, 1.0)
#: The texture is no darker and no brighter than this, relative to its surroundings.
LIMITS = (0.3, 1.5)


@dataclass(frozen=True)
class Texture:
    """Relative brightness of real tissue, and its voxel size (mm)."""

    relative: Image
    voxel: tuple[float, float, float]

    @classmethod
    def of(cls, magnitude: Image, voxel: Sequence[float]) -> Texture:
        """Brightness of an image relative to the surroundings of each voxel.

        No slice of it, along any axis, is darker than the others: mirrored at the border, such a
        slice would be seen as a line.

        Parameters
        ----------
        magnitude
            Brain-extracted T2*w, arbitrary unit, shape ``(x, y, z)``.
        voxel
            Voxel size along each axis (mm).
        """
        sigma = [SURROUNDINGS_MM / size for size in voxel]
        around = ndimage.gaussian_filter(magnitude, sigma, mode="reflect")
        relative = np.clip(magnitude / np.maximum(around, 1e-6), *LIMITS)
        for others in ((1, 2), (0, 2), (0, 1)):
            relative /= relative.mean(axis=others, keepdims=True)
        x, y, z = (float(size) for size in voxel)
        return cls(relative.astype(np.float32), (x, y, z))

    def on(self, grid: ScanGrid, head: Head, rng: np.random.Generator) -> Image:
        """Texture at the sub-slices of a scan, shape ``(x, y, sub-slices)``.

        Parameters
        ----------
        grid
            Voxels of the scan.
        head
            Its brain, 1 mm, head space; outside it the texture is 1.
        rng
            Draws place, direction, size and strength. Mirrored at its borders, the image fills
            any brain.
        """
        turn = Rotation.random(random_state=rng).as_matrix() / rng.uniform(*SCALE)
        to_texture = turn / np.array(self.voxel)[:, None]
        offset = rng.uniform(0, 100, 3)
        step = np.array([grid.voxel[0], grid.voxel[1], grid.voxel[2] / grid.slab])
        shape = (*grid.shape[:2], grid.shape[2] * grid.slab)
        drawn = ndimage.affine_transform(
            self.relative, to_texture * step, offset, shape, order=1, mode="mirror"
        )
        strength = np.float32(rng.uniform(*STRENGTH))
        brain = head.brain.astype(np.float32)
        x, y, z = grid.matrices(head.dseg.shape)
        inside = resample(brain, (x, y, z)) * strength
        textured: Image = 1 + inside * (drawn - 1)
        return textured


def read_texture(path: Path) -> Texture:
    """Texture of an image file; of a 4D one, of its last volume (the latest echo)."""
    read = read_derivative(path)
    image = nib.as_closest_canonical(nib.Nifti1Image(read.data, read.affine))
    data = np.asarray(image.dataobj, np.float32)
    last = data[..., -1] if data.ndim == 4 else data
    return Texture.of(last, image.header.get_zooms()[:3])
