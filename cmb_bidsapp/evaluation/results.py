"""The numbers of one session, as the summary and the tables take them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cmb_bidsapp.evaluation.comparison import Fate
from cmb_bidsapp.evaluation.metrics import Counts, Overlap
from cmb_bidsapp.labels import MARS, PROXY

BEFORE, AFTER = "before-cfpr", "after-cfpr"
STAGES = (BEFORE, AFTER)
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
    """Result before or after CFPR: every lesion's fate, and the voxels of the masks."""

    fates: tuple[Fate, ...]
    overlap: Overlap

    @property
    def counts(self) -> Counts:
        """Lesions by their fate."""
        return Counts.of(self.fates)


@dataclass(frozen=True)
class SessionResult:
    """All numbers of one session.

    Attributes
    ----------
    protocol
        What the session is grouped by.
    stages
        By name, see :data:`STAGES`.
    candidates
        The app's own columns on each predicted lesion, by its number.
    mimics_known
        Whether the reference says where veins and calcifications lie.
    anatomy
        Dice by structure, see :data:`ANATOMY`; only those both sides have.
    side_errors
        Share of the voxels labelled on both sides that are left on one and right on the other;
        NaN where it is not known.
    sweep
        Counts by threshold, before CFPR; empty where there is no probability map.
    """

    participant: str
    session: str | None
    protocol: str
    stages: Mapping[str, Stage]
    candidates: Mapping[int, Mapping[str, str]]
    mimics_known: bool
    anatomy: Mapping[str, float]
    side_errors: float
    sweep: Mapping[float, Counts]
