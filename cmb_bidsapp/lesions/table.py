"""The lesion table: one row per candidate, kept or rejected, read and written in this one place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import MappingProxyType

from cmb_bidsapp.bids.stamps import sha256_of
from cmb_bidsapp.bids.tables import read_table, write_table
from cmb_bidsapp.bids.typed import columns_of, decode, encode
from cmb_bidsapp.core.labels import MARS_FORM
from cmb_bidsapp.lesions.lesion import Lesion

#: Columns of ``*_label-CMB_lesions.tsv`` with their JSON dictionary.
COLUMNS = MappingProxyType(columns_of(Lesion))


def read_lesions(path: Path, required: Iterable[str] = ("status",)) -> list[Lesion]:
    """Read a lesion table.

    Parameters
    ----------
    path
        TSV file.
    required
        Columns that must be there; what others lack is ``None``.

    Raises
    ------
    OSError
        The file cannot be opened.
    ValueError
        It is no table, lacks a column, a cell is not what its column holds, or cells contradict
        each other.
    """
    lesions = [decode(Lesion, row) for row in read_table(path, required)]
    _check(lesions)
    return lesions


def _check(lesions: Sequence[Lesion]) -> None:
    """Refuse numbers that stand twice, regions that are not of their class, and no probability."""
    numbers = Counter(one.lesion_id for one in lesions if one.lesion_id is not None)
    for number, times in numbers.items():
        if times > 1 or number < 1:
            raise ValueError(f"lesion_id {number}: expected unique whole numbers from 1")
    for one in lesions:
        known = MARS_FORM.get(one.mars_region or "")
        if known is not None and one.region not in (None, known[1]):
            raise ValueError(f"mars_region {one.mars_region} is {known[1]}, not {one.region}")
        for name in ("probability_max", "probability_mean", "calibrated_probability"):
            value = getattr(one, name)
            if value is not None and not 0 <= value <= 1:
                raise ValueError(f"{name} {value:g}: expected a number from 0 to 1")


def write_lesions(path: Path, lesions: Iterable[Lesion]) -> None:
    """Write a lesion table and its JSON dictionary.

    Without any sign by the phase there is nothing of it, neither column nor reason.

    Parameters
    ----------
    path
        The TSV file; the dictionary lies beside it.
    lesions
        Candidates, kept or rejected, in the order of the rows.
    """
    rows = list(lesions)
    columns = columns_of(Lesion, rows)
    write_table(path, list(columns), map(vars, rows), columns)


def fingerprint(path: Path) -> str:
    """By which ratings know the lesion table that they were made on: its SHA-256, the beginning."""
    return sha256_of(path)[:12]


def as_written(lesion: Lesion) -> Lesion:
    """The lesion as its table tells it, with numbers of six digits.

    What is computed from lesions, here or from the table later, is the same.
    """
    return decode(Lesion, encode(lesion))
