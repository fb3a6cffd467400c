"""Voxels of a simulated scan in the head, and how finely they are divided to draw what is small."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.core.arrays import Affine, Image
from cmb_bidsapp.simulate.anatomy import Head
from cmb_bidsapp.simulate.physics import Complex, interpolation_matrix, resample
from cmb_bidsapp.simulate.protocols import ScanProtocol

#: Sources are drawn at this voxel size or finer, in plane and through plane (mm).
FINE_IN_PLANE, FINE_THROUGH_PLANE = 0.25, 0.5


@dataclass(frozen=True, kw_only=True)
class ScanGrid:
    """The T2*w voxels in head space (mm), and how finely each is subdivided."""

    origin: tuple[float, float, float]
    voxel: tuple[float, float, float]
    shape: tuple[int, int, int]
    slab: int
    """Sub-slices that are simulated per slice distance."""
    excited: int
    """Sub-slices of them, in the middle, that the slice thickness covers; the rest is gap."""
    in_plane: int
    """Subdivision of a voxel side where a source is drawn."""

    @classmethod
    def around(cls, head: Head, protocol: ScanProtocol, margin: float = 12.0) -> ScanGrid:
        """Slices that cover the brain.

        Parameters
        ----------
        head
            Its brain, 1 mm, head space.
        protocol
            Voxel size and gap (mm).
        margin
            How far (mm) the image reaches beyond the brain in plane.
        """
        inside = np.argwhere(head.brain)
        low, high = inside.min(axis=0), inside.max(axis=0)
        low = low - np.array([margin, margin, 2.0])
        high = high + np.array([margin, margin, 4.0])
        shape = np.ceil((high - low) / protocol.voxel).astype(int)
        first = low + np.array(protocol.voxel) / 2
        slab = max(1, round(protocol.voxel[2] / FINE_THROUGH_PLANE))
        gap = round(slab * protocol.gap / protocol.voxel[2])
        # Both sides of a slice lose as much.
        excited = max(1, slab - gap - (gap % 2))
        return cls(
            origin=(float(first[0]), float(first[1]), float(first[2])),
            voxel=protocol.voxel,
            shape=(int(shape[0]), int(shape[1]), int(shape[2])),
            slab=slab,
            excited=excited,
            in_plane=max(1, int(np.ceil(protocol.voxel[0] / FINE_IN_PLANE))),
        )

    def centers(self, axis: int, parts: int = 1) -> npt.NDArray[np.float64]:
        """Centers of the voxels along an axis, head space (mm); shape ``(voxels * parts,)``.

        Parameters
        ----------
        axis
            0, 1 or 2.
        parts
            How many pieces each voxel is cut into.
        """
        step = self.voxel[axis] / parts
        first = self.origin[axis] - self.voxel[axis] / 2 + step / 2
        return np.asarray(first + step * np.arange(self.shape[axis] * parts), np.float64)

    def mean_of_slices(self, fine: Complex) -> Complex:
        """Average the sub-slices of each slice that are excited."""
        import torch

        first = (self.slab - self.excited) // 2
        sub_slices = torch.from_numpy(fine).unflatten(2, (-1, self.slab))
        averaged: Complex = sub_slices[..., first : first + self.excited].mean(-1).numpy()
        return averaged

    def to_slices(self, volume: Image) -> Image:
        """Average a 1 mm head-space volume over the slab of each voxel."""
        x, y, z = self.matrices(volume.shape)
        first = (self.slab - self.excited) // 2
        sub_slices = z.reshape(-1, self.slab, volume.shape[2])
        return resample(volume, (x, y, sub_slices[:, first : first + self.excited].mean(axis=1)))

    def matrices(self, shape: tuple[int, ...]) -> tuple[Image, Image, Image]:
        """Interpolation from head space onto voxel columns and sub-slices."""
        x, y = (interpolation_matrix(shape[a], self.centers(a)) for a in (0, 1))
        return x, y, interpolation_matrix(shape[2], self.centers(2, self.slab))

    def affine(self, center: npt.NDArray[np.float64]) -> Affine:
        """Voxel to world (RAS mm); ``center`` of head space is the world's origin."""
        affine = np.diag([*self.voxel, 1.0])
        affine[:3, 3] = np.array(self.origin) - center
        return affine
