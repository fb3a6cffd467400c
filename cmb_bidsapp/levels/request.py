"""What the verb doctor is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cmb_bidsapp.core.request import Request
from cmb_bidsapp.core.resources import parse_memory


@dataclass(frozen=True, kw_only=True)
class DoctorRequest(Request):
    """What a run is going to ask of the machine; fields are the options of both.

    ``output_dir``: ``None`` where no output folder is to be looked at.
    """

    output_dir: Path | None
    work_dir: Path | None
    model: str
    parcellation: str
    brain_extraction: str
    fs_license_file: Path | None
    device: str
    nprocs: int | None
    mem: str | None
    json: bool

    def problems(self) -> list[str]:
        """Name an amount of memory that is none."""
        try:
            parse_memory(self.mem or "1")
        except ValueError as error:
            return [f"--mem: {error}"]
        return []
