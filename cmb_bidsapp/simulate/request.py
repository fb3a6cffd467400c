"""What the ``simulate`` verb is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cmb_bidsapp.core.request import Request


class Kept(StrEnum):
    """What is left of a head."""

    WHOLE = "whole"
    PARTLY = "partly"
    """The brain, and skull and eyes in places."""
    BRAIN = "brain"


@dataclass(frozen=True, kw_only=True)
class SimulationRequest(Request):
    """A cohort to simulate; see ``cmb_bidsapp simulate --help``."""

    output_dir: Path
    label_maps: tuple[Path, ...] | None
    participants: int
    protocol: tuple[str, ...]
    microbleeds: tuple[int, int]
    share_without_microbleeds: float
    sessions: int
    new: tuple[int, int]
    unchanged: float
    follow_up_protocol: tuple[str, ...]
    texture: tuple[Path, ...]
    phase: bool
    head: str
    t1w_on_t2star: bool
    nprocs: int
    random_seed: int
