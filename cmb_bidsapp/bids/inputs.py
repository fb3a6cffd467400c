"""Choice of scans: pybids finds them, a stated rule picks one T2*w and one T1w per session.

T2*w: ``T2starw`` before ``MEGRE``/``GRE`` before SWI; phase, real and imaginary parts never. Of
several echoes the one nearest to 22.5 ms. T1w: of the same session, else of the participant's
first session that has one. Among equals the smaller voxel wins, then the lower run, then the name.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cmb_bidsapp.bids.filters import Filters, matches
from cmb_bidsapp.core.errors import DataError, NoInputError

if TYPE_CHECKING:
    from bids import BIDSLayout

#: T2*w-like suffixes, best first; an acquisition label with "swi" ranks behind them all.
T2STAR_SUFFIXES = ("T2starw", "MEGRE", "GRE", "swi", "SWI")
#: Echo time in ms that shows microbleeds best at 3 T.
IDEAL_ECHO_MS = 22.5
#: Data types that never hold what is looked for; left unindexed.
OTHER_DATATYPES = "func|dwi|fmap|perf|eeg|meg|ieeg|pet|micr|nirs|motion|beh|mrs"


@dataclass(frozen=True)
class Scan:
    """One image of the dataset with its BIDS entities and metadata."""

    path: Path
    entities: Mapping[str, Any]
    metadata: Mapping[str, Any]
    voxel_mm3: float


@dataclass(frozen=True)
class Rejected:
    """An image that was looked at and not used."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Session:
    """What will be processed together: one T2*w and, where there is one, a T1w."""

    participant: str
    session: str | None
    t2star: Scan
    t1w: Scan | None
    notes: tuple[str, ...] = ()
    rejected: tuple[Rejected, ...] = ()

    @property
    def label(self) -> str:
        """``sub-01`` or ``sub-01_ses-A``."""
        return f"sub-{self.participant}" + (f"_ses-{self.session}" if self.session else "")


@dataclass(frozen=True)
class Choice:
    """Sessions to process, and participants or sessions that have nothing to process."""

    sessions: tuple[Session, ...]
    skipped: tuple[Rejected, ...]


def participants_in(bids_dir: Path) -> tuple[str, ...]:
    """Labels of the participant folders of a dataset, sorted."""
    return tuple(sorted(p.name.removeprefix("sub-") for p in bids_dir.glob("sub-*") if p.is_dir()))


