"""What the card of an adapted model says: where it comes from, and what was gained."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from cmb_bidsapp.models.registry import Bundle
from cmb_bidsapp.train.gains import EqualMarks, Gain
from cmb_bidsapp.train.places import Acquisition


@dataclass(frozen=True, kw_only=True)
class Learned:
    """How a model was adapted.

    Attributes
    ----------
    participants, held_back
        All, and those of them that it did not learn from.
    rated
        Scans that it learned from of which readers had rated something.
    acquisitions
        Of each scan.
    step
        After which the judges were taken.
    halfway
        Whether their weights are the mean of those and of the start's.
    seed
        Of the random numbers.
    """

    participants: int
    held_back: int
    rated: int
    acquisitions: tuple[Acquisition, ...]
    step: int
    halfway: bool
    seed: int

    @property
    def scans(self) -> str:
        """How many scans of how many people."""
        return f"{len(self.acquisitions)} scans of {self.participants} participants"

    @property
    def protocols(self) -> list[dict[str, Any]]:
        """Acquisitions with the number of their scans, the most frequent first."""
        return [
            {"voxel_mm": list(one.voxel), "field_t": one.b0, "te_ms": one.te_ms, "scans": count}
            for one, count in Counter(self.acquisitions).most_common()
        ]


def card_changes(
    start: Bundle, learned: Learned, gain: Gain, way: EqualMarks, name: str | None
) -> dict[str, Any]:
    """Fields of the card that are others than those of the start.

    Thresholds mean as many marks as before. What was measured with the judges of before no longer
    holds and is left out.

    Parameters
    ----------
    start
        Model that was adapted.
    learned
        Scans, participants and step of the adaptation.
    gain
        What changed in the scans held back.
    way
        From scores of the start to those of the adapted judges.
    name
        Of the model; that of the start with ``-adapted`` without one.
    """
    card = start.card
    labels = f"with readers' ratings of {learned.rated}" if learned.rated else "without labels"
    data = f"second look adapted, {labels}, to {learned.scans}"
    knots = way.carried(tuple((known, level) for known, level in card.calibration.get("knots", ())))
    return {
        "name": name or f"{card.name}-adapted",
        "training_data": f"{card.training_data}; {data}",
        "threshold": _threshold(way, card.threshold),
        "operating_points": {
            point: {"threshold": _threshold(way, told["threshold"])}
            for point, told in card.operating_points.items()
        },
        "calibration": {"knots": knots, "method": f"carried over from {start.name}"}
        if knots
        else {},
        "schedule": {
            **card.schedule,
            "adaptation": {
                "start": {"name": card.name, "version": card.version, "sha256": card.files},
                "participants": learned.participants,
                "held_back_participants": learned.held_back,
                "scans": len(learned.acquisitions),
                "rated_scans": learned.rated,
                "protocols": learned.protocols,
                "step": learned.step,
                "halfway": learned.halfway,
                "seed": learned.seed,
            },
        },
        "metrics": {
            "data": f"{gain.scans} of these scans, held back, with {gain.implants} simulated "
            "microbleeds",
            "found_before": round(gain.before, 3),
            "found": round(gain.after, 3),
            "difference_interval": [round(gain.low, 3), round(gain.high, 3)],
            "marks_per_scan": round(gain.marks_per_scan, 3),
            "marks_of_before": round(gain.same_marks, 3) if gain.marks_per_scan else None,
        },
    }


def _threshold(way: EqualMarks, threshold: float) -> float:
    """A threshold that means as many marks, in the digits that tables have."""
    (moved,) = way([threshold]).tolist()
    return round(float(moved), 6)
