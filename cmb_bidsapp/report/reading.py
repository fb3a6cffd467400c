"""What a participant's page is told so that its counts follow the reader, as JSON.

The page counts by the rules of :mod:`cmb_bidsapp.group.ratings`, in ``review_data.js``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cmb_bidsapp.clinical.aria import baseline_class, new_lesion_class
from cmb_bidsapp.clinical.counts import SURE
from cmb_bidsapp.clinical.fates import place_of_track
from cmb_bidsapp.clinical.mars import MarsPlace, place_of
from cmb_bidsapp.clinical.summary import CUTOFFS, ClinicalSummary, least_counts
from cmb_bidsapp.core.burden import BURDEN_LIMITS, BURDEN_NAMES, burden_class
from cmb_bidsapp.core.labels import MARS_FORM, MARS_LOOK, MARS_NAMES, SIDES
from cmb_bidsapp.lesions.lesion import Lesion
from cmb_bidsapp.lesions.longitudinal import REACH_MM
from cmb_bidsapp.report.changes import ReportedChanges


def candidates(lesions: Iterable[Lesion], carded: Iterable[Lesion]) -> list[dict[str, Any]]:
    """What a session's counts rest on: candidates that count, or that a reader can rate.

    Those of which the same is known are one entry, with their numbers.

    Parameters
    ----------
    lesions
        Of the whole lesion table.
    carded
        Those that have a card.
    """
    rated = {lesion.number for lesion in carded}
    alike: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for lesion in lesions:
        if lesion.kept or lesion.number in rated:
            # Of hundreds without a card no probability is told: they are alike, and the page small.
            chance = lesion.calibrated_probability if lesion.number in rated else None
            what = (lesion.kept, lesion.grade, *place_of(lesion), bool(lesion.border), chance)
            alike[what].append(lesion.number)
    names = ("kept", "grade", *MarsPlace._fields, "border", "chance")
    return [
        {"lesions": numbers, **dict(zip(names, what, strict=True))}
        for what, numbers in alike.items()
    ]


def session_data(
    found: Sequence[Mapping[str, Any]], rejected: int, summary: ClinicalSummary, outputs: str
) -> dict[str, Any]:
    """A session as its counts are made from it.

    Parameters
    ----------
    found
        Of :func:`candidates`.
    rejected
        Number of all that are rejected.
    summary
        Of the algorithm.
    outputs
        Fingerprint of the lesion table, see :func:`cmb_bidsapp.lesions.table.fingerprint`.
    """
    least = least_counts(summary.baseline_limit)
    return {
        "outputs": outputs,
        "candidates": found,
        "rejected": rejected,
        # The least count that crosses each cut-off; null for the one that is of lobar ones.
        "cutoffs": [least.get(name) for name in CUTOFFS],
    }


def page_data(
    sessions: Mapping[str, Mapping[str, Any]],
    changes: ReportedChanges,
    words: Mapping[str, str],
    ways: Mapping[str, Sequence[float]],
) -> dict[str, Any]:
    """All that the page is told.

    Parameters
    ----------
    sessions
        Of :func:`session_data`, by key.
    changes
        What changed through the sessions of the participant.
    words
        How a reader calls the regions of the form.
    ways
        From the world of each compared session to that of the first: 4 x 4, row by row.
    """
    # The classes of a count no longer change from the last limit on.
    counts = range(BURDEN_LIMITS[-1] + 1)
    return {
        "sessions": sessions,
        "form": [
            {"group": group, "region": region, "abbreviation": abbreviation, "words": words[region]}
            for region, (abbreviation, group, _) in MARS_FORM.items()
        ],
        "places": {
            number: (MARS_FORM[name][1], name, SIDES[number - number % 100])
            for number in MARS_LOOK
            for name in (MARS_NAMES[number % 100],)
        },
        "classes": {
            "burden": [BURDEN_NAMES[burden_class(count)] for count in counts],
            "baseline": [baseline_class(count)[0] for count in counts],
            "new": [new_lesion_class(count)[0] for count in counts],
        },
        "sure": SURE,
        "compared": list(changes.known),
        "ways": ways,
        "reach": REACH_MM,
        "tracks": [
            [
                {
                    "track": row.track_id,
                    "session": row.session_id,
                    "state": row.state,
                    "lesion": row.lesion_id,
                    "since": row.since,
                    "at": None if row.x is None else [row.x, row.y, row.z],
                    **place_of_track(row)._asdict(),
                }
                for row in track.rows
            ]
            for track in changes.tracks
        ],
    }
