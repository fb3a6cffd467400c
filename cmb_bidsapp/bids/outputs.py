"""Names, sidecars and atomic writes of BIDS files."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from cmb_bidsapp.bids.text import read_json
from cmb_bidsapp.core.errors import naming

#: Forms of a header that put the far corner of an image this near (mm) say the same.
SAME_PLACE_MM = 0.1

#: Begins the name of a file that is being written.
PARTIAL = ".partial-"

#: The user's umask. It can be read only by changing it, which no thread may do beside another.
UMASK = os.umask(0)
os.umask(UMASK)

#: Order of entities in a file name (BIDS specification, appendix "Entities").
ENTITY_ORDER = (
    "sub",
    "ses",
    "acq",
    "ce",
    "rec",
    "dir",
    "run",
    "echo",
    "part",
    "from",
    "to",
    "mode",
    "space",
    "res",
    "label",
    "desc",
)


def bids_name(entities: Mapping[str, str | None], suffix: str, extension: str) -> str:
    """Build a file name, entities in the order of the specification; ``None`` leaves one out.

    Parameters
    ----------
    entities
        Label by short name, in any order.
    suffix
        BIDS suffix.
    extension
        With its point.

    >>> bids_name({"desc": "brain", "sub": "01", "ses": None}, "mask", ".nii.gz")
    'sub-01_desc-brain_mask.nii.gz'
    """
    unknown = set(entities) - set(ENTITY_ORDER)
    if unknown:
        raise ValueError(f"unknown entities: {', '.join(sorted(unknown))}")
    parts = [f"{key}-{entities[key]}" for key in ENTITY_ORDER if entities.get(key) is not None]
    return "_".join([*parts, suffix]) + extension


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a path beside ``path`` to write to; on success it takes the name ``path``.

    A reader sees the old file, none, or the whole new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The extension stays last: writers such as nibabel choose their format by it.
    handle, name = tempfile.mkstemp(prefix=PARTIAL, suffix=f"-{path.name}", dir=path.parent)
    os.close(handle)
    beside = Path(name)
    try:
        with naming(path):
            yield beside
            with beside.open("rb") as stream:
                os.fsync(stream.fileno())
        # mkstemp makes private files; outputs follow the user's umask.
        beside.chmod(0o666 & ~UMASK)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically.

    Parameters
    ----------
    path
        File to write; missing folders above it are made.
    text
        Whole content of the file.
    """
    with atomic(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Mapping[str, Any] | Sequence[Any]) -> None:
    """Write JSON atomically, two spaces a level.

    Parameters
    ----------
    path
        File to write; missing folders above it are made.
    content
        Value that JSON can hold.
    """
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def sidecar_of(path: Path) -> Path:
    """The JSON beside a NIfTI or TSV file."""
    return path.with_name(path.name.removesuffix(".gz").rsplit(".", 1)[0] + ".json")


def remove(path: Path) -> None:
    """Remove what an earlier run wrote and this one does not, with its dictionary or sidecar."""
    path.unlink(missing_ok=True)
    sidecar_of(path).unlink(missing_ok=True)


def read_sidecar(path: Path) -> dict[str, Any]:
    """Content of the JSON beside a file; empty where there is none.

    Raises
    ------
    ValueError
        It is damaged.
    """
    sidecar = sidecar_of(path)
    try:
        return read_json(sidecar)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ValueError(f"{sidecar.name} is damaged ({error})") from error


def write_image(
    path: Path,
    data: npt.NDArray[Any],
    affine: npt.NDArray[np.float64],
    sidecar: Mapping[str, Any] | None = None,
) -> None:
    """Write a NIfTI (mm; sform and qform with code 1, scanner) and its sidecar, atomically.

    A qform cannot hold a shear: one that says anything else than the sform gets code 0, unknown.

    Parameters
    ----------
    path
        NIfTI file.
    data
        Shape ``(x, y, z)`` or more; its type is that of the file.
    affine
        From voxels to RAS mm.
    sidecar
        Content of the JSON file beside it; ``None``: there is none.
    """
    image = nib.Nifti1Image(data, affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    corner = np.array([*data.shape[:3], 1.0])
    if np.linalg.norm((image.header.get_qform() - affine) @ corner) > SAME_PLACE_MM:
        image.header["qform_code"] = 0
    image.header.set_xyzt_units("mm")
    with atomic(path) as beside:
        nib.save(image, beside)
    if sidecar is not None:
        write_json(sidecar_of(path), sidecar)
