"""Parcellations that others have made: reading and checking them.

All use FreeSurfer's ids. World coordinates are scanner RAS (mm), as nibabel reads them from any of
these files.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from nibabel.affines import apply_affine
from scipy import ndimage

from cmb_bidsapp.anatomy.existing import ExistingParcellation
from cmb_bidsapp.anatomy.parcellation import Parcellation
from cmb_bidsapp.anatomy.talairach import to_template
from cmb_bidsapp.anatomy.versions import with_version
from cmb_bidsapp.bids.images import read_volume
from cmb_bidsapp.core.arrays import Volume
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.core.labels import STRUCTURES, ids, table, to_structures
from cmb_bidsapp.preprocess.resampling import Grid

#: FreeSurfer's ids, those of other atlases among them, are smaller than this.
ID_LIMIT = 20_000
#: Smallest share of the labeled voxels whose ids are known; the rest are rare extras.
LEAST_KNOWN = 0.9
#: Voxels kept around the brain.
MARGIN = 3
#: Smallest share of the labeled tissue inside the brain mask. Of the right head at least 0.995
#: lay inside (five heads, masks by the anatomy network and by FreeSurfer); shifts of 10 mm left
#: 0.91 to 0.98, FreeSurfer's tkregister RAS (19 mm) 0.82 to 0.92.
LEAST_INSIDE = 0.95


def read_parcellation(found: ExistingParcellation) -> Parcellation:
    """Read and check a parcellation, cropped to the brain and 3 voxels around it.

    Returns
    -------
    parcellation
        In scanner RAS of the T1w (mm); voxels are the file's. A longitudinal run is moved from
        its template to its session. ``source`` heeds the ids, see
        :class:`~cmb_bidsapp.anatomy.existing.Telltale`; it names the version where files tell.

    Raises
    ------
    DataError
        A file is not fetched or damaged; the ids are not whole numbers or not FreeSurfer's; a
        hemisphere or its white matter is missing; ``wmparc`` has other voxels; the transform of
        a longitudinal run is missing or damaged.
    """
    read = _read_ids(found.dseg)
    dseg = read.data
    _check_hemispheres(found.dseg, dseg)
    grid = Grid.of(dseg, read.affine)
    brain = ndimage.find_objects((dseg > 0).astype(np.uint8))[0]
    box = tuple(slice(max(s.start - MARGIN, 0), s.stop + MARGIN) for s in brain)
    cropped = dseg[box].copy()
    part = grid.part(np.array([s.start for s in box]), np.array(cropped.shape))
    white = None
    if found.white is not None:
        other = _read_ids(found.white)
        if not Grid.of(other.data, other.affine).is_same_as(grid):
            raise DataError(
                f"{found.white} and {found.dseg} have different voxel grids; rerun FreeSurfer"
            )
        white = other.data[box].copy()
    way = np.eye(4) if found.subject_dir is None else to_template(found.subject_dir)
    return Parcellation(
        dseg=cropped,
        grid=Grid(part.shape, np.linalg.inv(way) @ part.affine),
        white=white,
        subject_dir=found.subject_dir,
        source=with_version(_source(found, dseg), found),
    )


def _source(found: ExistingParcellation, dseg: npt.NDArray[np.int32]) -> str:
    """Who made a parcellation, by its place and its ids."""
    if found.telltale is None:
        return found.kind
    has_any = np.isin(dseg, found.telltale.ids).any()
    return found.telltale.present if has_any else found.telltale.absent


def _read_ids(path: Path) -> Volume[np.int32]:
    """Read an image of FreeSurfer ids."""
    volume = read_volume(path)
    data = volume.data
    whole = bool(np.isfinite(data).all()) and bool((data == np.rint(data)).all())
    if not whole or data.min() < 0 or data.max() >= ID_LIMIT:
        raise DataError(
            f"{path} contains values that are not FreeSurfer labels; is it a label image?"
        )
    dseg = data.astype(np.int32)
    count = np.bincount(dseg.ravel())
    count[0] = 0
    unknown = {int(i): count[i] / count.sum() for i in np.flatnonzero(count) if i not in table()}
    if not count.any() or sum(unknown.values()) > 1 - LEAST_KNOWN:
        worst = sorted(unknown, key=lambda index: -unknown[index])[:3]
        what = ", ".join(f"{index} ({unknown[index]:.0%})" for index in worst) or "nothing"
        raise DataError(
            f"{path} is not an aseg, aparc+aseg or wmparc: it contains {what}. Destrieux "
            "parcellations (a2009s) and tissue classes are not supported"
        )
    return Volume(dseg, volume.affine)


def _check_hemispheres(path: Path, dseg: npt.NDArray[np.int32]) -> None:
    for side, word in (("L", "left"), ("R", "right")):
        white = [i for i in ids(structure="cerebral-wm") if table()[i].side == side]
        if not np.isin(dseg, white).any():
            raise DataError(f"{path} has no {word} cerebral white matter; did the run finish?")


def has_lobes(dseg: npt.NDArray[np.integer]) -> bool:
    """Whether the cortex is named by area; ``aseg`` and SynthSeg without ``--parc`` do not.

    >>> has_lobes(np.array([2, 3, 42])), has_lobes(np.array([2, 1024, 2024, 3]))
    (False, True)
    """
    cortex = ids(structure="cerebral-cortex")
    plain = ids(structure="cerebral-cortex", region="cortex")
    # A real aparc+aseg keeps a few voxels of plain cortex.
    return bool(np.isin(dseg, cortex).sum() > 2 * np.isin(dseg, plain).sum())


def check_same_head(parcellation: Parcellation, brain: Volume[np.bool_]) -> float:
    """Make sure that a parcellation lies where the brain of the T1w is.

    It finds other coordinates and heads that lie elsewhere; two heads of one size in one place
    it cannot tell apart.

    Parameters
    ----------
    parcellation
        Of another program, in FreeSurfer ids.
    brain
        Mask of the brain with its CSF.

    Returns
    -------
    inside
        Share of the labeled tissue (no CSF, which some label and others do not) that lies
        inside the mask; how much CSF the mask has does not matter.

    Raises
    ------
    DataError
        Less than 0.95 lies inside.
    """
    structures = to_structures(parcellation.dseg)
    tissue = (structures > 0) & (structures != STRUCTURES.index("csf"))
    grid = parcellation.grid
    to_mask = np.linalg.inv(brain.affine) @ grid.affine
    covered = ndimage.affine_transform(
        brain.data.astype(np.uint8), to_mask[:3, :3], to_mask[:3, 3], tissue.shape, order=0
    )
    inside = float(covered[tissue].mean())
    if inside < LEAST_INSIDE:
        center = apply_affine(grid.affine, np.argwhere(tissue).mean(axis=0))
        offset = center - apply_affine(brain.affine, np.argwhere(brain.data).mean(axis=0))
        raise DataError(
            f"the {parcellation.source} parcellation does not match this T1w: {inside:.1%} of it "
            f"is inside the brain, and its center is {np.linalg.norm(offset):.0f} mm away "
            f"({', '.join(f'{mm:+.0f}' for mm in offset)} in x, y, z); check that it is from "
            "this participant and scan, and not in tkregister coordinates"
        )
    return inside
