"""Blocks of a page: tables of text with a title, printed or shown in HTML."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cmb_bidsapp.evaluation.summary import Figure

#: A row of figures that are printed.
PrintedRow = Mapping[str, Figure | str]


@dataclass(frozen=True, kw_only=True)
class Block:
    """A table with a title and what to know about it; ``figure`` is the name of a picture."""

    title: str
    note: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    figure: str | None = None


def as_text(blocks: Iterable[Block]) -> str:
    """Blocks as plain text, columns as wide as their widest cell."""
    return "\n\n".join(
        f"{block.title}\n{block.note}\n{_grid(block.heads, block.rows)}" for block in blocks
    )


def _grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; the first to the left, the others to the right."""
    table = [heads, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(heads))]
    lines = (
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in table
    )
    return "\n".join(f"  {line}".rstrip() for line in lines)


def interval(row: PrintedRow, name: str, digits: int = 4) -> str:
    """A figure of a row with its 95 % interval, where it has one.

    Parameters
    ----------
    row
        Figures by the name of their column.
    name
        Column of the figure; ``<name>_low`` and ``<name>_high`` hold the ends of its interval.
    digits
        Digits after the point; the ends have at most 3.
    """
    value = number(row[name], digits)
    if value == "n/a":
        return value
    low, high = (number(row[f"{name}_{side}"], min(digits, 3)) for side in ("low", "high"))
    return value if "n/a" in (low, high) else f"{value} [{low}, {high}]"


def yes(value: Figure | str) -> str:
    """Yes or no; a dash where it is not known."""
    if not isinstance(value, bool):
        return "-"
    return "yes" if value else "no"


def number(value: Figure | str, digits: int) -> str:
    """A figure with so many digits; n/a where there is none.

    Parameters
    ----------
    value
        Figure; text and NaN are none.
    digits
        Digits after the point.
    """
    if value is None or isinstance(value, str) or math.isnan(value):
        return "n/a"
    return f"{value:.{digits}f}"
