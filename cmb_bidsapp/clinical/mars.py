"""The MARS form (Gregoire et al. 2009): region by side by grade, with sub-totals and totals.

No lesion is dropped: what has no region or no side has a place of its own, so the totals add up to
the table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from cmb_bidsapp.bids.tables import describe
from cmb_bidsapp.core.labels import MARS_FORM
from cmb_bidsapp.lesions.lesion import COUNTED, UNASSIGNED, Grade, Lesion

#: Columns of the lesion table that the form is filled from.
NEEDED = frozenset({"status", "grade", "region", "mars_region", "side", "border"})
#: Groups of regions in the order of the form.
GROUPS = tuple(dict.fromkeys(group for _, group, _ in MARS_FORM.values()))
#: Sides in the order of the form, and how columns name them; the third is neither.
SIDES = MappingProxyType({"right": "right", "left": "left", UNASSIGNED: "unsided"})
SUBTOTAL, TOTAL = "sub-total", "total"

_NAMES = frozenset({*GROUPS, *MARS_FORM, UNASSIGNED})


class MarsPlace(NamedTuple):
    """Where a microbleed counts.

    Attributes
    ----------
    group
        ``infratentorial``, ``deep``, ``lobar`` or ``unassigned``.
    region
        Region of the form, or ``unassigned``.
    side
        ``right``, ``left`` or ``unassigned``.
    """

    group: str
    region: str
    side: str


@dataclass(frozen=True, kw_only=True)
class Form:
    """A filled form.

    Attributes
    ----------
    counts
        Microbleeds by place and grade.
    border
        Of these, those within 2 mm of another group.
    below_size, macro
        Kept candidates that MARS does not count.
    rejected
        Candidates that are not kept.
    """

    counts: Mapping[tuple[MarsPlace, str], int]
    border: int
    below_size: int
    macro: int
    rejected: int

    def count(
        self,
        region: str | tuple[str, ...] | None = None,
        side: str | None = None,
        grade: str | None = None,
    ) -> int:
        """Count microbleeds of regions or groups, a side and a grade, as far as given.

        ``unassigned`` is the group of lesions that are near no region.

        Parameters
        ----------
        region
            Name of a region or group, or several of them.
        side
            ``left``, ``right`` or ``unassigned``.
        grade
            ``definite`` or ``possible``.

        Raises
        ------
        ValueError
            There is no region or group of that name.
        """
        names = (region,) if isinstance(region, str) else region
        if names is not None and not _NAMES.issuperset(names):
            raise ValueError(f"{', '.join(names)}: regions are {', '.join(sorted(_NAMES))}")

        def within(place: MarsPlace) -> bool:
            if names is None or place.group in names:
                return True
            return place.region != UNASSIGNED and place.region in names

        return sum(
            number
            for (place, graded), number in self.counts.items()
            if within(place) and side in (None, place.side) and grade in (None, graded)
        )


def place_of(lesion: Lesion) -> MarsPlace:
    """Where a lesion counts; its group follows from its region where that is known."""
    side, region = lesion.side or UNASSIGNED, lesion.mars_region or UNASSIGNED
    if region in MARS_FORM:
        return MarsPlace(MARS_FORM[region][1], region, side)
    return MarsPlace(lesion.region or UNASSIGNED, UNASSIGNED, side)


def fill(lesions: Iterable[Lesion]) -> Form:
    """Fill the form of one session.

    Raises
    ------
    ValueError
        A kept lesion has no grade.
    """
    every = tuple(lesions)
    kept = [lesion for lesion in every if lesion.kept]
    counted = [(lesion, lesion.grade) for lesion in kept if lesion.grade in COUNTED]
    graded = Counter(lesion.grade for lesion in kept)
    if graded[None]:
        raise ValueError(f"grade n/a: a kept lesion needs one of {', '.join(Grade)}")
    return Form(
        counts=Counter((place_of(lesion), str(grade)) for lesion, grade in counted),
        border=sum(bool(lesion.border) for lesion, _ in counted),
        below_size=graded[Grade.BELOW_SIZE],
        macro=graded[Grade.MACRO],
        rejected=len(every) - len(kept),
    )


def _form_columns() -> dict[str, dict[str, Any]]:
    sides = {
        f"{name}_{grade}": describe(
            f"{grade} microbleeds, {f'{side} side' if side != UNASSIGNED else 'unknown side'}"
        )
        for grade in COUNTED
        for side, name in SIDES.items()
    }
    return {
        "group": describe("Group of regions, following MARS (Gregoire et al. 2009)"),
        "region": describe(
            "Region of the form; unassigned if no region is near",
            **{SUBTOTAL: "sum of the group", TOTAL: "sum of all groups"},
        ),
        "abbreviation": describe("Abbreviation of the region on the form"),
        **sides,
        **{grade: describe(f"{grade} microbleeds, any or unknown side") for grade in COUNTED},
        TOTAL: describe("definite and possible microbleeds"),
    }


#: Columns of ``*_label-CMB_mars.tsv`` with their JSON dictionary.
FORM_COLUMNS = MappingProxyType(_form_columns())


def form_rows(form: Form) -> list[dict[str, Any]]:
    """Lines of the form: regions of each group with a sub-total, unassigned, total.

    A group has a line ``unassigned`` only where some of its lesions are near none of its regions.
    """
    lines = []
    for group in GROUPS:
        regions = [region for region, (_, of, _) in MARS_FORM.items() if of == group]
        nameless = _line(form, group, UNASSIGNED)
        lines += [_line(form, group, region) for region in regions]
        lines += [nameless] if nameless[TOTAL] else []
        lines.append(_line(form, group, SUBTOTAL))
    return [*lines, _line(form, UNASSIGNED, UNASSIGNED), _line(form, TOTAL, TOTAL)]


def _line(form: Form, group: str, region: str) -> dict[str, Any]:
    cells: Counter[str] = Counter()
    for (place, grade), number in form.counts.items():
        if group == TOTAL or (group, region) in ((place.group, SUBTOTAL), place[:2]):
            cells.update({f"{SIDES[place.side]}_{grade}": number, grade: number, TOTAL: number})
    abbreviation = MARS_FORM[region][0] if region in MARS_FORM else None
    named = {"group": group, "region": region, "abbreviation": abbreviation}
    return {**named, **{column: cells[column] for column in FORM_COLUMNS if column not in named}}


#: Sums of the wide table, in the order of its columns, and what they count.
_SUMS: Mapping[str, str | None] = MappingProxyType(
    {
        "lobar": "lobar",
        "deep": "deep",
        "infratentorial": "infratentorial",
        "brainstem": "brainstem",
        "cerebellum": "cerebellum",
        UNASSIGNED: UNASSIGNED,
        TOTAL: None,
    }
)


def wide_columns() -> dict[str, dict[str, Any]]:
    """Columns of one session in one row, with their JSON dictionary."""
    columns: dict[str, dict[str, Any]] = {}
    for name in _SUMS:
        for grade in COUNTED:
            columns[f"{name}_{grade}"] = describe(f"{grade} microbleeds, {name}")
        columns[name] = describe(f"definite and possible microbleeds, {name}")
    for region in MARS_FORM:
        for side in ("right", "left"):
            for grade in COUNTED:
                columns[_cell(region, side, grade)] = describe(
                    f"{grade} microbleeds, {side} {region}"
                )
    return {
        **columns,
        "unplaced": describe(
            "definite and possible microbleeds without a region or without a side: included in the "
            "sums, but not in the columns of a region and side"
        ),
        "border": describe("counted microbleeds within 2 mm of another group of regions"),
        "below_size": describe("kept candidates smaller than MARS counts"),
        "macro": describe("kept candidates larger than 10 mm, not counted"),
        "rejected": describe("rejected candidates"),
    }


def wide_row(form: Form) -> dict[str, Any]:
    """Values of :func:`wide_columns`."""
    row: dict[str, Any] = {}
    for name, of in _SUMS.items():
        row |= {f"{name}_{grade}": form.count(of, grade=grade) for grade in COUNTED}
        row[name] = form.count(of)
    cells = {
        _cell(region, side, grade): form.count(region, side, grade)
        for region in MARS_FORM
        for side in ("right", "left")
        for grade in COUNTED
    }
    return {
        **row,
        **cells,
        "unplaced": form.count() - sum(cells.values()),
        "border": form.border,
        "below_size": form.below_size,
        "macro": form.macro,
        "rejected": form.rejected,
    }


def _cell(region: str, side: str, grade: str) -> str:
    return f"{region.replace('-', '_')}_{side}_{grade}"
