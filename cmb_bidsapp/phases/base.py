"""What every phase has: inputs, parameters, a function from files to files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.inputs import Session
from cmb_bidsapp.settings import Settings

#: Tells the person what is being done.
Step = Callable[[str], None]


@dataclass(frozen=True)
class Result:
    """What a phase wrote, facts for the report, and what a person must be told."""

    outputs: tuple[Path, ...]
    info: dict[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Phase:
    """A phase with what its result depends on."""

    name: str
    run: Callable[[Session, SessionFiles, Settings, Step], Result]
    inputs: Callable[[Session, SessionFiles, Settings], list[Path]]
    parameters: Callable[[Settings, Session], dict[str, Any]]
