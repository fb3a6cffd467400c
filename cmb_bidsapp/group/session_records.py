"""What the group level reads of a session, one session at a time: memory does not grow."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import sidecar_of
from cmb_bidsapp.bids.protocol import Protocol, read_protocol
from cmb_bidsapp.bids.stamps import altered, read_stamp, vouched
from cmb_bidsapp.bids.text import open_text
from cmb_bidsapp.bids.times import natural
from cmb_bidsapp.clinical.mars import NEEDED
from cmb_bidsapp.clinical.summary import read_warnings
from cmb_bidsapp.core.errors import ExitCode
from cmb_bidsapp.core.outcome import UNFINISHED
from cmb_bidsapp.group.rating_rows import ALGORITHM, Rating
from cmb_bidsapp.lesions.lesion import Lesion
from cmb_bidsapp.lesions.table import read_lesions


def summed_source(read: int, total: int, of: str = "sessions") -> str:
    """Source of the decisions behind a sum, in which readers decided on some items.

    Parameters
    ----------
    read
        Number of items that readers decided on.
    total
        Number of all items.
    of
        What is summed, in the plural: sessions or follow-ups.
    """
    if not read:
        return ALGORITHM
    if read == total:
        return "readers"
    return f"readers ({read} of {total} {of}), else {ALGORITHM}"


#: Phases whose results are those of a session.
PHASES = ("prepare", "segment", "decide")
#: Columns of ``logs/status.tsv`` that are read.
STATUS = ("participant_id", "session_id", "status", "message")


@dataclass(frozen=True, kw_only=True)
class Record:
    """The lesions of one session, how it was acquired, and who decided.

    Attributes
    ----------
    source
        ``algorithm``, or the readers whose decisions are in ``lesions``.
    warnings
        What must be known of the session before its numbers are used.
    mode
        How those readers read; ``None`` where nobody did, or their exports do not say so.
    said
        What was decided on each place: rows of ``group_decisions.tsv``.
    on_tracks
        What readers say of microbleeds through time at this session, each reader once.
    checked
        Whether stamps vouch that nobody has changed the results since.
    """

    files: SessionFiles
    lesions: tuple[Lesion, ...]
    protocol: Protocol
    source: str = ALGORITHM
    warnings: tuple[str, ...] = ()
    mode: str | None = None
    said: tuple[Mapping[str, object], ...] = ()
    on_tracks: tuple[Rating, ...] = ()
    checked: bool = True


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that could not be read or used, and why."""

    path: Path
    reason: str
    files: SessionFiles | None = None
    """Whose it is, where that is known."""
    left_out: bool = False
    """Whether the session is in no other table for it."""

    @classmethod
    def of(
        cls,
        error: Exception,
        path: Path,
        files: SessionFiles | None = None,
        *,
        left_out: bool = False,
    ) -> Problem:
        """Say in words what reading a file of the app's own ran into, and what to do.

        Parameters
        ----------
        error
            What was raised.
        path
            The file.
        files
            The session that it is of; ``None``: of none.
        left_out
            Whether that session is counted nowhere.
        """
        if isinstance(error, FileNotFoundError):
            cause = "the table does not exist; the session is not finished"
        elif isinstance(error, UnicodeDecodeError):
            cause = "not a text file; the file is damaged"
        else:
            cause = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return cls(
            path=path,
            reason=f"{cause}; run the participant level again",
            files=files,
            left_out=left_out,
        )

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True)
class Skipped:
    """A session that had nothing to process in the last run."""

    files: SessionFiles


#: What comes up of an output folder.
ReadSession = Record | Problem | Skipped


def records(out_dir: Path) -> Iterator[ReadSession]:
    """Read the sessions below an output folder, in the order of participants and sessions.

    Every participant that has a folder or is in ``logs/status.tsv`` comes up: a session that
    failed in the last run, or has no lesion table, is a problem.
    """
    last, status = _LastRun(), out_dir / "logs" / "status.tsv"
    try:
        last = _read_status(status)
    except (OSError, ValueError) as error:
        yield Problem.of(error, status)
    folders = _labels(out_dir, "sub")
    for participant in sorted({*folders, *last.failed, *last.skipped}):
        for session in last.skipped.get(participant, ()):
            yield Skipped(SessionFiles(out_dir, participant, session))
        reasons, present = last.failed.get(participant, {}), set[str | None]()
        if participant in folders:
            try:
                present = _sessions(out_dir / f"sub-{participant}")
            except OSError as error:
                folder = out_dir / f"sub-{participant}"
                yield Problem.of(error, folder, SessionFiles.together(out_dir, participant))
        for session in sorted({*present, *reasons}, key=lambda label: natural(label or "")):
            files = SessionFiles(out_dir, participant, session)
            if session in reasons:
                folder = files.lesions.parent.parent
                broken_off, reason = reasons[session]
                if broken_off and finished_before(files):
                    # Nothing was wrong with it but that its last run was ended.
                    told = f"{reason}; using the complete results of the previous run"
                    yield Problem(path=folder, reason=told, files=files)
                    yield from _read(files)
                    continue
                # Of follow-ups there is no session to leave out, but where there are no others.
                alone = session is not None or not present - {None}
                cause = f"{reason}; run the participant level again"
                yield Problem(path=folder, reason=cause, files=files, left_out=alone)
                continue
            yield from _read(files)


