"""What readers say of a microbleed through time, carried into what the sessions have of it.

Lesions decide what counts in a session; these words decide what a place that does not count has.
``review_data.js`` does the same for the page. See docs/review.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from cmb_bidsapp.bids.typed import Level
from cmb_bidsapp.clinical.tracks import TrackRow
from cmb_bidsapp.lesions.presence import State


class Judgment(Level):
    """What a reader says of a microbleed at a follow-up."""

    NEW = "new", "a microbleed at a follow-up: there, and in no earlier session"
    THERE_BEFORE = "there-before", "a microbleed at a follow-up: there, and in earlier sessions"
    GONE = "gone", "a microbleed at a follow-up: no longer there"
    NOT_SURE = "not-sure", "a microbleed at a follow-up: the reader leaves it as it is"


#: By the number of the microbleed: what readers say of it, by the name of the follow-up.
Judgments = Mapping[int, Mapping[str, Judgment]]


def told_there(said: Mapping[int, Judgment]) -> dict[int, bool]:
    """Whether sessions have a microbleed, as far as it is said.

    An earlier follow-up knows better what was before it: its words stand.

    Parameters
    ----------
    said
        By the position of the follow-up.

    >>> told_there({1: Judgment.NEW, 2: Judgment.THERE_BEFORE})
    {0: False, 1: True, 2: True}
    """
    there: dict[int, bool] = {}
    for n, word in sorted(said.items()):
        if word is Judgment.NOT_SURE:
            continue
        if word is not Judgment.GONE:
            before = word is Judgment.THERE_BEFORE
            there |= {k: before for k in range(n) if k not in there}
        there[n] = word is not Judgment.GONE
    return there


def judge(there: Sequence[State | None], said: Mapping[int, bool]) -> list[State | None]:
    """Carry readers' words into what each session has of a microbleed.

    Parameters
    ----------
    there
        As :func:`cmb_bidsapp.lesions.presence.at_place` tells it. What counts stays: whether a
        lesion is a microbleed is decided on the lesion.
    said
        Of :func:`told_there`.
    """
    found = [n for n, state in enumerate(there) if state is State.PRESENT]
    judged = list(there)
    for n, yes in said.items():
        if there[n] is not State.PRESENT:
            absent = State.GONE if any(k < n for k in found) else State.NOT_YET
            judged[n] = State.BELOW_THRESHOLD if yes else absent
    return judged


def contradicted(rows: Iterable[TrackRow], judgments: Judgments) -> Iterator[tuple[int, str]]:
    """Words that cannot hold, as a session that counts the microbleed says otherwise.

    Parameters
    ----------
    rows
        Of the tracks as decided, sessions in their order.
    judgments
        What readers say.

    Yields
    ------
    track, session
        Number of the microbleed, and name of the follow-up.
    """
    before: set[int] = set()
    for row in rows:
        number, counts = row.track_id, row.state is State.PRESENT
        word = judgments.get(number, {}).get(row.session_id)
        if (word is Judgment.NEW and number in before) or (word is Judgment.GONE and counts):
            yield number, row.session_id
        if counts:
            before.add(number)
