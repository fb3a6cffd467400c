"""What a command line of the verb asks for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cmb_bidsapp.core.request import Request


@dataclass(frozen=True, kw_only=True)
class SensitivityRequest(Request):
    """Options of ``cmb_bidsapp sensitivity``, by their names."""

    output_dir: Path
    draws: int
    model: str | None
    folds: tuple[str, ...]
    nprocs: int | None
    device: str
    force: bool
    random_seed: int
    participant_label: tuple[str, ...]
    exclude_participant_label: tuple[str, ...]

    def problems(self) -> list[str]:
        """Name a folder that is not there."""
        there = self.output_dir.is_dir()
        return [] if there else [f"OUTPUT_DIR {self.output_dir}: not a folder"]