def finished_before(files: SessionFiles) -> bool:
    """Whether all results of a session are whole and of one run, as its stamps vouch."""
    stamps = (read_stamp(files.stamp(phase)) for phase in PHASES)
    return all(vouched(stamp, files.out_dir) for stamp in stamps)


def _read(files: SessionFiles) -> Iterator[ReadSession]:
    try:
        yield read_record(files)
    except (OSError, ValueError) as error:
        yield Problem.of(error, files.lesions, files, left_out=True)


def read_record(files: SessionFiles) -> Record:
    """Read one session.

    Raises
    ------
    OSError, ValueError
        The table or the sidecar of the T2*w cannot be read, is none, or is not as it was written.
    """
    lesions = read_lesions(files.lesions, NEEDED)
    image = check_as_written(files, "prepare", sidecar_of(files.t2star))
    decisions = check_as_written(files, "decide", files.lesions, files.summary)
    return Record(
        files=files,
        lesions=tuple(lesions),
        protocol=read_protocol(files),
        warnings=read_warnings(files),
        checked=image and decisions,
    )


def check_as_written(files: SessionFiles, phase: str, *paths: Path) -> bool:
    """Refuse results of a phase that somebody or something has changed since.

    Parameters
    ----------
    files
        The session's derivatives.
    phase
        Name of the phase.
    paths
        Outputs that are read; those that are there are checked.

    Returns
    -------
    checked
        Whether a stamp tells; where none does, as in a folder without ``logs``, all are taken.

    Raises
    ------
    ValueError
        Which one was changed.
    """
    stamp = read_stamp(files.stamp(phase))
    for path in altered(stamp, files.out_dir, paths):
        raise ValueError(f"{path.name} was changed after the run wrote it")
    return stamp is not None


@dataclass
class _LastRun:
    """By participant the sessions that did not end well in the last run; no others are kept.

    Attributes
    ----------
    failed
        Of each session whether it was but broken off, and why it failed. Follow-ups of a
        participant have no session.
    skipped
        Sessions that had nothing to process.
    """

    failed: dict[str, dict[str | None, tuple[bool, str]]] = field(default_factory=dict)
    skipped: dict[str, list[str | None]] = field(default_factory=dict)


def _read_status(status: Path) -> _LastRun:
    last = _LastRun()
    if not status.exists():
        return last
    with open_text(status) as stream:
        reader = csv.DictReader(stream, delimiter="\t")
        if not {*STATUS} <= {*(reader.fieldnames or ())}:
            raise ValueError(f"lacks one of {', '.join(STATUS)}")
        for row in reader:
            participant, session, outcome, message = (row[name] or "" for name in STATUS)
            participant = participant.removeprefix("sub-")
            label = None if session == "n/a" else session.removeprefix("ses-")
            # Results stand whether or not it was measured how much is found in them.
            # Only what is known to have ended well has.
            if outcome not in ("ok", "skipped") and row.get("stage") != "sensitivity":
                cause = f"{row.get('stage', 'session')} {outcome} in the last run: {message}"
                last.failed.setdefault(participant, {})[label] = (
                    row.get("exit_code") == str(int(ExitCode.INTERRUPTED)) or message == UNFINISHED,
                    cause,
                )
            elif outcome == "skipped":
                last.skipped.setdefault(participant, []).append(label)
    return last


def _labels(folder: Path, entity: str) -> set[str]:
    """Labels of the folders ``<entity>-<label>``."""
    prefix = f"{entity}-"
    with os.scandir(folder) as found:
        return {
            entry.name.removeprefix(prefix)
            for entry in found
            if entry.name.startswith(prefix) and entry.is_dir()
        }


def _sessions(folder: Path) -> set[str | None]:
    """Sessions of a participant, ``None`` for images that are in none."""
    labels: set[str | None] = {*_labels(folder, "ses")}
    return labels | {None} if not labels or (folder / "anat").is_dir() else labels
