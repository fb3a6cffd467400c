"""What the command line of a verb asks for: the common ground of all requests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Request:
    """Options of a verb, frozen. Fields have the names of the options; lists are tuples."""

    def problems(self) -> list[str]:
        """What is wrong with it beside numbers out of range, one line each."""
        return []
