"""From a head to standard space: FreeSurfer's Talairach transform, or the structures themselves.

World coordinates are scanner RAS (mm) of the image that FreeSurfer was given, never its
"tkregister" RAS; for ``.mgz`` files scanner RAS is what nibabel calls the affine.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.anatomy.atlas import load_atlas
from cmb_bidsapp.labels import table
from cmb_bidsapp.preprocess.resampling import Affine
from cmb_bidsapp.runtime.errors import DataError

#: RAS mm to RAS mm, as FreeSurfer publishes it (FsWiki, "CoordinateSystems").
MNI305_TO_MNI152: Affine = np.array(
    [
        [0.9975, -0.0073, 0.0176, -0.0429],
        [0.0146, 1.0009, -0.0024, 1.5496],
        [-0.0130, -0.0093, 0.9971, 1.1840],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
#: The way back. FreeSurfer publishes this inverse rounded to four digits, 2 micrometres away.
MNI152_TO_MNI305: Affine = np.linalg.inv(MNI305_TO_MNI152).astype(np.float64)
#: No head is stretched more than this on its way to the average one.
SCALES = 0.7, 1.4

#: Kinds of matrix in an LTA file.
VOXEL_TO_VOXEL, RAS_TO_RAS = 0, 1
#: Where LTA files that end in MNI305 end, by the name of their destination.
MNI305_IMAGE = "mni305"

#: What age and disease widen is no landmark.
FLUID = ("csf", "lateral-ventricle", "third-ventricle", "fourth-ventricle")
#: A cortical area's centre counts this much against that of any other structure: fitted to the
#: atlas, a FreeSurfer subject's areas are 3.6 mm off, the rest 1.5 mm (their squares' ratio: 0.17).
AREA_WEIGHT = 0.2
#: Structures this many times farther off than the median one are dropped.
OUTLIER = 3.0
#: An affine has 12 unknowns, 3 of them per structure; fewer structures than this are no basis.
LEAST_STRUCTURES = 8


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError as error:
        hint = (
            f"is not fetched; run: datalad get {path.name}" if path.is_symlink() else "is not there"
        )
        raise DataError(f"{path} {hint}") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from error


def _numbers(text: str, path: Path) -> list[float]:
    try:
        return [float(word) for word in text.split()]
    except ValueError as error:
        raise DataError(f"{path} is damaged: {error}") from error


def _checked(matrix: Affine, path: Path) -> Affine:
    """Refuse what maps no head to an average head."""
    if not np.isfinite(matrix).all() or np.linalg.det(matrix[:3, :3]) <= 0:
        raise DataError(f"{path} mirrors, flattens or is not finite; run FreeSurfer again")
    scales = np.linalg.svd(matrix[:3, :3], compute_uv=False)
    if scales.min() < SCALES[0] or scales.max() > SCALES[1]:
        raise DataError(
            f"{path} scales by {scales.min():.2f} to {scales.max():.2f}, a head by {SCALES[0]} to "
            f"{SCALES[1]}; the Talairach registration failed, correct it or run it again"
        )
    return matrix


def read_xfm(path: Path) -> Affine:
    """Read FreeSurfer's ``talairach.xfm``: scanner RAS of ``orig.mgz`` to MNI305 (mm).

    Returns
    -------
    matrix
        Shape ``(4, 4)``.

    Raises
    ------
    DataError
        The file is missing, is no MINC text with one linear transform, mirrors, or scales by
        less than 0.7 or more than 1.4.
    """
    # A comment runs from % to the end of its line.
    lines = [line.partition("%")[0] for line in _read_text(path).splitlines()]
    parts = "\n".join(lines).split("Linear_Transform")
    if len(parts) != 2:
        raise DataError(f"{path} has {len(parts) - 1} linear transforms; one is needed")
    _, equals, rest = parts[1].partition("=")
    values, semicolon, _ = rest.partition(";")
    numbers = _numbers(values, path)
    if not equals or not semicolon or len(numbers) != 12:
        raise DataError(f"{path} is damaged: its transform is not three rows of four, closed by ;")
    return _checked(np.vstack([np.reshape(numbers, (3, 4)), [0, 0, 0, 1]]), path)


@dataclass(frozen=True)
class _Lta:
    matrix: Affine
    destination: str


def read_lta(path: Path) -> Affine:
    """Read a FreeSurfer LTA file as a map of world coordinates.

    Returns
    -------
    matrix
        Scanner RAS of the source to scanner RAS of the destination (mm), shape ``(4, 4)``.

    Raises
    ------
    DataError
        The file is missing or damaged, holds other than one transform, is neither of type 0
        (voxel to voxel) nor 1 (RAS to RAS), lacks the geometry that type 0 needs, or is not
        invertible.
    """
    return _read_lta(path).matrix


def _read_lta(path: Path) -> _Lta:
    # Values by block: the transform's own ("") and those of the two volumes.
    blocks: dict[str, dict[str, str]] = {"": {}}
    block, rows = "", []
    for line in _read_text(path).splitlines():
        # Only file names may hold a #.
        bare = line.strip() if line.startswith("filename") else line.partition("#")[0].strip()
        key, equals, value = (part.strip() for part in bare.partition("="))
        if equals:
            blocks[block][key] = value
        elif bare.endswith("volume info"):
            block = bare
            blocks[block] = {}
        elif bare and not block:
            rows.append(bare)
    kind, count = blocks[""].get("type"), blocks[""].get("nxforms")
    if kind not in (str(VOXEL_TO_VOXEL), str(RAS_TO_RAS)) or count != "1":
        raise DataError(
            f"{path} has type {kind} and {count} transforms; one of type 0 or 1 is needed"
        )
    numbers = _numbers(" ".join(rows[1:]), path)
    if rows[:1] != ["1 4 4"] or len(numbers) != 16:
        raise DataError(f"{path} is damaged: it holds no matrix of 4 by 4")
    matrix = np.reshape(numbers, (4, 4))
    if int(kind) == VOXEL_TO_VOXEL:
        source, target = (_world(blocks.get(f"{s} volume info", {}), path) for s in ("src", "dst"))
        matrix = target @ matrix @ np.linalg.inv(source)
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-6:
        raise DataError(f"{path} is damaged: its matrix has no inverse")
    return _Lta(matrix, blocks.get("dst volume info", {}).get("filename", ""))


def _world(volume: dict[str, str], path: Path) -> Affine:
    """Voxel to scanner RAS (mm) of a volume that an LTA file describes."""
    keys = ("xras", "yras", "zras", "cras", "voxelsize", "volume")
    if not volume.get("valid", "").startswith("1") or not all(key in volume for key in keys):
        raise DataError(f"{path} lacks the geometry of its volumes; write it again by lta_convert")
    values = [_numbers(volume[key], path) for key in keys]
    if any(len(value) != 3 for value in values):
        raise DataError(f"{path} is damaged: a volume's geometry is not in threes")
    *axes, centre, size, shape = np.array(values)
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack(axes) * size
    # c_ras is where voxel shape / 2 lies, which is not the centre of the field.
    affine[:3, 3] = centre - affine[:3, :3] @ (shape / 2)
    if abs(np.linalg.det(affine)) < 1e-6:
        raise DataError(f"{path} is damaged: a volume has no extent")
    return affine


def to_mni305(subject_dir: Path) -> Affine | None:
    """Find FreeSurfer's affine from a subject's scanner RAS to MNI305 (mm).

    ``talairach.xfm`` goes first. An LTA file counts where it ends in ``mni305.cor.mgz``:
    FreeSurfer's ``talairach.xfm.lta`` does and says the same; its ``talairach.lta`` ends in
    another atlas, many mm away, but FastSurfer's is a link to ``talairach.xfm.lta``.

    Raises
    ------
    DataError
        As :func:`read_xfm` and :func:`read_lta`.
    """
    folder = subject_dir / "mri" / "transforms"
    xfm = folder / "talairach.xfm"
    if xfm.exists() or xfm.is_symlink():
        return read_xfm(xfm)
    for name in ("talairach.xfm.lta", "talairach.lta"):
        if (folder / name).exists():
            lta = _read_lta(folder / name)
            if MNI305_IMAGE in Path(lta.destination).name:
                return _checked(lta.matrix, folder / name)
    return None


def affine_by_structures(dseg: npt.NDArray[np.integer], affine: Affine) -> Affine:
    """Affine from a head to MNI152, by the centres of the structures it shares with the atlas.

    For parcellations that come without a Talairach transform.

    Parameters
    ----------
    dseg, affine
        FreeSurfer ids, shape ``(x, y, z)``, and voxel-to-world (RAS mm).

    Returns
    -------
    matrix
        World coordinates of the head to MNI152 (RAS mm), shape ``(4, 4)``. Weighted least
        squares; structures far off are dropped once.

    Raises
    ------
    DataError
        Fewer than 8 structures are shared.
    """
    atlas = load_atlas()
    reference = atlas.dseg
    areas = _areas()
    if not np.isin(dseg, areas).any():
        # Without named areas the whole cortex of a side is one structure.
        reference = np.where(
            np.isin(reference, areas), np.where(reference < 2000, 3, 42), reference
        )
    head, standard = _centres(dseg, affine), _centres(reference, atlas.affine)
    shared = sorted(head.keys() & standard.keys())
    if len(shared) < LEAST_STRUCTURES:
        raise DataError(
            f"the parcellation shares {len(shared)} structures with the atlas; are its ids "
            "FreeSurfer's, and is it a whole head?"
        )
    points = np.array([[*head[index], 1.0] for index in shared])
    targets = np.array([standard[index] for index in shared])
    root = np.sqrt([AREA_WEIGHT if index in areas else 1.0 for index in shared])[:, None]
    solution = np.linalg.lstsq(points * root, targets * root)[0]
    off = np.linalg.norm((points @ solution - targets) * root, axis=1)
    root[off > OUTLIER * np.median(off)] = 0
    solution = np.linalg.lstsq(points * root, targets * root)[0]
    return np.vstack([solution.T, [0, 0, 0, 1]])


def _areas() -> tuple[int, ...]:
    """Ids of the named cortical areas."""
    return tuple(
        label.index
        for label in table().values()
        if label.structure == "cerebral-cortex" and label.region != "cortex"
    )


def _centres(dseg: npt.NDArray[np.integer], affine: Affine) -> dict[int, npt.NDArray[np.float64]]:
    """Centre of mass (RAS mm) of every structure that makes a landmark."""
    landmarks = [
        label.index
        for label in table().values()
        if label.structure not in FLUID
        and not label.name.endswith("unknown")
        and (label.side != "n/a" or label.region in ("brainstem", "corpus-callosum"))
    ]
    voxels = np.argwhere(np.isin(dseg, landmarks))
    values = dseg[tuple(voxels.T)]
    count = np.bincount(values)
    sums = np.stack([np.bincount(values, axis) for axis in voxels.T], axis=1)
    return {
        int(index): affine[:3, :3] @ (sums[index] / count[index]) + affine[:3, 3]
        for index in np.flatnonzero(count)
    }
