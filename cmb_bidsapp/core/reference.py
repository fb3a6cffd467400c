"""Published work, as texts cite it."""

from __future__ import annotations

from typing import NamedTuple


class Reference(NamedTuple):
    """How a text names it (``Fischl, 2012``), and the entry of the list of references."""

    short: str
    full: str
