"""Whether matched lesions lie in the same region on both sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from cmb_bidsapp.core.statistics import ratio
from cmb_bidsapp.evaluation.comparison import Fate
from cmb_bidsapp.evaluation.matching import Place
from cmb_bidsapp.lesions.lesion import UNASSIGNED


def region_confusion(fates: Iterable[Fate]) -> Counter[tuple[str, str]]:
    """Matched lesions by their class in the reference and in the prediction."""
    return Counter((own.region, found.region) for own, found in matched_places(fates))


def matched_places(fates: Iterable[Fate]) -> list[tuple[Place, Place]]:
    """Places of every matched lesion of a session, in the reference and in the prediction."""
    fates = list(fates)
    predicted = {fate.lesion: fate.place for fate in fates if fate.side == "predicted"}
    return [
        (fate.place, predicted[fate.partner])
        for fate in fates
        if fate.side == "reference" and fate.partner is not None
    ]


@dataclass(frozen=True, kw_only=True)
class RegionCalls:
    """Matched lesions by what the app says of their region.

    Attributes
    ----------
    known, right
        Those whose class the reference knows, and those of them that have the same.
    mars_known, mars_right
        Those whose MARS region and side the reference knows and the app tells, and those of them
        where both are the same.
    flagged
        Those of a wrong class that the app flags as near a border; ``None`` where it has no flag
        for a lesion whose class is known.
    """

    known: int = 0
    right: int = 0
    mars_known: int = 0
    mars_right: int = 0
    flagged: int | None = None

    @classmethod
    def of(cls, fates: Iterable[Fate]) -> RegionCalls:
        """Count the matched lesions of a session."""
        pairs = matched_places(fates)
        known = [(own, found) for own, found in pairs if own.region != UNASSIGNED]
        flagged = [
            own.region != found.region and found.border
            for own, found in known
            if found.border is not None
        ]
        mars = [
            own.mars_region == found.mars_region
            for own, found in pairs
            if own.mars_region not in (None, UNASSIGNED) and found.mars_region is not None
        ]
        return cls(
            known=len(known),
            right=sum(own.region == found.region for own, found in known),
            mars_known=len(mars),
            mars_right=sum(mars),
            flagged=sum(flagged) if flagged else None,
        )

    def __add__(self, other: RegionCalls) -> RegionCalls:
        flags = [calls.flagged for calls in (self, other) if calls.flagged is not None]
        return RegionCalls(
            known=self.known + other.known,
            right=self.right + other.right,
            mars_known=self.mars_known + other.mars_known,
            mars_right=self.mars_right + other.mars_right,
            flagged=sum(flags) if flags else None,
        )

    def figures(self) -> dict[str, float | int | None]:
        """Counts and shares, by column."""
        return {
            "region_known": self.known,
            "region_right": self.right,
            "region_agreement": ratio(self.right, self.known),
            "wrong_region_flagged": self.flagged,
            "mars_known": self.mars_known,
            "mars_right": self.mars_right,
            "mars_agreement": ratio(self.mars_right, self.mars_known),
        }
