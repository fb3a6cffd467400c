"""Tables of dataclasses: a field is a column, its metadata what the JSON dictionary says of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import MISSING, field, fields
from enum import Enum, StrEnum
from functools import cache
from types import MappingProxyType, NoneType
from typing import Any, Literal, Self, TypeVar, cast, get_args, get_origin, get_type_hints

from cmb_bidsapp.bids.tables import cell, describe

#: What stands in a table for what is not known.
NOT_KNOWN = "n/a"

T = TypeVar("T")
#: What the values of a column mean, or what tells it when the dictionary is written.
Levels = Mapping[str, str] | Callable[[], Mapping[str, str]]
Parse = Callable[[str], object]


class Level(StrEnum):
    """A value of a column, with what it means, and the column that it depends on, if any."""

    description: str
    needs: str | None

    def __new__(cls, value: str, description: str = "", needs: str | None = None) -> Self:
        """Make the member ``value`` of that meaning."""
        member = str.__new__(cls, value)
        member._value_, member.description, member.needs = value, description, needs
        return member

    @classmethod
    def levels(cls) -> dict[str, str]:
        """All values and what they mean."""
        return {member: member.description for member in cls}


def column(
    description: str,
    units: str | None = None,
    levels: Levels = MappingProxyType({}),
    *,
    required: bool = False,
    needs: str | None = None,
) -> Any:
    """A field that is a column; unless ``required`` it is ``None`` where it is not known.

    Parameters
    ----------
    description
        What the column holds.
    units
        As BIDS writes them.
    levels
        What each of its words means.
    required
        Whether every row has it.
    needs
        Column, maybe this one, that a row must know; else the table does without this one.
    """
    told = {"description": description, "units": units, "levels": levels, "needs": needs}
    return field(metadata=told) if required else field(default=None, metadata=told)


def columns_of(of: type, rows: Sequence[object] | None = None) -> dict[str, dict[str, Any]]:
    """Columns of a dataclass in their order, with their JSON dictionary.

    Parameters
    ----------
    of
        A dataclass whose fields are columns.
    rows
        Of the table: what needs a column that none of them knows is left out. Without them, all
        columns.
    """

    def stays(needed: str | None) -> bool:
        if needed is None or rows is None:
            return True
        return any(getattr(row, needed) is not None for row in rows)

    columns = {}
    for one in fields(of):
        if not stays(one.metadata["needs"]):
            continue
        levels = one.metadata["levels"]
        every = levels() if callable(levels) else levels
        meant = {str(it): told for it, told in every.items() if stays(getattr(it, "needs", None))}
        entry = describe(one.metadata["description"], one.metadata["units"])
        columns[one.name] = entry | ({"Levels": meant} if meant else {})
    return columns


def encode(row: object) -> dict[str, str]:
    """The cells of a row, by column."""
    return {name: cell(value) for name, value in vars(row).items()}


def decode(of: type[T], row: Mapping[str, str]) -> T:
    """Make a row of its cells; columns that it lacks are not known.

    Parameters
    ----------
    of
        A dataclass whose fields are columns.
    row
        Cells as text, by column.

    Raises
    ------
    ValueError
        A cell is not what its column holds; the text says what is expected.
    """
    values, kind = {}, cast("Hashable", of)
    for name, (parse, expected, required) in _parsers(kind).items():
        given = row.get(name, NOT_KNOWN)
        if given in (NOT_KNOWN, "") and not required:
            continue
        try:
            values[name] = parse(given)
        except (KeyError, ValueError):
            raise ValueError(f"{name} {given}: expected {expected}") from None
    return of(**values)


@cache
def _parsers(of: Any) -> dict[str, tuple[Parse, str, bool]]:
    """How to read each column, what it holds in words, and whether it must be there."""
    hints = get_type_hints(of)
    return {
        one.name: (*_parser(hints[one.name], one.metadata["levels"]), one.default is MISSING)
        for one in fields(of)
    }


def _parser(hint: Any, levels: Levels) -> tuple[Parse, str]:
    known = [kind for kind in get_args(hint) if kind is not NoneType]
    kind = known[0] if NoneType in get_args(hint) else hint
    if get_origin(kind) is Literal:
        return _one_of(dict(zip(get_args(kind), get_args(kind), strict=True)))
    if kind is bool:
        return _one_of({"true": True, "false": False})
    if kind is str and isinstance(levels, Mapping) and levels:
        return _one_of({name: name for name in levels})
    if issubclass(kind, Enum):
        return kind, f"one of {', '.join(kind)}"
    return kind, {int: "a whole number", float: "a number"}.get(kind, "a text")


def _one_of(values: Mapping[str, object]) -> tuple[Parse, str]:
    return values.__getitem__, f"one of {', '.join(values)}"
