"""FreeSurfer's transforms: from a head to standard space, from a session to its template.

World coordinates are scanner RAS (mm) of the image that FreeSurfer was given, never its
"tkregister" RAS; for ``.mgz`` files scanner RAS is what nibabel calls the affine.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmb_bidsapp.anatomy.freesurfer import LONG
from cmb_bidsapp.core.arrays import Affine
from cmb_bidsapp.core.errors import DataError

#: RAS mm to RAS mm, as FreeSurfer publishes it (FsWiki, "CoordinateSystems").
MNI305_TO_MNI152: Affine = np.array(
    [
        [0.9975, -0.0073, 0.0176, -0.0429],
        [0.0146, 1.0009, -0.0024, 1.5496],
        [-0.0130, -0.0093, 0.9971, 1.1840],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
#: No head is stretched more than this on its way to the average one.
SCALES = 0.7, 1.4

#: Where the transforms of a subject lie, and those that may lead to MNI305, best first.
TRANSFORMS = Path("mri", "transforms")
XFM, LTAS = "talairach.xfm", ("talairach.xfm.lta", "talairach.lta")

#: Kinds of matrix in an LTA file.
VOXEL_TO_VOXEL, RAS_TO_RAS = 0, 1
#: Where LTA files that end in MNI305 end, by the name of their destination.
MNI305_IMAGE = "mni305"


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
        raise DataError(
            f"{path} has an invalid transform (mirrored, flattened or not finite); rerun FreeSurfer"
        )
    scales = np.linalg.svd(matrix[:3, :3], compute_uv=False)
    if scales.min() < SCALES[0] or scales.max() > SCALES[1]:
        raise DataError(
            f"{path} scales by {scales.min():.2f} to {scales.max():.2f} (plausible: {SCALES[0]} "
            f"to {SCALES[1]}); the Talairach registration failed. Correct it or rerun it"
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
    *axes, center, size, shape = np.array(values)
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack(axes) * size
    # c_ras is where voxel shape / 2 lies, which is not the center of the field.
    affine[:3, 3] = center - affine[:3, :3] @ (shape / 2)
    if abs(np.linalg.det(affine)) < 1e-6:
        raise DataError(f"{path} is damaged: a volume has no extent")
    return affine


def transform_files(subject_dir: Path, *, to_standard: bool) -> list[Path]:
    """Files that :func:`to_template` and, for ``to_standard``, :func:`to_mni305` look at.

    Parameters
    ----------
    subject_dir
        A FreeSurfer subject.
    to_standard
        Whether the transform to MNI305 is wanted besides that of the template.
    """
    lta = _template_lta(subject_dir)
    paths = [] if lta is None else [lta]
    if to_standard:
        paths += [subject_dir / TRANSFORMS / name for name in (XFM, *LTAS)]
    return [path for path in paths if path.exists()]


def to_template(subject_dir: Path) -> Affine:
    """World of a session to world of the longitudinal template it was run in, if any (mm).

    Raises
    ------
    DataError
        As :func:`read_lta`.
    """
    lta = _template_lta(subject_dir)
    return np.eye(4) if lta is None else read_lta(lta)


def _template_lta(subject_dir: Path) -> Path | None:
    session, long, template = subject_dir.name.partition(LONG)
    if not long:
        return None
    return subject_dir.with_name(template) / TRANSFORMS / f"{session}_to_{template}.lta"


def to_mni305(subject_dir: Path) -> Affine | None:
    """Find FreeSurfer's affine from the scanner RAS of a subject's image to MNI305 (mm).

    ``talairach.xfm`` goes first. An LTA file counts where it ends in ``mni305.cor.mgz``:
    FreeSurfer's ``talairach.xfm.lta`` does and says the same; its ``talairach.lta`` ends in
    another atlas, many mm away, but FastSurfer's is a link to ``talairach.xfm.lta``. A
    longitudinal run goes by its template.

    Raises
    ------
    DataError
        As :func:`read_xfm` and :func:`read_lta`.
    """
    found = _talairach(subject_dir / TRANSFORMS)
    return None if found is None else found @ to_template(subject_dir)


def _talairach(folder: Path) -> Affine | None:
    xfm = folder / XFM
    if xfm.exists() or xfm.is_symlink():
        return read_xfm(xfm)
    for name in LTAS:
        if (folder / name).exists():
            lta = _read_lta(folder / name)
            if MNI305_IMAGE in Path(lta.destination).name:
                return _checked(lta.matrix, folder / name)
    return None
