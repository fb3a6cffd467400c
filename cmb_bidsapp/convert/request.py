"""What the ``convert`` verb is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cmb_bidsapp.core.request import Request


@dataclass(frozen=True, kw_only=True)
class ConversionRequest(Request):
    """Data of the VALDO challenge, and the BIDS dataset they become."""

    valdo_dir: Path
    bids_dir: Path

    def problems(self) -> list[str]:
        """Name a folder that is missing, or that would change."""
        source, target = self.valdo_dir.resolve(), self.bids_dir.resolve()
        if not source.is_dir():
            return [f"VALDO_DIR {source}: not a folder"]
        if source in [target, *target.parents]:
            return [f"BIDS_DIR {target} is VALDO_DIR or inside it; choose a folder outside"]
        return []
