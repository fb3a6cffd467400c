"""What a parcellation backend is: the kind of thing that ``--parcellation`` names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cmb_bidsapp.anatomy.existing import ExistingParcellation
from cmb_bidsapp.core.reference import Reference


@dataclass(frozen=True, kw_only=True)
class ParcellationRequest:
    """What a person asks of the parcellation.

    Attributes
    ----------
    wanted
        Name of the backend, a key of :data:`cmb_bidsapp.anatomy.backends.BACKENDS`.
    given
        Folders of other apps' outputs, best first.
    subjects_dir
        Where FreeSurfer subjects lie that are made here.
    sourcedata
        Where outputs of other programs that are made here lie, each program's in a folder.
    license_file
        FreeSurfer's license.
    run, resume
        Whether recon-all may run at all, and go on with an unfinished subject.
    """

    wanted: str
    given: tuple[Path, ...]
    subjects_dir: Path
    sourcedata: Path
    license_file: Path | None = None
    run: bool = True
    resume: bool = True


@dataclass(frozen=True, kw_only=True)
class ParcellationSource:
    """The T1w that is to be labeled, and what may be used for it.

    ``device`` is ``cpu``, ``cuda`` or ``cuda:N``; ``step`` is told what begins.
    """

    t1w: Path
    participant: str
    session: str | None
    threads: int
    device: str
    step: Callable[[str], None]

    @property
    def label(self) -> str:
        """``sub-01`` or ``sub-01_ses-A``."""
        return f"sub-{self.participant}" + (f"_ses-{self.session}" if self.session else "")


class Backend(Protocol):
    """A way to a parcellation.

    A new one is a module with such a class, and an entry of
    :data:`cmb_bidsapp.anatomy.backends.BACKENDS`; nothing else knows their names.
    """

    @property
    def help(self) -> str:
        """What it does, for ``--help``."""

    @property
    def cite(self) -> Mapping[str, tuple[Reference, ...]]:
        """The kinds of outputs that satisfy it, each with what a text cites for it."""

    @property
    def program(self) -> str | None:
        """The program that it runs where there is nothing to reuse; ``None``: it runs none."""

    @property
    def licensed(self) -> bool:
        """Whether that program asks for FreeSurfer's license."""

    def outputs(
        self, folder: Path, participant: str, session: str | None
    ) -> Iterator[ExistingParcellation]:
        """Outputs in a folder that satisfy it, whoever has made them, best first.

        Parameters
        ----------
        folder
            Such as FreeSurfer's SUBJECTS_DIR, or BIDS derivatives.
        participant, session
            Labels without ``sub-`` and ``ses-``; a session of ``None``: those of no session.
        """

    def find(
        self, request: ParcellationRequest, participant: str, session: str | None
    ) -> ExistingParcellation | None:
        """Output that is there and satisfies it, best first.

        Parameters
        ----------
        request
            What is wanted, and the folders to look in.
        participant, session
            Labels without ``sub-`` and ``ses-``; a session of ``None``: the dataset has none.
        """

    def make(self, request: ParcellationRequest, source: ParcellationSource) -> None:
        """Run the program; :meth:`find` finds what it has left.

        Parameters
        ----------
        request
            What is wanted, and where the output goes.
        source
            The T1w that is labeled.
        """


def existing(
    backend: Backend, folders: Iterable[Path], participant: str, session: str | None
) -> Iterator[ExistingParcellation]:
    """Outputs of a backend in some folders: of the session, then of its participant, best first.

    Parameters
    ----------
    backend
        Whose outputs will do.
    folders
        Outputs of other apps, best first.
    participant, session
        Labels without ``sub-`` and ``ses-``.
    """
    for folder in folders:
        # A session without one of its own takes the participant's.
        for label in dict.fromkeys((session, None)):
            yield from backend.outputs(folder, participant, label)
