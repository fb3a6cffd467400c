"""Tables of the group level: their columns, and the rows that a session gives them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cmb_bidsapp.bids.protocol import Protocol
from cmb_bidsapp.bids.tables import IDENTITY, Columns, describe, identity, read_table
from cmb_bidsapp.bids.typed import columns_of, decode
from cmb_bidsapp.clinical.fates import KINDS, TrackFate, by_kind, place_of_track
from cmb_bidsapp.clinical.follow_up import CHANGE_COLUMNS, ChangeRow
from cmb_bidsapp.clinical.judged import Judgment
from cmb_bidsapp.clinical.mars import Form, MarsPlace, wide_columns, wide_row
from cmb_bidsapp.clinical.summary import SUMMARY_COLUMNS, ClinicalSummary
from cmb_bidsapp.clinical.tracks import TrackRow
from cmb_bidsapp.core.labels import MARS_FORM
from cmb_bidsapp.group.follow_ups import DecisionSource, ReadTrack
from cmb_bidsapp.group.opinion import ReadLesion
from cmb_bidsapp.group.session_records import Problem, Record
from cmb_bidsapp.group.visits import VISIT_COLUMNS, GroupVisit
from cmb_bidsapp.lesions.lesion import COUNTED

SOURCE = {
    "source": describe(
        "Source of the decisions behind the numbers",
        algorithm="the algorithm; no reader decided",
        reader="the readers named, who decided in the participant's report",
        adjudicator="the adjudicator named, who resolved disagreements between readers",
    ),
    "mode": describe(
        "Reading mode of the readers who decided: aided, blinded or adjudicated; n/a if no "
        "reader decided or the mode is unknown"
    ),
}
WARNED = {
    "warned": describe(
        "Whether there are warnings to check before using the numbers (see group_summary.tsv); "
        "for comparisons, of either session"
    )
}
PROTOCOL = columns_of(Protocol)
#: Every table in which a session stands says when it was, and what it may be added up with.
_SESSION = {**IDENTITY, **VISIT_COLUMNS, "sequence": PROTOCOL["sequence"], **SOURCE, **WARNED}
#: What a follow-up tells rests on all sessions of the participant.
_FOLLOWED = {
    **_SESSION,
    "source": describe(
        f"{SOURCE['source']['Description']}, for all compared sessions of the participant; "
        "one per session if the sources differ"
    )
    | {"Levels": SOURCE["source"]["Levels"]},
}
#: What is said of the session before a treatment; n/a of follow-ups.
_AT_BASELINE = {
    name: SUMMARY_COLUMNS[name]
    | {"Description": f"{SUMMARY_COLUMNS[name]['Description']}; n/a for follow-ups"}
    for name in ("aria_h_baseline", "aria_h_baseline_code")
}
#: Microbleeds of a fate, by group of regions and by grade.
_KINDS = {
    f"{fate}_{kind}": describe(
        f"Microbleeds in {fate} that are {kind}; n/a without a table of tracks"
    )
    for fate in TrackFate
    for kind in KINDS
}

#: By the name of each table (``group_<name>.tsv``), its columns with their JSON dictionary.
TABLES: Mapping[str, Columns] = MappingProxyType(
    {
        "lesions": {**_SESSION, **columns_of(ReadLesion)},
        "mars": {**_SESSION, **PROTOCOL, **wide_columns()},
        "mars_long": {
            **_SESSION,
            "group": describe("Group of regions of the MARS form, or unassigned"),
            "region": describe("Region of the MARS form, or unassigned"),
            "side": describe("right, left or unassigned"),
            "grade": describe("Grade", definite="counted", possible="counted"),
            "count": describe(
                "Number of microbleeds; unassigned regions and sides have rows only if there "
                "are any"
            ),
        },
        "summary": {**_SESSION, **PROTOCOL, **SUMMARY_COLUMNS, **_AT_BASELINE},
        "changes": {**_FOLLOWED, **PROTOCOL, **CHANGE_COLUMNS, **_KINDS},
        "changes_long": {
            **_FOLLOWED,
            "protocol_changed": CHANGE_COLUMNS["protocol_changed"],
            "processing_changed": CHANGE_COLUMNS["processing_changed"],
            "group": describe("Group of regions of the MARS form, or unassigned"),
            "region": describe(
                "Region of the MARS form; unassigned rows exist only if there are any"
            ),
            "grade": describe("Grade", definite="counted", possible="counted"),
            **{fate.value: CHANGE_COLUMNS[fate] for fate in TrackFate},
        },
        "tracks": {
            **_FOLLOWED,
            **PROTOCOL,
            "baseline_session_id": CHANGE_COLUMNS["baseline_session_id"],
            **columns_of(ReadTrack),
        },
        "decisions": {
            **_SESSION,
            "lesion_id": describe(
                "Candidate; n/a for a lesion that readers added, and for a rated change"
            ),
            "track_id": describe(
                "Microbleed whose change at this session was rated; n/a for a lesion"
            ),
            **{
                axis: describe(
                    "World coordinate of the T2*w; for a rated change, that of the baseline", "mm"
                )
                for axis in "xyz"
            },
            "reader": describe("Name of the reader; adjudicator NAME for an adjudicator"),
            "decision": describe(
                "Decision of this reader. A reader who finished a session without adding a "
                "lesion that others added counts as not-cmb",
                definite="a microbleed",
                possible="possibly a microbleed",
                **{"not-cmb": "not a microbleed"},
                **Judgment.levels(),
            ),
            "mode": describe("Reading mode of this reader: aided, blinded or adjudicated"),
            "seconds": describe("Time that this reader spent on the candidate", "s"),
            "note": describe("Note of this reader"),
            "date": describe("Date and time of the decision, ISO 8601"),
            "outputs": describe("Fingerprint of the lesion table that this reader rated"),
            "algorithm": describe(
                "Decision of the algorithm: its grade, or not-cmb; for a rated change, its own"
            ),
            "verdict": describe("Final decision, by the rules for several readers; n/a for a tie"),
        },
        "problems": {
            **IDENTITY,
            "file": describe("File; relative to the output folder if it lies there"),
            "reason": describe("Reason why it is missing from the other tables"),
        },
    }
)


def about(record: Record, visit: GroupVisit) -> dict[str, Any]:
    """The columns that say which session it is, when, and whose decisions the numbers rest on.

    Parameters
    ----------
    record
        Lesions and protocol of the session.
    visit
        Place of the session in its participant's follow-up.
    """
    return {
        **identity(record.files.participant, record.files.session),
        **vars(visit),
        "sequence": record.protocol.sequence,
        **vars(DecisionSource(record.source, record.mode)),
        "warned": bool(record.warnings),
    }


def lesion_rows(record: Record, visit: GroupVisit) -> Iterator[dict[str, Any]]:
    """Every candidate of a session, kept or rejected.

    Parameters
    ----------
    record
        Lesions and protocol of the session.
    visit
        Place of the session in its participant's follow-up.
    """
    first = about(record, visit)
    # Where readers decided, each lesion has a source of its own.
    return ({**first, **vars(lesion)} for lesion in record.lesions)


def decision_rows(record: Record, visit: GroupVisit) -> Iterator[dict[str, Any]]:
    """What each reader said of each place of a session.

    Parameters
    ----------
    record
        Lesions of the session, and what readers said of them.
    visit
        Place of the session in its participant's follow-up.
    """
    first = about(record, visit)
    return ({**first, **row} for row in record.said)


def mars_row(record: Record, visit: GroupVisit, form: Form) -> dict[str, Any]:
    """The MARS form of a session in one row.

    Parameters
    ----------
    record
        Lesions and protocol of the session.
    visit
        Place of the session in its participant's follow-up.
    form
        Form that was filled from the same lesions.
    """
    return {**about(record, visit), **vars(record.protocol), **wide_row(form)}


def mars_long_rows(record: Record, visit: GroupVisit, form: Form) -> Iterator[dict[str, Any]]:
    """The MARS form of a session, a row per region, side and grade, zeros among them.

    Parameters
    ----------
    record
        Lesions and protocol of the session.
    visit
        Place of the session in its participant's follow-up.
    form
        Form that was filled from the same lesions.
    """
    places = [
        MarsPlace(group, region, side)
        for region, (_, group, _) in MARS_FORM.items()
        for side in ("right", "left")
    ]
    places += sorted({place for place, _ in form.counts} - set(places))
    first = about(record, visit)
    for place in places:
        for grade in COUNTED:
            yield {
                **first,
                "group": place.group,
                "region": place.region,
                "side": place.side,
                "grade": grade,
                "count": form.counts.get((place, grade), 0),
            }


def summary_row(record: Record, visit: GroupVisit, summary: ClinicalSummary) -> dict[str, Any]:
    """The clinical summary of a session; a follow-up has no class before treatment.

    Parameters
    ----------
    record
        Lesions and protocol of the session.
    visit
        Place of the session in its participant's follow-up.
    summary
        Of the same lesions.
    """
    row = {**about(record, visit), **vars(record.protocol), **vars(summary)}
    return row | dict.fromkeys(_AT_BASELINE) if visit.baseline is False else row


def read_tracks(path: Path) -> list[TrackRow]:
    """Read a participant's microbleeds through time.

    Raises
    ------
    OSError
        The file cannot be opened.
    ValueError
        It is no table, or a cell is not what its column holds.
    """
    return [decode(TrackRow, row) for row in read_table(path, ("track_id", "state"))]


def change_row(
    row: ChangeRow,
    later: Record,
    visit: GroupVisit,
    source: DecisionSource,
    by_fate: Mapping[TrackFate, Sequence[TrackRow]] | None,
) -> dict[str, Any]:
    """A follow-up, with its microbleeds by fate, where the tracks tell them.

    Parameters
    ----------
    row
        Of the table of changes.
    later
        The later session.
    visit
        When it was, and whose.
    source
        Whose decisions it rests on.
    by_fate
        Microbleeds by what became of them; ``None``: there is no table of tracks.
    """
    counts = {
        f"{fate}_{kind}": number
        for fate, rows in (by_fate or {}).items()
        for kind, number in by_kind(rows).items()
    }
    return {**vars(row), **counts, **_followed(later, visit, source)}


def change_long_rows(
    row: ChangeRow,
    later: Record,
    visit: GroupVisit,
    source: DecisionSource,
    by_fate: Mapping[TrackFate, Sequence[TrackRow]],
) -> Iterator[dict[str, Any]]:
    """A follow-up, a row per region and grade, zeros among them.

    Parameters
    ----------
    row
        Of the table of changes.
    later
        The later session.
    visit
        When it was, and whose.
    source
        Whose decisions it rests on.
    by_fate
        Microbleeds by what became of them.
    """
    places = [(group, region) for region, (_, group, _) in MARS_FORM.items()]
    found = Counter(
        (fate, place_of_track(one)[:2], str(one.grade))
        for fate, rows in by_fate.items()
        for one in rows
    )
    places += sorted({place for _, place, _ in found} - set(places))
    first = {
        **_followed(later, visit, source),
        "protocol_changed": row.protocol_changed,
        "processing_changed": row.processing_changed,
    }
    for group, region in places:
        for grade in COUNTED:
            counts = {fate.value: found[fate, (group, region), str(grade)] for fate in TrackFate}
            yield {**first, "group": group, "region": region, "grade": grade, **counts}


def track_row(
    row: TrackRow, record: Record, visit: GroupVisit, source: DecisionSource, baseline: str
) -> dict[str, Any]:
    """A microbleed in a session that has follow-ups or is one.

    Parameters
    ----------
    row
        Of the table of tracks.
    record
        The session.
    visit
        When it was, and whose.
    source
        Whose decisions it rests on.
    baseline
        Name of the participant's first session.
    """
    return {**vars(row), **_followed(record, visit, source), "baseline_session_id": baseline}


def _followed(record: Record, visit: GroupVisit, source: DecisionSource) -> dict[str, Any]:
    return {**vars(record.protocol), **about(record, visit), **vars(source)}


def problem_row(problem: Problem, out_dir: Path) -> dict[str, Any]:
    """Make the row of what could not be read or used.

    Parameters
    ----------
    problem
        File, reason, and the session where it is known.
    out_dir
        Output folder of the app; paths below it are written relative to it.
    """
    files, path = problem.files, problem.path
    inside = path.is_relative_to(out_dir)
    return {
        **(identity(files.participant, files.session) if files else {}),
        "file": path.relative_to(out_dir) if inside else path,
        "reason": problem.reason,
    }
