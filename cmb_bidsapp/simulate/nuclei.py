"""Iron-rich nuclei that head label maps do not name: dentate, red nucleus, substantia nigra.

They are placed by their neighbors: the dentate as a shell deep in the cerebellar white matter,
the other two as ellipsoids in the ventral diencephalon and the upper brainstem.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cmb_bidsapp.core.arrays import Mask
from cmb_bidsapp.simulate.anatomy import Dseg
from cmb_bidsapp.simulate.tissues import Tissue

NUCLEI = MappingProxyType(
    {
        "red-nucleus": Tissue(proton_density=0.74, t2star_ms=33, chi=0.100, t1w=98),
        "substantia-nigra": Tissue(proton_density=0.74, t2star_ms=30, chi=0.111, t1w=98),
        "dentate": Tissue(proton_density=0.74, t2star_ms=30, chi=0.152, t1w=100),
    }
)
#: Ventral diencephalon and cerebellar white matter of each side, and the brainstem.
VENTRAL_DC, CEREBELLAR_WM, BRAINSTEM = (28, 60), (7, 46), 16


def iron_nuclei(dseg: Dseg) -> dict[str, Mask]:
    """Masks of the nuclei of a head (1 mm voxels, RAS axes); absent neighbors, no nuclei."""
    masks = {name: np.zeros(dseg.shape, np.bool_) for name in NUCLEI}
    middle = np.argwhere(dseg == BRAINSTEM)
    if len(middle) == 0:
        return masks
    midline = float(middle[:, 0].mean())
    for label in VENTRAL_DC:
        voxels = np.argwhere(dseg == label)
        if len(voxels):
            _midbrain(dseg, label, voxels, midline, masks)
    for label in CEREBELLAR_WM:
        here = dseg == label
        if here.any():
            masks["dentate"] |= _dentate(here)
    return masks


def _midbrain(
    dseg: Dseg,
    label: int,
    voxels: npt.NDArray[np.intp],
    midline: float,
    masks: dict[str, Mask],
) -> None:
    """Red nucleus near the midline, substantia nigra a flat plate in front and to its side."""
    side = np.sign(voxels[:, 0].mean() - midline)
    low = float(np.percentile(voxels[:, 2], 30))
    center = np.array([midline + side * 4.5, float(np.percentile(voxels[:, 1], 35)), low])
    inside = (dseg == label) | (dseg == BRAINSTEM)
    red = center, np.eye(3), (2.8, 3.0, 3.5)
    turn = np.radians(40) * side
    plate = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    nigra = center + np.array([side * 4.0, 5.5, -2.0]), plate, (6.0, 1.8, 4.0)
    for name, (middle, axes, semi) in (("red-nucleus", red), ("substantia-nigra", nigra)):
        box = tuple(slice(max(0, int(c) - 8), int(c) + 9) for c in middle)
        grid = np.stack(np.meshgrid(*(np.arange(s.start, s.stop) for s in box), indexing="ij"), -1)
        grid = grid[tuple(slice(0, n) for n in inside[box].shape)]
        distance = np.linalg.norm(((grid - middle) @ axes) / semi, axis=-1)
        masks[name][box] |= (distance <= 1) & inside[box]
    masks["substantia-nigra"] &= ~masks["red-nucleus"]


def _dentate(white: Mask) -> Mask:
    """A shell of about 2 mm around the core of the cerebellar white matter of one side."""
    box = ndimage.find_objects(white.astype(np.uint8))[0]
    depth = ndimage.distance_transform_edt(np.pad(white[box], 1))[1:-1, 1:-1, 1:-1]
    core = depth >= 0.5 * depth.max()
    pieces, count = ndimage.label(core)
    if count > 1:
        core = pieces == 1 + int(np.argmax(ndimage.sum(core, pieces, range(1, count + 1))))
    shell = np.zeros(white.shape, np.bool_)
    shell[box] = core & ~ndimage.binary_erosion(core, iterations=2)
    return shell
