"""How a level ended."""

from __future__ import annotations

from dataclasses import dataclass

from cmb_bidsapp.runtime.errors import ExitCode


@dataclass(frozen=True)
class Summary:
    """Counts of sessions for the last line, and the exit code."""

    ok: int = 0
    failed: int = 0
    skipped: int = 0
    code: int = ExitCode.OK
