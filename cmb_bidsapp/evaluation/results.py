"""The numbers of one session, as the summary and the tables take them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from cmb_bidsapp.core.labels import MARS, PROXY
from cmb_bidsapp.evaluation.comparison import Fate
from cmb_bidsapp.evaluation.metrics import Counts, Overlap

#: What is evaluated: before and after CFPR of this app, or what another tool gives.
BEFORE, AFTER, GIVEN = "before-cfpr", "after-cfpr", "as-given"
REGIONS = tuple(name for name in PROXY if name != "background")


def mars_column(name: str) -> str:
    """Name of a MARS region among the structures: columns have no hyphens.

    >>> mars_column("basal-ganglia")
    'mars_basal_ganglia'
    """
    return f"mars_{name}".replace("-", "_")


#: Structures whose Dice is taken, by the name of their column.
ANATOMY = (
    "brain_t2starw",
    "brain_t1w",
    *(f"proxy_{name}" for name in REGIONS),
    *(f"nnunet_{name}" for name in REGIONS),
    *map(mars_column, MARS),
)


@dataclass(frozen=True)
class Stage:
    """Every lesion's fate, the voxels of the masks, and the Dice that the rules make of them."""

    fates: tuple[Fate, ...]
    overlap: Overlap
    dice: float

    @cached_property
    def counts(self) -> Counts:
        """Lesions by their fate."""
        return Counts.of(self.fates)


@dataclass(frozen=True)
class Point:
    """Lesions and Dice of a session at one setting of a sweep."""

    counts: Counts
    dice: float


@dataclass(frozen=True, kw_only=True)
class SessionResult:
    """All numbers of one session and one method.

    Attributes
    ----------
    method
        Whose predictions these are.
    protocol
        What the session is grouped by.
    stages
        ``BEFORE`` and ``AFTER``, or ``GIVEN``; the last is the method's final word.
    mimics_known
        Whether the reference says where veins and calcifications lie.
    voxel_mm3
        Volume of a voxel.
    anatomy
        Dice by structure, see :data:`ANATOMY`; only those both sides have.
    side_errors
        Share of the voxels labeled on both sides that are left on one and right on the other;
        NaN where it is not known.
    froc
        Counts by threshold, before CFPR; empty where there are no probabilities or scores.
    radii
        By the radius of CFPR (mm); empty where there are no predicted regions.
    """

    method: str
    participant: str
    session: str | None
    protocol: str
    stages: Mapping[str, Stage]
    mimics_known: bool
    voxel_mm3: float
    anatomy: Mapping[str, float]
    side_errors: float
    froc: Mapping[float, Counts]
    radii: Mapping[float, Point]
