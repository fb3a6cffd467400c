"""Where a point that a reader clicked lies: class, MARS region, side, and its place in MNI152."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from nibabel.affines import voxel_sizes

from cmb_bidsapp.anatomy.standard import Field, read_field, voxels_at
from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.images import UNREADABLE, read_labels
from cmb_bidsapp.core.arrays import Volume
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.lesions.candidates import REGION_REACH_MM, measure
from cmb_bidsapp.lesions.lesion import Point


@dataclass(frozen=True)
class LesionPlaces:
    """The regions of one session, and its way to MNI152 where there is one."""

    mars: Volume[np.integer]
    to_standard: Field | None

    @classmethod
    def of(cls, files: SessionFiles) -> LesionPlaces:
        """Read them.

        Raises
        ------
        ValueError
            There is no readable ``*_desc-mars_dseg``.
        """
        try:
            mars = read_labels(files.mars)
            way = read_field(files.to_standard) if files.to_standard.exists() else None
        except (DataError, *UNREADABLE) as error:
            raise ValueError(f"the regions cannot be read ({error})") from error
        return cls(mars, way)

    def voxel(self, point: Point) -> npt.NDArray[np.intp] | None:
        """The voxel around a point (world, mm); ``None`` outside the image."""
        here = np.rint(voxels_at(np.array(point), self.mars.affine)).astype(np.intp)
        return here if (here >= 0).all() and (here < self.mars.data.shape).all() else None

    def look_up(self, point: Point) -> dict[str, Any]:
        """Fields of a lesion that its place decides, as for one of a single voxel.

        Parameters
        ----------
        point
            World coordinates of the T2*w (mm), inside the image.
        """
        here = self.voxel(point)
        assert here is not None
        margin = np.ceil(REGION_REACH_MM / voxel_sizes(self.mars.affine)).astype(np.intp)
        start = np.maximum(here - margin, 0)
        window = tuple(map(slice, start, here + margin + 1))
        mars = self.mars.data[window]
        alone, dark = np.zeros(mars.shape, np.uint8), np.zeros(mars.shape, np.float32)
        alone[tuple(here - start)] = 1
        (found,) = measure(alone, dark, dark, mars, self.mars.affine)
        fields: dict[str, Any] = {
            name: getattr(found, name) for name in ("region", "mars_region", "side", "border")
        }
        if self.to_standard is not None:
            there = self.to_standard(np.array([point]))[0]
            fields |= {f"mni_{axis}": float(mm) for axis, mm in zip("xyz", there, strict=True)}
        return fields
