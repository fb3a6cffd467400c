"""What readers decided in the participant reports, carried into the lesion tables.

For the group level::

    ratings = read_ratings(folder)
    for record in records(out_dir):          # the one pass
        record = ratings.apply(record)       # a session nobody has read comes back as it is
    ratings.problems                         # after the pass: what could not be used, and why
    ratings.notes                            # after the pass: what was decided on the way
    agreement.write_agreement(ratings.readings, out_dir, cohort.followed, seed)

``Record.source`` says whose decisions the counts of a session rest on, and the column ``source`` of
its lesions says it lesion by lesion; :class:`cmb_bidsapp.group.opinion.ReadLesion` describes that
and what else readers change. Memory grows with the ratings, not with the participants.

The rules, in ``docs/review.md`` as well:

- A reader's ``definite`` or ``possible`` is the grade, whatever the algorithm said, its rejections
  and its grades ``below-size`` and ``macro`` included: the reader saw the picture and the size.
- ``not-cmb`` rejects, with the reason ``reader``.
- A kept candidate that no reader rated stays as the algorithm has it: to leave it out would be a
  decision nobody took. ``source`` counts them: ``reader AB (3 unrated)``. A rejected candidate that
  no reader rated stays rejected: the report shows those apart, and only who disagrees rates them.
- Who adjudicated between readers rules over all others: ``adjudicator EF (2 not adjudicated)``.
- Several readers: :func:`cmb_bidsapp.group.consensus.consensus` of those who rated the candidate.
  Where as many say yes as no it stays as the algorithm has it; ``source`` counts these, too.
- A lesion that a reader added is one more lesion. Readers who finished the session (rated all kept
  candidates) and did not add it say no; a tie leaves it out. ``not-cmb`` takes it back.
- Of two decisions of one reader on one place the later date wins.
- Decisions on microbleeds through time are kept apart; :mod:`.judgments` reads them.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.bids.text import cause_of
from cmb_bidsapp.core.errors import NoInputError
from cmb_bidsapp.group.rating_rows import RATING_COLUMNS, Key, Rating, parse
from cmb_bidsapp.group.reader_decisions import Reading, decide
from cmb_bidsapp.group.session_records import Problem, Record


class Ratings:
    """The ratings of all readers, applied to one session after the other."""

    def __init__(self, given: Mapping[Key, Sequence[Rating]], problems: Iterable[Problem]) -> None:
        self._given = given
        self._unreadable = tuple(problems)
        self._read: dict[Key, Reading] = {}

    def apply(self, record: Record) -> Record:
        """Decide as the readers did; a session without ratings comes back as it is."""
        key = (record.files.participant, record.files.session)
        if key not in self._given:
            return record
        decided, self._read[key] = decide(record, self._given[key])
        return decided

    @property
    def readings(self) -> tuple[Reading, ...]:
        """The sessions that were read, of those applied so far."""
        return tuple(self._read.values())

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Ratings that are not used, and why; complete when every session was applied."""
        foreign = defaultdict(list)
        for key, ratings in self._given.items():
            if key not in self._read:
                for path in dict.fromkeys(rating.path for rating in ratings):
                    foreign[path].append(SessionFiles(Path(), *key).label)
        return (
            *self._unreadable,
            *(problem for reading in self._read.values() for problem in reading.problems),
            *(
                Problem(
                    path=path,
                    reason=f"no results of {', '.join(labels)} to apply it to; remove it, "
                    "or use the outputs that were read",
                )
                for path, labels in foreign.items()
            ),
        )

    @property
    def notes(self) -> tuple[Problem, ...]:
        """What was decided on the way: sessions half read, later exports, lesions left out."""
        return tuple(note for reading in self._read.values() for note in reading.notes)


def ratings_below(folder: Path) -> list[Path]:
    """Every ratings file below a folder, copies that a browser numbered among them."""
    return sorted(path for path in folder.rglob("*_ratings*.tsv") if path.is_file())


def read_ratings(folder: Path) -> Ratings:
    """Read every ratings file below a folder.

    Raises
    ------
    NoInputError
        There is none.
    """
    paths = ratings_below(folder)
    if not paths:
        raise NoInputError(
            f"--ratings {folder}: no *_ratings.tsv in this folder; export the ratings from the "
            "participant reports"
        )
    given: dict[Key, list[Rating]] = defaultdict(list)
    problems = []
    names: dict[str, str] = {}
    for path in paths:
        try:
            rows = read_table(path, RATING_COLUMNS)
        except (OSError, ValueError) as error:
            problems.append(
                Problem(path=path, reason=f"{cause_of(error)}; export the ratings again")
            )
            continue
        wrong = defaultdict(list)
        for line, row in enumerate(rows, 2):
            try:
                key, rating = parse(path, row)
            except ValueError as error:
                wrong[str(error)].append(str(line))
                continue
            # Who types AB today and ab tomorrow is one reader.
            name = names.setdefault(rating.reader.casefold(), rating.reader)
            given[key].append(dataclasses.replace(rating, reader=name))
        problems += [
            Problem(path=path, reason=f"line {', '.join(lines)}: {cause}")
            for cause, lines in wrong.items()
        ]
    return Ratings(given, problems)
