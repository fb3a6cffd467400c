"""Places of a head in which microbleeds, vessels and other lesions lie."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cmb_bidsapp.core.arrays import Mask
from cmb_bidsapp.core.labels import ids, table
from cmb_bidsapp.simulate.anatomy import Head

#: Direction through the slices.
UP = (0.0, 0.0, 1.0)


class Sites:
    """Where in a head microbleeds and their mimics may lie."""

    def __init__(self, head: Head) -> None:
        self._box = ndimage.find_objects(head.brain.astype(np.uint8))[0]
        dseg = head.dseg[self._box]
        self._offset = np.array([s.start for s in self._box], float)
        white = np.isin(dseg, ids(structure="cerebral-wm"))
        cortex = np.isin(dseg, ids(structure="cerebral-cortex"))
        fluid = np.isin(dseg, ids(structure="csf"))
        to_cortex = ndimage.distance_transform_edt(~cortex)
        ventricle = np.isin(dseg, ids(structure="lateral-ventricle"))
        to_ventricle = ndimage.distance_transform_edt(~ventricle)
        across = np.broadcast_to(np.arange(dseg.shape[0])[:, None, None], dseg.shape)
        inner = ndimage.distance_transform_edt(dseg > 0)
        named = {
            name: np.isin(dseg, [i for s in structures for i in ids(structure=s)])
            for name, structures in {
                "basal-ganglia": ("caudate", "putamen", "pallidum"),
                "thalamus": ("thalamus",),
                "striatum": ("putamen", "pallidum"),
                "cerebellum": ("cerebellar-wm", "cerebellar-cortex"),
                "brainstem": ("brainstem",),
            }.items()
        }
        masks: dict[str, Mask] = {
            "junction": (cortex & (inner > 2)) | (white & (to_cortex <= 2)),
            "subcortical": white & (to_cortex > 2),
            "sulcus": fluid & (to_cortex <= 2),
            "periventricular": white & (to_ventricle <= 3),
            # The wide parts, where the plexus hangs free.
            "choroid": ndimage.distance_transform_edt(ventricle) >= 2,
            "falx": fluid & (np.abs(across - across[cortex].mean()) <= 3),
            "left-pallidum": np.isin(dseg, _pallidum("L")),
            "right-pallidum": np.isin(dseg, _pallidum("R")),
            **named,
        }
        self._masks = masks
        self._voxels = {name: np.argwhere(mask) for name, mask in masks.items()}
        self._to_ventricle = to_ventricle

    def draw(self, site: str, rng: np.random.Generator) -> npt.NDArray[np.float64] | None:
        """A random point (mm, head space) of a site; ``None`` where the head has none.

        Parameters
        ----------
        site
            Name of a kind of place.
        rng
            Draws the point.
        """
        voxels = self._voxels[site]
        if len(voxels) == 0:
            return None
        point: npt.NDArray[np.float64] = (
            voxels[rng.integers(len(voxels))] + self._offset + rng.uniform(-0.5, 0.5, 3)
        )
        return point

    def contains(self, site: str, point: npt.NDArray[np.float64]) -> bool:
        """Whether a point lies in a site.

        Parameters
        ----------
        site
            Name of a kind of place.
        point
            Head space (mm), shape ``(3,)``.
        """
        mask = self._masks[site]
        i, j, k = np.round(point - self._offset).astype(int)
        inside = 0 <= i < mask.shape[0] and 0 <= j < mask.shape[1] and 0 <= k < mask.shape[2]
        return inside and bool(mask[i, j, k])

    def away_from_ventricle(self, point: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Direction in which the distance to the lateral ventricles grows."""
        distance = self._to_ventricle
        low = np.clip(np.round(point - self._offset).astype(int) - 2, 0, None)
        around = distance[tuple(slice(i, i + 5) for i in low)]
        slope = [float(np.diff(around, axis=axis).mean()) for axis in range(3)]
        return np.asarray(slope, np.float64)


def _pallidum(side: str) -> list[int]:
    return [x.index for x in table().values() if x.structure == "pallidum" and x.side == side]
