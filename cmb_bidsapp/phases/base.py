"""What every phase has: inputs, parameters, a function from files to files; a head in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.scans import Unit
from cmb_bidsapp.preprocess.brain import BrainImage
from cmb_bidsapp.settings import Settings

if TYPE_CHECKING:  # torch
    from cmb_bidsapp.anatomy.network import AnatomySegmentation

U = TypeVar("U", bound=Unit, contravariant=True)

#: Tells the person what is being done.
Step = Callable[[str], None]


@dataclass(frozen=True)
class Result:
    """What a phase wrote, and what a person must be told; sidecars keep both."""

    outputs: tuple[Path, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Phase(Generic[U]):
    """A phase of a session, or of a participant, with what its result depends on."""

    name: str
    run: Callable[[U, SessionFiles, Settings, Step], Result]
    inputs: Callable[[U, SessionFiles, Settings], list[Path]]
    parameters: Callable[[Settings, U], dict[str, Any]]
    version: int = field(kw_only=True)
    """Higher whenever the code may make other results: finished sessions are then made again."""

    def depends_on(self, settings: Settings, unit: U) -> dict[str, Any]:
        """Everything but the inputs that the results depend on, the code by its version.

        Parameters
        ----------
        settings
            Settings of the run.
        unit
            Session, or participant for the follow-ups.
        """
        return {"version": self.version, **self.parameters(settings, unit)}


@dataclass(frozen=True, eq=False, kw_only=True)
class PreparedHead(BrainImage):
    """An image after brain extraction and bias correction, on its own grid."""

    anatomy: AnatomySegmentation
    about: Mapping[str, Any]
