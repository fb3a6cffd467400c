"""Age, sex and arm of the participants, from ``participants.tsv``; none of them is required."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from cmb_bidsapp.bids.tables import Row, describe, read_table
from cmb_bidsapp.bids.typed import NOT_KNOWN, column

#: Columns of ``participants.tsv`` that are taken, by the column they go to; the first that is
#: there counts.
TAKEN = MappingProxyType(
    {"age": ("age",), "sex": ("sex", "gender"), "arm": ("arm", "treatment", "group")}
)


@dataclass(frozen=True, kw_only=True)
class Demographics:
    """A participant; each field is a column, as ``participants.tsv`` has it."""

    age: str | None = column("Age, copied from age in participants.tsv")
    sex: str | None = column("Sex, copied from sex (or gender) in participants.tsv")
    arm: str | None = column(
        "Trial arm or study group, copied from participants.tsv: the first of its columns arm, "
        "treatment and group"
    )


NOBODY = Demographics()

#: Instead of an arm: sums of all participants, of whatever arm.
ALL_ARMS = "all"
#: The column that parts sums by arm, with its JSON dictionary.
ARM_OF_SUMS = describe(
    "Arm or group of participants.tsv; all for all participants, also those without an arm"
)


def arms_of(arm: str | None) -> tuple[str, ...]:
    """Rows of sums that a participant belongs to: that of all, and that of the arm, if known.

    >>> arms_of("drug"), arms_of(None)
    (('all', 'drug'), ('all',))
    """
    return tuple(dict.fromkeys(filter(None, (ALL_ARMS, arm))))


def arm_rank(arm: str) -> tuple[bool, str]:
    """Order of the rows of arms: all participants first, then each arm by name."""
    return arm != ALL_ARMS, arm


def find_people(*folders: Path) -> Path | None:
    """The first ``participants.tsv`` of some folders."""
    paths = (folder / "participants.tsv" for folder in folders)
    # A link to what is not fetched is told when it is read.
    return next((path for path in paths if path.exists() or path.is_symlink()), None)


def read_people(path: Path) -> Mapping[str, Demographics]:
    """Read a ``participants.tsv``, by label without ``sub-``.

    Names of columns may be in capitals, but for ``participant_id``, which BIDS spells so.

    Raises
    ------
    OSError
        The file cannot be opened.
    ValueError
        It is no table, or has no ``participant_id``, or one twice.
    """
    people: dict[str, Demographics] = {}
    for given in read_table(path, ("participant_id",)):
        row = {name.strip().lower(): value.strip() for name, value in given.items()}
        label = row["participant_id"].removeprefix("sub-")
        if label in people:
            raise ValueError(f"sub-{label} appears twice")
        people[label] = Demographics(**{name: _first(row, names) for name, names in TAKEN.items()})
    return people


def _first(row: Row, names: tuple[str, ...]) -> str | None:
    """Value of the first of some columns that the table has; ``None`` where it is not known."""
    found = next((row[name] for name in names if name in row), NOT_KNOWN)
    return None if found in (NOT_KNOWN, "") else found
