"""ARIA-H, microhaemorrhages under anti-amyloid therapy: classes and their probabilities.

Classes after the RadElement sets RDES289 (baseline) and RDES291 (new since the baseline scan).
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from cmb_bidsapp.bids.tables import describe
from cmb_bidsapp.clinical.counts import at_least
from cmb_bidsapp.core.defaults import NOT_A_DIAGNOSIS

BASELINE_CODE, NEW_CODE = "RDES289", "RDES291"

#: Smallest count of each class, highest first.
_BASELINE = ((5, ">4"), (1, "1-4"), (0, "absent"))
_NEW = ((10, "severe"), (5, "moderate"), (1, "mild"), (0, "none"))

#: Columns of :func:`new_lesions` with their JSON dictionary.
NEW_COLUMNS = MappingProxyType(
    {
        "aria_h": describe(
            f"ARIA-H class of the new microbleeds; {NOT_A_DIAGNOSIS}",
            none="no new microbleed",
            mild="1 to 4",
            moderate="5 to 9",
            severe="10 or more",
        ),
        "aria_h_code": describe("RadElement set that the class is of"),
        **{
            f"new_at_least_{least}_probability": describe(
                f"Probability that {least} or more of the new lesions are microbleeds, from their "
                "calibrated probabilities; n/a where one has none; what was missed is not in it"
            )
            for least in (1, 5, 10)
        },
    }
)


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
