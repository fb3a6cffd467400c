"""What is true of a simulated scan, as a rater would have drawn it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from nibabel.affines import apply_affine
from scipy import ndimage

from cmb_bidsapp.anatomy.proxy import UNNAMED_LOBE
from cmb_bidsapp.core.arrays import Affine, Image
from cmb_bidsapp.core.labels import MARS_LOOK, MARS_NAMES, MIMICS, PROXY_COLORS, PROXY_NAMES, SIDES
from cmb_bidsapp.simulate.physics import Source

#: A voxel belongs to a microbleed where the lesion takes at least this share of the magnitude ...
LESION_LOSS = 0.15
#: ... and a lesion is visible where it takes this share somewhere and is as large in plane as this:
#: the faintest and the smallest that raters of real scans mark.
VISIBLE_LOSS, VISIBLE_DIAMETER_MM = 0.28, 1.7
#: How far from its center a lesion may show, mm (half a thick slice, and the lobes of its field).
NEAR_MM = 2.0

_WORLD = {"Description": "Center in world coordinates of the T2*w image", "Units": "mm"}
LESION_COLUMNS: dict[str, dict[str, Any]] = {
    "lesion_id": {"Description": "Value of the lesion in the instance dseg; n/a if not visible"},
    "source": {"Description": "Number of the microbleed, the same in all sessions"},
    **dict.fromkeys("xyz", _WORLD),
    "chi": {"Description": "Susceptibility relative to water", "Units": "ppm"},
    "true_diameter": {
        "Description": "Diameter of a sphere with the volume of the source",
        "Units": "mm",
    },
    "apparent_diameter": {
        "Description": "Diameter of a disk with the area of the largest cross-section in the mask",
        "Units": "mm",
    },
    "volume": {"Description": "Volume of the lesion in the mask", "Units": "mm3"},
    "region": {"Description": "Proxy class at the center"},
    "mars_region": {"Description": "MARS region at the center; n/a if the label map has none"},
    "side": {"Description": "Hemisphere that contains the center"},
    "visible": {
        "Description": "Whether the lesion exceeds the visibility threshold; otherwise it is in "
        "the ignore mask"
    },
}
MIMIC_COLUMNS: dict[str, dict[str, Any]] = {
    "kind": {"Description": "Kind of mimic: " + " or ".join(MIMICS.values())},
    **dict.fromkeys("xyz", _WORLD),
    "chi": {"Description": "Susceptibility relative to water", "Units": "ppm"},
    "diameter": {
        "Description": "Diameter of the calcification, or caliber of the vein",
        "Units": "mm",
    },
}
#: Names and colors of the MARS map: label maps without cortical parcels know no lobes.
MARS_TRUTH_LOOK = MappingProxyType(
    {
        **MARS_LOOK,
        **{side + UNNAMED_LOBE: (f"{name}-lobar", PROXY_COLORS[1]) for side, name in SIDES.items()},
    }
)
#: Names and colors of the values of the mimics dseg.
MIMIC_LOOK = MappingProxyType(
    {
        number: (kind, color)
        for (number, kind), color in zip(MIMICS.items(), ("#0072b2", "#f0e442"), strict=True)
    }
)


def in_plane_diameter(mask: npt.NDArray[np.bool_], voxel: Sequence[float]) -> float:
    """Diameter (mm) of a disc as large as the largest slice of a lesion.

    Parameters
    ----------
    mask
        Shape ``(x, y, slices)``.
    voxel
        Voxel size along each axis (mm).
    """
    area = float(mask.sum(axis=(0, 1)).max()) * voxel[0] * voxel[1]
    return 2 * math.sqrt(area / math.pi)


def is_visible(mask: npt.NDArray[np.bool_], loss: Image, voxel: Sequence[float]) -> bool:
    """Whether a rater would draw a lesion.

    Parameters
    ----------
    mask
        Its voxels, shape ``(x, y, slices)``.
    loss
        Share of the noiseless magnitude that is lost, 0 to 1; same shape.
    voxel
        Voxel size along each axis (mm).
    """
    dark = bool(loss[mask].max() >= VISIBLE_LOSS)
    return dark and in_plane_diameter(mask, voxel) >= VISIBLE_DIAMETER_MM


def visible_lesions(
    loss: Image,
    brain: npt.NDArray[np.bool_],
    affine: Affine,
    centers: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.int16], list[int | None]]:
    """Masks of the lesions that a rater would draw.

    Parameters
    ----------
    loss, brain
        Share of the magnitude that lesions take, and brain mask.
    affine
        Voxel to world (mm) of their grid.
    centers
        World coordinates (mm) of the sources, shape ``(n, 3)``.

    Returns
    -------
    instances, numbers
        Visible lesions by number from 1, and the number of each source. Of sources in one lesion
        the first has the number.
    """
    pieces, _ = ndimage.label((loss >= LESION_LOSS) & brain, np.ones((3, 3, 3)))
    boxes = ndimage.find_objects(pieces)
    instances = np.zeros(loss.shape, np.int16)
    voxel = np.linalg.norm(affine[:3, :3], axis=0)
    near = np.ceil(NEAR_MM / voxel).astype(int)
    numbers: list[int | None] = []
    count = 0
    for index in voxels_of(centers, affine, loss.shape):
        numbers.append(None)
        window = tuple(slice(max(0, c - r), c + r + 1) for c, r in zip(index, near, strict=True))
        found = pieces[window]
        piece = int(found.flat[int(np.where(found > 0, loss[window], 0).argmax())])
        if not piece:
            continue
        box = boxes[piece - 1]
        mask = pieces[box] == piece
        taken = bool(instances[box][mask].any())
        if taken or not is_visible(mask, loss[box], voxel):
            continue
        count += 1
        instances[box][mask] = count
        numbers[-1] = count
    return instances, numbers


def voxels_of(
    centers: npt.NDArray[np.float64], affine: Affine, shape: tuple[int, ...]
) -> npt.NDArray[np.intp]:
    """Voxels nearest to points, moved into an image that ends before them; shape ``(n, 3)``.

    Parameters
    ----------
    centers
        World coordinates (RAS mm), shape ``(n, 3)``.
    affine
        From voxels to RAS mm.
    shape
        That of the image.
    """
    index = np.round(apply_affine(np.linalg.inv(affine), centers.reshape(-1, 3))).astype(int)
    nearest: npt.NDArray[np.intp] = np.clip(index, 0, np.array(shape) - 1)
    return nearest


def darkened(
    loss: Image,
    brain: npt.NDArray[np.bool_],
    instances: npt.NDArray[np.int16],
) -> npt.NDArray[np.uint8]:
    """Voxels that are darkened, but belong to no visible lesion and touch none.

    Parameters
    ----------
    loss
        Share of the noiseless magnitude that microbleeds take away, 0 to 1.
    brain
        Same shape.
    instances
        Visible lesions by number, 0 elsewhere; same shape.
    """
    faint = (loss >= LESION_LOSS / 2) & brain & ~ndimage.binary_dilation(instances > 0)
    ignored: npt.NDArray[np.uint8] = faint.astype(np.uint8)
    return ignored


def lesion_truth(
    loss: Image,
    brain: npt.NDArray[np.uint8],
    proxy: npt.NDArray[np.uint8],
    affine: Affine,
    microbleeds: Sequence[Source],
    mars: npt.NDArray[np.uint8],
    center: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint8], list[dict[str, Any]]]:
    """Masks and table of the microbleeds.

    Parameters
    ----------
    loss, brain, proxy
        Share of the magnitude the lesions take, brain mask and proxy classes, T2*w grid.
    affine
        Voxel to world (mm) of that grid.
    microbleeds
        In head space (mm).
    mars, center
        MARS regions with their side in head space, and its point that is the world's origin.

    Returns
    -------
    instances, ignore, rows
        Visible lesions by number from 1; what is too faint to be one; one row per lesion, in the
        order of ``microbleeds``.
    """
    inside = brain > 0
    world = np.array([source.path[0] - center for source in microbleeds]).reshape(-1, 3)
    instances, numbers = visible_lesions(loss, inside, affine, world)
    voxel = np.linalg.norm(affine[:3, :3], axis=0)
    boxes = ndimage.find_objects(instances)
    rows: list[dict[str, Any]] = []
    indices = voxels_of(world, affine, loss.shape)
    for order, (source, number, index) in enumerate(
        zip(microbleeds, numbers, indices, strict=True), 1
    ):
        row = {
            "lesion_id": number,
            "source": order,
            **dict(zip("xyz", world[order - 1].tolist(), strict=True)),
            "chi": source.chi,
            "true_diameter": source.diameter,
            "apparent_diameter": None,
            "volume": None,
            "region": PROXY_NAMES[int(proxy[tuple(index)])],
            **_mars(mars, source.path[0]),
            "visible": number is not None,
        }
        if number is not None:
            mask = instances[boxes[number - 1]] == number
            row["apparent_diameter"] = in_plane_diameter(mask, voxel)
            row["volume"] = float(mask.sum()) * float(np.prod(voxel))
        rows.append(row)
    return instances, darkened(loss, inside, instances), rows


def _mars(mars: npt.NDArray[np.uint8], point: npt.NDArray[np.float64]) -> dict[str, str | None]:
    index = np.clip(np.round(point).astype(int), 0, np.array(mars.shape) - 1)
    side, number = divmod(int(mars[tuple(index)]), 100)
    return {"mars_region": MARS_NAMES.get(number), "side": SIDES.get(100 * side)}


def mimic_truth(
    mimic_loss: Mapping[str, Image], brain: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    """Voxels that a mimic darkens as a microbleed would, by the kind of mimic (from 1).

    Parameters
    ----------
    mimic_loss
        Share of the noiseless magnitude that is lost, 0 to 1, by kind of mimic.
    brain
        Not 0 inside; same shape.
    """
    mimics = np.zeros(brain.shape, np.uint8)
    for number, kind in MIMICS.items():
        mimics[(mimic_loss[kind] >= LESION_LOSS) & (brain > 0)] = number
    return mimics


def mimic_rows(mimics: Sequence[Source], center: npt.NDArray[np.float64]) -> list[dict[str, Any]]:
    """One row per mimic; see :data:`MIMIC_COLUMNS`.

    Parameters
    ----------
    mimics
        In head space (mm).
    center
        Point of head space that is the origin of the world (mm).
    """
    return [
        {
            "kind": mimic.kind,
            **dict(zip("xyz", (mimic.path.mean(axis=0) - center).tolist(), strict=True)),
            "chi": mimic.chi,
            "diameter": mimic.diameter,
        }
        for mimic in mimics
    ]
