"""Several readers, one decision: on a candidate, and on which added lesions are the same.

Pure rules; :mod:`cmb_bidsapp.group.ratings` reads the files and applies them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from cmb_bidsapp.core.arrays import Points
from cmb_bidsapp.lesions.lesion import COUNTED

#: What a reader says of a candidate that is none.
NOT_CMB = "not-cmb"
#: What a reader may say of a place, as far as MARS is concerned from "yes" to "no".
DECISIONS = (*COUNTED, NOT_CMB)
#: Lesions that two readers added are one where they are no farther apart (mm): half the size of
#: the largest microbleed that MARS counts.
SAME_LESION_MM = 5.0


def consensus(decisions: Sequence[str]) -> str | None:
    """What most readers say: first whether it is a microbleed, then, of those who say so, which.

    Readers who cannot agree between definite and possible leave it possible.

    Returns
    -------
    decision
        ``None`` where as many say yes as no, or nobody says anything.

    >>> print(consensus(["definite", "not-cmb", "possible"]))
    possible
    >>> consensus(["definite", "not-cmb"]) is None
    True
    """
    yes = [decision for decision in decisions if decision in COUNTED]
    no = len(decisions) - len(yes)
    if len(yes) == no:
        return None
    if len(yes) < no:
        return NOT_CMB
    definite, possible = COUNTED
    return definite if 2 * yes.count(definite) > len(yes) else possible


def same_lesions(places: Mapping[str, Points]) -> list[dict[str, int]]:
    """Bring together the lesions that several readers added.

    Readers come in the order of their names; each one's lesions are matched one to one with those
    known so far (mean of their places), so that the distances add up to the least, within
    :data:`SAME_LESION_MM`.

    Parameters
    ----------
    places
        By reader: world coordinates (mm), shape ``(n, 3)``.

    Returns
    -------
    lesions
        Each as reader -> number of the row in their ``places``.
    """
    lesions: list[dict[str, int]] = []
    for reader in sorted(places):
        own = np.asarray(places[reader], np.float64).reshape(-1, 3)
        known = [
            np.mean([places[name][row] for name, row in lesion.items()], axis=0)
            for lesion in lesions
        ]
        away = cdist(own, np.reshape(known, (-1, 3)))
        # What is too far costs alike, and more than all that is near: it never draws a pair apart.
        far = (1 + len(own)) * SAME_LESION_MM
        pairs = zip(
            *linear_sum_assignment(np.where(away <= SAME_LESION_MM, away, far)), strict=True
        )
        met = {int(i): int(j) for i, j in pairs if away[i, j] <= SAME_LESION_MM}
        for row in range(len(own)):
            if row in met:
                lesions[met[row]][reader] = row
            else:
                lesions.append({reader: row})
    return lesions