def open_layout(
    bids_dir: Path, participants: Sequence[str], database: Path | None = None
) -> BIDSLayout:
    """Index the given participants only, and of them only anatomical images."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from bids import BIDSLayout, BIDSLayoutIndexer

        logging.getLogger("bids-schema").setLevel(logging.ERROR)
        others = sorted(set(participants_in(bids_dir)) - set(participants))
        ignored = [
            re.compile(rf"/({OTHER_DATATYPES})(/|$)"),
            re.compile(r"^/(derivatives|sourcedata|code|stimuli|models)(/|$)"),
            re.compile(r"/\."),
        ]
        if others:
            ignored.append(re.compile(rf"^/sub-({'|'.join(map(re.escape, others))})(/|$)"))
        indexer = BIDSLayoutIndexer(validate=False, ignore=ignored, index_metadata=True)
        if database is not None:
            # An index holds the participants it was made for, and no others.
            database = database / hashlib.sha256(",".join(participants).encode()).hexdigest()[:12]
        try:
            return BIDSLayout(bids_dir, validate=False, indexer=indexer, database_path=database)
        except OSError as error:
            # pybids stops at a damaged sidecar and names it.
            raise DataError(" ".join(str(error).split())) from error


def choose(
    bids_dir: Path,
    *,
    participants: Sequence[str] = (),
    excluded: Sequence[str] = (),
    sessions: Sequence[str] = (),
    filters: Filters | None = None,
    database: Path | None = None,
) -> Choice:
    """Find and choose the scans to process.

    Raises
    ------
    NoInputError
        The dataset lacks what was asked for, or has nothing to process at all.
    """
    present = participants_in(bids_dir)
    if not present:
        raise NoInputError(f"{bids_dir} has no sub-* folders; is it a BIDS dataset?")
    missing = [p for p in participants if p not in present]
    if missing:
        raise NoInputError(
            f"{bids_dir} has no sub-{', sub-'.join(missing)}; it has {_some(present)}"
        )
    wanted = [p for p in (participants or present) if p not in excluded]
    if not wanted:
        raise NoInputError("every participant is excluded")
    layout = open_layout(bids_dir, wanted, database)
    chosen: list[Session] = []
    skipped: list[Rejected] = []
    for participant in wanted:
        files = layout.get(subject=participant, extension=[".nii", ".nii.gz"])
        own = (bids_dir / f"sub-{participant}").resolve()
        # Folders only: an image of a DataLad dataset is a link to its annex.
        images = [_scan(f) for f in files if Path(f.path).parent.resolve().is_relative_to(own)]
        found, lacking = choose_participant(participant, images, sessions, filters or {})
        chosen += found
        skipped += lacking
    if not chosen:
        reasons = "; ".join(f"{r.path}: {r.reason}" for r in skipped[:3])
        raise NoInputError(
            f"{bids_dir}: no T2*w to process (looked for suffixes {', '.join(T2STAR_SUFFIXES)}"
            f" in {len(wanted)} participants). {reasons}"
        )
    return Choice(tuple(chosen), tuple(skipped))


def _some(labels: Sequence[str], most: int = 5) -> str:
    more = f" and {len(labels) - most} more" if len(labels) > most else ""
    return ", ".join(f"sub-{label}" for label in labels[:most]) + more


def _scan(file: Any) -> Scan:
    """Scan of a pybids file; the header is read for the voxel size."""
    import nibabel as nib
    import numpy as np

    from cmb_bidsapp.bids.images import UNREADABLE

    path = Path(file.path)
    try:
        zooms = nib.load(path).header.get_zooms()[:3]
        voxel = float(np.prod(zooms))
    except UNREADABLE:
        # It ranks last; where it is chosen all the same, reading it tells the cause.
        voxel = float("inf")
    entities = dict(file.get_entities(metadata=False))
    return Scan(path, entities, dict(file.get_metadata()), voxel)


def choose_participant(
    participant: str, images: Sequence[Scan], sessions: Sequence[str], filters: Filters
) -> tuple[list[Session], list[Rejected]]:
    """Apply the rule of this module to the images of one participant."""
    t1w, t1w_rejected = _candidates(images, ("T1w",), filters.get("t1w", {}))
    t2star, rejected = [], t1w_rejected
    wanted = filters.get("t2starw", {})
    for are_swi, rule in ((False, wanted), (True, filters.get("swi", wanted))):
        of_kind = [image for image in images if is_swi(image) == are_swi]
        accepted, dropped = _candidates(of_kind, T2STAR_SUFFIXES, rule)
        t2star += accepted
        rejected = rejected + dropped
    labels = sorted(
        {_label(s) for s in [*t1w, *t2star]} | {_label_of(r.path) for r in rejected},
        key=lambda label: label or "",
    )
    found: list[Session] = []
    lacking: list[Rejected] = []
    for label in labels:
        if sessions and label not in sessions:
            continue
        here = sorted((s for s in t2star if _label(s) == label), key=_rank_t2star)
        folder = Path(f"sub-{participant}" + (f"/ses-{label}" if label else ""))
        dropped = [r for r in rejected if _label_of(r.path) == label]
        if not here:
            seen = "; ".join(f"{r.path.name}: {r.reason}" for r in dropped)
            lacking.append(Rejected(folder, "no T2*w image" + (f" ({seen})" if seen else "")))
            continue
        best = here[0]
        dropped += [Rejected(s.path, _why_not(s, best)) for s in here[1:]]
        notes: list[str] = []
        own = sorted((s for s in t1w if _label(s) == label), key=_rank_t1w)
        other = sorted((s for s in t1w if _label(s) != label), key=_rank_t1w_other)
        if own:
            dropped += [Rejected(s.path, _why_not(s, own[0])) for s in own[1:]]
        elif other:
            where = f"ses-{_label(other[0])}" if _label(other[0]) else "no session"
            notes.append(f"T1w is of {where}: this session has none")
        else:
            notes.append("no T1w: T2*w alone, regions are less certain")
        anatomical = next(iter(own or other), None)
        found.append(Session(participant, label, best, anatomical, tuple(notes), tuple(dropped)))
    if not labels:
        lacking.append(Rejected(Path(f"sub-{participant}"), "no T1w and no T2*w image"))
    return found, lacking


def _candidates(
    images: Sequence[Scan], suffixes: Sequence[str], wanted: Mapping[str, Any]
) -> tuple[list[Scan], list[Rejected]]:
    accepted, rejected = [], []
    asked = wanted.get("suffix", "*")
    if asked != "*":
        suffixes = asked if isinstance(asked, list) else [asked]
    for image in images:
        if image.entities.get("suffix") not in suffixes:
            continue
        part = image.entities.get("part")
        if part not in (None, "mag"):
            rejected.append(Rejected(image.path, f"part-{part} is not magnitude"))
        elif not matches(image.entities, wanted):
            rejected.append(Rejected(image.path, "the filter file excludes it"))
        else:
            accepted.append(image)
    return accepted, rejected


def _label(scan: Scan) -> str | None:
    session = scan.entities.get("session")
    return None if session is None else str(session)


def _label_of(path: Path) -> str | None:
    found = re.search(r"_ses-([0-9A-Za-z+]+)", path.name)
    return found.group(1) if found else None


def _run(scan: Scan) -> int:
    run = scan.entities.get("run")
    return int(run) if run is not None and str(run).isdecimal() else 0


def is_swi(scan: Scan) -> bool:
    """Whether suffix or acquisition say that a scan is susceptibility-weighted."""
    names = (scan.entities.get("suffix"), scan.entities.get("acquisition"))
    return any("swi" in str(name).lower() for name in names)


def _kind(scan: Scan) -> int:
    suffix = scan.entities["suffix"]
    if is_swi(scan) and suffix.lower() != "swi":
        return len(T2STAR_SUFFIXES)
    # Only a filter file lets another suffix in.
    return T2STAR_SUFFIXES.index(suffix) if suffix in T2STAR_SUFFIXES else len(T2STAR_SUFFIXES)


def _echo_distance(scan: Scan) -> float:
    """Distance from the ideal echo time, ms; only multi-echo images are told apart by it."""
    echo = scan.metadata.get("EchoTime")
    if scan.entities.get("echo") is None or not isinstance(echo, int | float):
        return 0.0
    return abs(1000 * float(echo) - IDEAL_ECHO_MS)


def _rank_t2star(scan: Scan) -> tuple[int, float, float, int, str]:
    return _kind(scan), _echo_distance(scan), scan.voxel_mm3, _run(scan), scan.path.name


def _rank_t1w(scan: Scan) -> tuple[float, int, str]:
    return scan.voxel_mm3, _run(scan), scan.path.name


def _rank_t1w_other(scan: Scan) -> tuple[str, float, int, str]:
    return (_label(scan) or "", *_rank_t1w(scan))


def _why_not(scan: Scan, best: Scan) -> str:
    """The first criterion of the rule that ``scan`` loses to ``best`` on."""
    name = best.path.name
    if scan.entities.get("suffix") != "T1w":
        if _kind(scan) != _kind(best):
            return f"{name} is of a better kind"
        if _echo_distance(scan) != _echo_distance(best):
            return f"{name} has the better echo time"
    if scan.voxel_mm3 != best.voxel_mm3:
        return f"{name} has smaller voxels"
    return f"{name} has the lower run" if _run(scan) != _run(best) else f"{name} comes first"


def check_dataset(bids_dir: Path) -> None:
    """Refuse folders that are no BIDS dataset, with the reason.

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
        json.loads(description.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{description} is not valid JSON ({error})") from error
