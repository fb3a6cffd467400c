"""What the group level reads of a session, one session at a time: memory does not grow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import read_table
from cmb_bidsapp.runtime.stamps import read_stamp

#: A row of a table as it was read.
Row = Mapping[str, str]

#: Whose decisions a count rests on, where no reader has looked.
ALGORITHM = "algorithm"

NEEDED = frozenset({"status", "grade", "region", "border"})


@dataclass(frozen=True)
class Record:
    """The lesion table of one session, how it was acquired, and who decided.

    Attributes
    ----------
    lesions
        Rows of ``*_label-CMB_lesions.tsv``.
    protocol
        ``sequence``, ``field_strength`` (T), ``echo_time`` (s), ``slice_distance`` (mm).
    source
        ``algorithm``, or the readers whose decisions are in ``lesions``.
    """

    files: SessionFiles
    lesions: tuple[Row, ...]
    protocol: Mapping[str, Any]
    source: str = ALGORITHM


@dataclass(frozen=True)
class Problem:
    """A session that could not be read, and why."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def records(out_dir: Path) -> Iterator[Record | Problem]:
    """Read the sessions below an output folder, in the order of their names."""
    for path in sorted(out_dir.glob("sub-*/**/anat/sub-*_label-CMB_lesions.tsv")):
        found = re.match(r"sub-([^_]+)(?:_ses-([^_]+))?_", path.name)
        if found is None:
            yield Problem(path, "the name has no participant")
            continue
        try:
            yield read_record(SessionFiles(out_dir, found.group(1), found.group(2)))
        except (OSError, ValueError) as error:
            yield Problem(path, str(error))


def read_record(files: SessionFiles) -> Record:
    """Read one session.

    Raises
    ------
    OSError, ValueError
        The table cannot be read, or is none.
    """
    rows = read_table(files.lesions, NEEDED)
    stamp = read_stamp(files.stamp("finish"))
    info = stamp.info if stamp else {}
    protocol = {
        "sequence": info.get("sequence"),
        "field_strength": info.get("field_t"),
        "echo_time": info.get("echo_s"),
        "slice_distance": max(info["voxel_mm"]) if info.get("voxel_mm") else None,
    }
    return Record(files, tuple(rows), protocol)
