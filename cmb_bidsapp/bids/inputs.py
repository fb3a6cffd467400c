"""Choice of scans: a stated rule picks one T2*w and one T1w per session.

T2*w: one that shows the head before one that shows a part of it; ``T2starw`` before
``MEGRE``/``GRE`` before SWI; without contrast agent before with; of several echoes the one nearest
to 22.5 ms. T1w: of the same session, else of the participant's first session that has one. Among
equals the smaller voxel wins, then the lower run, then the name. What is no magnitude or shows
next to nothing is never taken; an image that cannot be used ranks behind all that can.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from cmb_bidsapp.bids.filters import Filters, matches
from cmb_bidsapp.bids.index import participants_in, printable, scans_of
from cmb_bidsapp.bids.kinds import PHASE, kind_of, without_kind
from cmb_bidsapp.bids.ranking import T2STAR_SUFFIXES, is_swi, pick
from cmb_bidsapp.bids.scans import Choice, Rejected, Scan, Session
from cmb_bidsapp.bids.sidecars import Sidecars
from cmb_bidsapp.bids.text import read_json
from cmb_bidsapp.bids.times import natural
from cmb_bidsapp.core.contrast import Contrast
from cmb_bidsapp.core.errors import DataError, NoInputError, classify, lacks_memory

__all__ = [
    "T2STAR_SUFFIXES",
    "Choice",
    "Rejected",
    "Scan",
    "Session",
    "check_dataset",
    "choose",
    "choose_participant",
    "is_swi",
    "participants_in",
]

LOG = logging.getLogger(__name__)

#: Images that look like what is looked for, and why they are not used unless a filter asks.
NOT_USED = {
    "UNIT1": 'UNIT1 is no T1w by name; the filter {"t1w": {"suffix": "UNIT1"}} takes it as one',
    "minIP": "a minimum intensity projection",
    "T2star": 'an old name of T2*w and maps; the filter {"t2starw": {"suffix": "T2star"}} takes it',
}


def choose(
    bids_dir: Path,
    *,
    participants: Sequence[str] = (),
    excluded: Sequence[str] = (),
    sessions: Sequence[str] = (),
    filters: Filters | None = None,
) -> Choice:
    """Find and choose the scans to process.

    Parameters
    ----------
    bids_dir
        The raw dataset.
    participants, excluded
        Labels without ``sub-``: those that are wanted (all where none is given), and those not.
    sessions
        Labels without ``ses-``; empty: all.
    filters
        Entities that images must have, by contrast, as in a BIDS filter file.

    Raises
    ------
    NoInputError
        The dataset lacks what was asked for, or has nothing to process at all.
    DataError
        All there is lies in folders that cannot be used.
    """
    present = participants_in(bids_dir)
    if not present:
        raise NoInputError(f"{bids_dir} has no sub-* folders; is it a BIDS dataset?")
    there, left_out = set(present), set(excluded)
    missing = [p for p in participants if p not in there]
    if missing:
        raise NoInputError(
            f"{bids_dir} has no sub-{', sub-'.join(missing)}; it has {_some('sub', present)}"
        )
    wanted = [p for p in (participants or present) if p not in left_out]
    if not wanted:
        raise NoInputError("every participant is excluded")
    chosen: list[Session] = []
    skipped: list[Rejected] = []
    failed: list[Rejected] = []
    labels: set[str] = set()
    sidecars, suffixes = Sidecars(bids_dir), _suffixes(filters or {})
    for participant in wanted:
        try:
            images, unusable = scans_of(bids_dir, participant, suffixes, sidecars)
            found, empty = choose_participant(participant, images, sessions, filters or {})
        except Exception as error:  # Of whatever kind: the others are not to blame for it.
            if lacks_memory(error):
                raise
            LOG.debug("sub-%s", participant, exc_info=True)
            why = f"failed to choose among its images ({classify(error)[1]})"
            failed.append(Rejected(Path(f"sub-{participant}"), why))
            continue
        labels |= {image.session for image in images if image.session is not None}
        chosen += found
        if sessions:
            asked = {participant, *sessions}
            unusable = [one for one in unusable if one.path.name[4:] in asked]
        # Why a folder could not be used says more than that nothing was found.
        skipped += empty if images or not unusable else ()
        failed += unusable
    nobody = [f"ses-{s}" for s in sessions if s not in labels]
    absent = f"no participant has {', '.join(nobody)}; available are {_some('ses', labels)}"
    if not chosen:
        if not failed and nobody and len(nobody) == len(sessions):
            raise NoInputError(f"{bids_dir}: {absent}")
        raise _nothing_to_process(bids_dir, len(wanted), skipped, failed)
    return Choice(
        sessions=tuple(chosen),
        skipped=tuple(skipped),
        failed=tuple(failed),
        notes=(absent,) if nobody else (),
    )


def _nothing_to_process(
    bids_dir: Path, participants: int, skipped: Sequence[Rejected], failed: Sequence[Rejected]
) -> DataError | NoInputError:
    """Why none of the participants has a session, by the first few reasons."""
    if failed:
        return DataError("; ".join(f"{bids_dir}/{_said(one)}" for one in failed[:3]))
    reasons = "; ".join(map(_said, skipped[:3]))
    return NoInputError(
        f"{bids_dir}: no T2*w to process (looked for suffixes {', '.join(T2STAR_SUFFIXES)}"
        f" in {participants} participants). {reasons}"
    )


def _said(one: Rejected) -> str:
    return f"{printable(str(one.path))}: {one.reason}"


def _some(entity: str, labels: Collection[str], most: int = 5) -> str:
    more = f" and {len(labels) - most} more" if len(labels) > most else ""
    some = sorted(labels, key=natural)[:most]
    return (", ".join(f"{entity}-{printable(label)}" for label in some) or f"no {entity}-*") + more


def _suffixes(filters: Filters) -> set[str]:
    """Suffixes of all images that may be chosen, or are told not to be."""
    asked = [rule.get("suffix") for rule in filters.values()]
    more = {str(one) for value in asked for one in (value if isinstance(value, list) else [value])}
    return {"T1w", *T2STAR_SUFFIXES, *NOT_USED} | more


def choose_participant(
    participant: str, images: Sequence[Scan], sessions: Sequence[str], filters: Filters
) -> tuple[list[Session], list[Rejected]]:
    """Apply the rule of this module to the images of one participant.

    Parameters
    ----------
    participant
        Label without ``sub-``.
    images
        All of the participant.
    sessions
        Labels without ``ses-``; empty: all.
    filters
        Entities that images must have, by contrast.
    """
    t1w, rejected = _candidates(images, ("T1w",), filters.get("t1w", {}))
    t2star: list[Scan] = []
    wanted = filters.get("t2starw", {})
    for are_swi, rule in ((False, wanted), (True, filters.get("swi", wanted))):
        of_kind = [image for image in images if is_swi(image) == are_swi]
        accepted, dropped = _candidates(of_kind, T2STAR_SUFFIXES, rule)
        t2star += accepted
        rejected = rejected + dropped
    used = {scan.path for scan in (*t1w, *t2star)}
    told = used | {scan.path for scan, _ in rejected}
    rejected += [
        (scan, _not_meant(str(scan.entities["suffix"]))) for scan in images if scan.path not in told
    ]
    labels = sorted({s.session for s in images}, key=lambda label: natural(label or ""))
    found: list[Session] = []
    lacking: list[Rejected] = []
    for label in labels:
        if sessions and label not in sessions:
            continue
        folder = Path(f"sub-{participant}" + (f"/ses-{label}" if label else ""))
        unused = [Rejected(s.path, why) for s, why in rejected if s.session == label]
        here = [s for s in t2star if s.session == label]
        if not here:
            seen = "; ".join(f"{r.path.name}: {r.reason}" for r in unused)
            lacking.append(Rejected(folder, "no T2*w image" + (f" ({seen})" if seen else "")))
            continue
        best = pick(here)
        unused += best.rejected
        notes = list(best.notes)
        own = [s for s in t1w if s.session == label]
        scans = {Contrast.T2STARW: best.scan}
        if own:
            picked = pick(own)
            unused += picked.rejected
        elif t1w:
            picked = pick(t1w, nearest_session=True)
            where = f"ses-{picked.scan.session}" if picked.scan.session else "no session"
            notes.append(f"using the T1w of {where}, because this session has none")
        if t1w:
            scans[Contrast.T1W] = picked.scan
            notes += picked.notes
        else:
            seen = "; ".join(f"{s.path.name}: {why}" for s, why in rejected if not _is_t2star(s))
            why = f" ({seen})" if seen else ""
            notes.append(f"no T1w{why}; using only the T2*w, so regions are less certain")
        phase = phase_of(best.scan, [image for image in images if image.session == label])
        if phase is not None:
            unused = [one for one in unused if one.path != phase.path]
        found.append(
            Session(
                participant=participant,
                session=label,
                scans=scans,
                notes=tuple(notes),
                rejected=tuple(unused),
                phase=phase,
            )
        )
    if not labels:
        lacking.append(Rejected(Path(f"sub-{participant}"), "no T1w and no T2*w image"))
    return found, lacking


def phase_of(t2star: Scan, images: Sequence[Scan]) -> Scan | None:
    """Find the phase image that was acquired with a T2*w: the same name, but for what says phase.

    Parameters
    ----------
    t2star
        T2*w image whose phase is wanted.
    images
        Images of the same session to choose from.

    Returns
    -------
    phase
        The match, one without a problem where there is a choice; ``None`` where there is none.
    """
    own = without_kind(t2star.entities)
    found = [
        image
        for image in images
        if (kind_of(image.entities, image.metadata) or ("",))[0] == PHASE
        and image.path != t2star.path
        and without_kind(image.entities) == own
    ]
    return min(found, key=lambda image: (image.problem is not None, image.path.name), default=None)


def _is_t2star(scan: Scan) -> bool:
    suffix = str(scan.entities["suffix"]).lower()
    return suffix in map(str.lower, (*T2STAR_SUFFIXES, "minIP", "T2star"))


def _not_meant(suffix: str) -> str:
    """Why an image with such a suffix is not used unless a filter asks."""
    same = [one for one in ("T1w", *T2STAR_SUFFIXES) if one.lower() == suffix.lower()]
    return NOT_USED.get(suffix) or f"its suffix is {suffix}" + (f", not {same[0]}" if same else "")


def _candidates(
    images: Sequence[Scan], suffixes: Sequence[str], wanted: Mapping[str, Any]
) -> tuple[list[Scan], list[tuple[Scan, str]]]:
    accepted, rejected = [], []
    asked = wanted.get("suffix", "*")
    if "*" not in (asked := asked if isinstance(asked, list) else [asked]):
        suffixes = [*suffixes, *asked]
    for image in images:
        if image.entities.get("suffix") not in suffixes:
            continue
        if image.unfit:
            rejected.append((image, image.unfit))
        elif not matches(image.entities, wanted):
            rejected.append((image, "the filter file excludes it"))
        else:
            accepted.append(image)
    return accepted, rejected


def check_dataset(bids_dir: Path) -> tuple[str, ...]:
    """Refuse folders that are no BIDS dataset, with the reason; returns what is odd about it.

    Raises
    ------
    NoInputError, DataError
        The folder is missing, or its description is unreadable.
    """
    if not bids_dir.is_dir():
        raise NoInputError(f"BIDS_DIR {bids_dir} is not a folder")
    description = bids_dir / "dataset_description.json"
    if not description.is_file():
        raise DataError(f"{description} is missing; BIDS_DIR must be the root of a dataset")
    try:
        content = read_json(description)
    except ValueError as error:
        raise DataError(f"{description} cannot be used: {error}") from error
    if content.get("DatasetType") == "derivative":
        return (f"{description} describes derivatives; BIDS_DIR must be a raw dataset",)
    return ()
