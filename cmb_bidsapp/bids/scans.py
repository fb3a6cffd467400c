"""What the choice of scans works on and returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cmb_bidsapp.core.contrast import Contrast


@dataclass(frozen=True, kw_only=True)
class Scan:
    """One image of the dataset with its BIDS entities and metadata.

    Attributes
    ----------
    shown_mm
        Shortest side of the field of view.
    notes
        What was made of doubtful metadata; told where the scan is used.
    problem
        Why the image cannot be used; a session that has no other fails for this reason.
    unfit
        Why the image is not what is looked for (a phase image, a localizer); never used.
    """

    path: Path
    entities: Mapping[str, Any]
    metadata: Mapping[str, Any]
    voxel_mm3: float
    shown_mm: float = float("inf")
    notes: tuple[str, ...] = ()
    problem: str | None = None
    unfit: str | None = None

    @property
    def session(self) -> str | None:
        """Label of its session."""
        label = self.entities.get("session")
        return None if label is None else str(label)


@dataclass(frozen=True)
class Rejected:
    """An image, session or participant that was looked at and not used."""

    path: Path
    reason: str


@dataclass(frozen=True, kw_only=True)
class Session:
    """What will be processed together.

    Attributes
    ----------
    scans
        The images by what they show: a T2*w and, where there is one, a T1w.
    phase
        Phase image of the T2*w, where there is one; whether it can be used is not known yet.
    """

    participant: str
    session: str | None
    scans: Mapping[Contrast, Scan]
    notes: tuple[str, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    phase: Scan | None = None

    @property
    def label(self) -> str:
        """``sub-01`` or ``sub-01_ses-A``."""
        return f"sub-{self.participant}" + (f"_ses-{self.session}" if self.session else "")

    @property
    def problem(self) -> str | None:
        """Why the session cannot be processed, where its headers and names tell."""
        return next((scan.problem for scan in self.scans.values() if scan.problem), None)

    @property
    def t2star(self) -> Scan:
        """The image that microbleeds are looked for in."""
        return self.scans[Contrast.T2STARW]

    @property
    def t1w(self) -> Scan | None:
        """The T1w, where there is one."""
        return self.scans.get(Contrast.T1W)


@dataclass(frozen=True)
class Participant:
    """All sessions of a participant together, as follow-ups take them.

    No session of a dataset without sessions: that is a :class:`Session` whose label is ``None``.
    """

    participant: str
    session: None = field(default=None, init=False)

    @property
    def label(self) -> str:
        """``sub-01``."""
        return f"sub-{self.participant}"


#: What one process works on.
Unit = Session | Participant


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Sessions to process, and what there is besides.

    Attributes
    ----------
    skipped
        Participants and sessions that have nothing to process.
    failed
        Folders that hold images and cannot be processed, such as those with an invalid label.
    notes
        What else was asked for and not found.
    """

    sessions: tuple[Session, ...]
    skipped: tuple[Rejected, ...]
    failed: tuple[Rejected, ...] = ()
    notes: tuple[str, ...] = ()
