"""What readers said in the reports of a site, to be learned from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.text import cause_of
from cmb_bidsapp.core.arrays import Points
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.group.ratings import read_ratings
from cmb_bidsapp.group.session_records import Problem, read_record
from cmb_bidsapp.lesions.lesion import Lesion, Reason


@dataclass(frozen=True)
class Rated:
    """What readers call microbleeds, and what none: world coordinates (RAS mm), ``(n, 3)``."""

    lesions: Points
    others: Points

    @classmethod
    def of(cls, lesions: Iterable[Lesion]) -> Rated:
        """Take what readers decided; candidates that they left open are in neither."""
        decided = [lesion for lesion in lesions if lesion.reason is Reason.READER]
        kept, rejected = (
            np.array([one.point for one in decided if one.kept is word], np.float64).reshape(-1, 3)
            for word in (True, False)
        )
        return cls(kept, rejected)


def read_rated(
    folder: Path, sessions: Iterable[SessionFiles]
) -> tuple[Mapping[str, Rated], tuple[Problem, ...]]:
    """Read what readers decided, as the group level does.

    Parameters
    ----------
    folder
        With the ratings that were exported from the reports.
    sessions
        Derivatives of the sessions to look for.

    Returns
    -------
    rated
        By the label of the session; of those of which readers decided anything.
    problems
        Ratings that cannot be used.

    Raises
    ------
    NoInputError
        There are no ratings.
    DataError
        The lesion table of a session cannot be read.
    """
    ratings = read_ratings(folder)
    rated = {}
    for files in sessions:
        try:
            record = ratings.apply(read_record(files))
        except (OSError, ValueError) as error:
            cause = cause_of(error)
            raise DataError(f"{files.lesions}: {cause}; run the participant level again") from error
        own = Rated.of(record.lesions)
        if len(own.lesions) + len(own.others):
            rated[files.label] = own
    return rated, ratings.problems
