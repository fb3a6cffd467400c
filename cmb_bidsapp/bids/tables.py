"""Tables: TSV files with a JSON dictionary, and label images with the table of their labels."""

from __future__ import annotations

import contextlib
import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.bids.outputs import atomic, sidecar_of, write_image, write_json
from cmb_bidsapp.bids.text import open_text

#: A row of a table as it was read.
Row = Mapping[str, str]
#: What a JSON dictionary says of each column, as :func:`describe` makes it.
Columns = Mapping[str, Mapping[str, Any]]


def describe(description: str, units: str | None = None, **levels: str) -> dict[str, Any]:
    """Say in a table's JSON dictionary what a column is; in names of levels ``_`` is ``-``.

    Parameters
    ----------
    description
        What the column holds.
    units
        As BIDS writes them.
    levels
        What each of its words means.
    """
    entry: dict[str, Any] = {"Description": description}
    if units:
        entry["Units"] = units
    if levels:
        entry["Levels"] = {key.replace("_", "-"): text for key, text in levels.items()}
    return entry


IDENTITY = {
    "participant_id": describe("Participant"),
    "session_id": describe("Session, n/a where the dataset has none"),
}


def identity(participant: str, session: str | None) -> dict[str, str | None]:
    """The columns that name a session, first in every table of several.

    Parameters
    ----------
    participant
        Label without ``sub-``.
    session
        Label without ``ses-``; ``None`` where the dataset has no sessions.
    """
    return {
        "participant_id": f"sub-{participant}",
        "session_id": f"ses-{session}" if session else None,
    }


@contextlib.contextmanager
def open_table(
    path: Path,
    columns: Sequence[str],
    descriptions: Columns | None = None,
) -> Iterator[Callable[[Mapping[str, object]], None]]:
    """Open a TSV to give it row after row; no row is kept in memory.

    The table, and with ``descriptions`` its JSON dictionary, appear when the block ends; where it
    ends with an error they do not.

    Parameters
    ----------
    path
        The TSV file.
    columns
        In order.
    descriptions
        By column, as :func:`describe` makes them; ``None``: there is no dictionary.

    Yields
    ------
    add
        Takes a row by column; what is missing or not finite becomes ``n/a``.
    """
    with atomic(path) as beside, beside.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        writer.writerow(columns)
        yield lambda row: writer.writerow([cell(row.get(column)) for column in columns])
    if descriptions is not None:
        write_json(sidecar_of(path), {c: descriptions[c] for c in columns})


def write_table(
    path: Path,
    columns: Sequence[str],
    rows: Iterable[Mapping[str, object]],
    descriptions: Columns | None = None,
) -> None:
    """Write a TSV (missing values as ``n/a``) and, with ``descriptions``, its JSON dictionary.

    Parameters
    ----------
    path
        The TSV file.
    columns
        In order.
    rows
        Values by column; other keys are left out.
    descriptions
        By column, as :func:`describe` makes them; ``None``: there is no dictionary.
    """
    with open_table(path, columns, descriptions) as add:
        for row in rows:
            add(row)


def cell(value: object) -> str:
    """A value as a table has it; what is missing or not finite is ``n/a``."""
    if isinstance(value, str):
        text = value if value.isprintable() else value.translate(_BLANK)
        return f"'{text}" if _FORMULA.match(text) and not _is_number(text) else text
    if value is None or (isinstance(value, float | np.floating) and not np.isfinite(value)):
        return "n/a"
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        return f"{value:.6g}"
    return cell(str(value))


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

    Parameters
    ----------
    path
        The TSV file.
    required
        Columns that must be there.

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
    """Write labels, with the table of those that occur (name and color) beside them.

    Labels that have no name are in the image only.

    Parameters
    ----------
    path
        Of the image; the table has its name and ``.tsv``.
    labels, affine
        Label of each voxel, three axes, and their affine (RAS mm).
    look
        Name and color (``#rrggbb``) of each label.
    sidecar
        What the JSON beside the image holds.
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
