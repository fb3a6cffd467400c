"""ARIA-H, microhemorrhages under anti-amyloid therapy: classes and their probabilities.

Classes after the RadElement sets RDES289 (baseline) and RDES291 (new since the baseline scan).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from cmb_bidsapp.bids.typed import column, columns_of
from cmb_bidsapp.clinical.counts import at_least
from cmb_bidsapp.core.defaults import NOT_A_DIAGNOSIS

BASELINE_CODE, NEW_CODE = "RDES289", "RDES291"

#: Smallest count of each class, highest first.
_BASELINE = ((5, ">4"), (1, "1-4"), (0, "absent"))
_NEW = ((10, "severe"), (5, "moderate"), (1, "mild"), (0, "none"))


def _chance(least: int) -> Any:
    return column(
        f"Probability that {least} or more of the new lesions are microbleeds, from their "
        "calibrated probabilities; n/a if any has none. Missed microbleeds are not considered"
    )


@dataclass(frozen=True, kw_only=True)
class NewLesions:
    """Class of the new microbleeds of a session; each field is a column."""

    aria_h: str | None = column(
        f"ARIA-H class of new_since_baseline; {NOT_A_DIAGNOSIS}",
        levels=MappingProxyType(
            {
                "none": "no new microbleed",
                "mild": "1 to 4",
                "moderate": "5 to 9",
                "severe": "10 or more",
            }
        ),
    )
    aria_h_code: str | None = column("RadElement set that defines the class")
    new_at_least_1_probability: float | None = _chance(1)
    new_at_least_5_probability: float | None = _chance(5)
    new_at_least_10_probability: float | None = _chance(10)


#: Columns of :func:`new_lesions` with their JSON dictionary.
NEW_COLUMNS = MappingProxyType(columns_of(NewLesions))


def baseline_class(count: int) -> tuple[str, str]:
    """Class (``absent``, ``1-4``, ``>4``) of a count at baseline, and its RadElement set."""
    return _class(_BASELINE, count), BASELINE_CODE


def new_lesion_class(count: int) -> tuple[str, str]:
    """Class (``none``, ``mild``, ``moderate``, ``severe``) of a count of new microbleeds.

    The second value is the RadElement set.
    """
    return _class(_NEW, count), NEW_CODE


def new_lesions(probabilities: Sequence[float]) -> dict[str, Any]:
    """Class of new lesions, and the probabilities of reaching each.

    Parameters
    ----------
    probabilities
        Calibrated probability of each new lesion, NaN where it has none.

    Returns
    -------
    row
        Values of :data:`NEW_COLUMNS`.
    """
    name, code = new_lesion_class(len(probabilities))
    chances = {
        f"new_at_least_{least}_probability": at_least(probabilities, least)
        for least, _ in reversed(_NEW[:-1])
    }
    return {"aria_h": name, "aria_h_code": code, **chances}


def _class(classes: Sequence[tuple[int, str]], count: int) -> str:
    return next(name for least, name in classes if count >= least)
