"""Names, sidecars and atomic writes of BIDS files."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from cmb_bidsapp.bids.text import open_text

#: Forms of a header that put the far corner of an image this near (mm) say the same.
SAME_PLACE_MM = 0.1

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
    handle, name = tempfile.mkstemp(prefix=".partial-", suffix=f"-{path.name}", dir=path.parent)
    os.close(handle)
    beside = Path(name)
    try:
        yield beside
        with beside.open("rb") as stream:
            os.fsync(stream.fileno())
        # mkstemp makes private files; outputs follow the user's umask.
        umask = os.umask(0)
        os.umask(umask)
        beside.chmod(0o666 & ~umask)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON atomically, two spaces a level."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def sidecar_of(path: Path) -> Path:
    """The JSON beside a NIfTI or TSV file."""
    return path.with_name(path.name.removesuffix(".gz").rsplit(".", 1)[0] + ".json")


def write_image(
    path: Path,
    data: npt.NDArray[Any],
    affine: npt.NDArray[np.float64],
    sidecar: Mapping[str, Any] | None = None,
) -> None:
    """Write a NIfTI (mm; sform and qform with code 1, scanner) and its sidecar, atomically.

    A qform cannot hold a shear: one that says anything else than the sform gets code 0, unknown.
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


@contextlib.contextmanager
def open_table(
    path: Path,
    columns: Sequence[str],
    descriptions: Mapping[str, Mapping[str, Any]] | None = None,
) -> Iterator[Callable[[Mapping[str, object]], None]]:
    """Open a TSV to give it row after row; no row is kept in memory.

    The table, and with ``descriptions`` its JSON dictionary, appear when the block ends; where it
    ends with an error they do not.

    Yields
    ------
    add
        Takes a row by column; what is missing or not finite becomes ``n/a``.
    """
    with atomic(path) as beside, beside.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        writer.writerow(columns)
        yield lambda row: writer.writerow([_cell(row.get(column)) for column in columns])
    if descriptions is not None:
        write_json(sidecar_of(path), {c: descriptions[c] for c in columns})


def write_table(
    path: Path,
    columns: Sequence[str],
    rows: Iterable[Mapping[str, object]],
    descriptions: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Write a TSV (missing values as ``n/a``) and, with ``descriptions``, its JSON dictionary."""
    with open_table(path, columns, descriptions) as add:
        for row in rows:
            add(row)


def _cell(value: object) -> str:
    if isinstance(value, str):
        text = value if value.isprintable() else value.translate(_BLANK)
        return f"'{text}" if _FORMULA.match(text) and not _is_number(text) else text
    if value is None or (isinstance(value, float | np.floating) and not np.isfinite(value)):
        return "n/a"
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        return f"{value:.6g}"
    return _cell(str(value))


#: Tab and ends of lines, which would break a table, as blanks.
_BLANK = {9: " ", 10: " ", 13: " "}
#: What a spreadsheet would carry out. An apostrophe before it makes it text; reading takes it off.
_FORMULA = re.compile(r"'*\s*[=+@-].")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_table(path: Path, required: Iterable[str] = ()) -> list[dict[str, str]]:
    """Rows of a TSV file as text.

    Raises
    ------
    OSError
        The file cannot be opened, or is a pipe.
    ValueError
        A required column is missing, or a row is cut off.
    """
    with open_text(path) as stream:
        reader = csv.DictReader(stream, delimiter="\t")
        try:
            columns = reader.fieldnames or ()
            rows = list(reader)
        except csv.Error as error:
            raise ValueError(f"not a table ({error})") from error
    lacking = sorted(set(required) - set(columns))
    if lacking:
        raise ValueError(f"lacks {', '.join(lacking)}")
    if any(None in row.values() or None in row for row in rows):
        raise ValueError("a row does not have the columns of the header")
    for row in rows:
        row.update({k: t[1:] for k, t in row.items() if t[:1] == "'" and _FORMULA.match(t)})
    return rows


def write_dseg(
    path: Path,
    labels: npt.NDArray[np.integer],
    affine: npt.NDArray[np.float64],
    look: Mapping[int, tuple[str, str]],
    sidecar: Mapping[str, Any],
) -> list[Path]:
    """Write labels, with the table of those that occur (name and colour) beside them.

    Labels that have no name are in the image only.
    """
    write_image(path, labels, affine, sidecar)
    lut = path.with_name(path.name.replace(".nii.gz", ".tsv"))
    rows = [
        {"index": int(index), "name": look[index][0], "color": look[index][1]}
        for index in np.unique(labels)
        if index in look
    ]
    write_table(lut, ("index", "name", "color"), rows)
    return [path, lut]
