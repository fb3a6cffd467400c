"""What is found of simulated microbleeds, as the pages show it: a line, a curve, a table."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import write_text
from cmb_bidsapp.core.defaults import MAX_DIAMETER_MM
from cmb_bidsapp.report.pages import render
from cmb_bidsapp.sensitivity.tables import (
    DIAMETERS,
    MOSTLY,
    Measured,
    SessionKind,
    curve,
    in_words,
    read_session,
    share_rows,
    threshold_in_use,
)

LOG = logging.getLogger(__name__)

#: Size of the picture, and the margins for its axes.
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 440, 220, 44, 34, 10
#: Diameters (mm) at the ends of the axis, and those that it names.
FROM_MM, TO_MM = 1.5, MAX_DIAMETER_MM
NAMED_MM, NAMED_SHARES = (2, 3, 5, 10), (0.0, 0.5, MOSTLY, 1.0)
#: Points of the curve.
POINTS = 40


@dataclass(frozen=True, kw_only=True)
class Bin:
    """A share with its interval, in pixels of the picture."""

    left: float
    right: float
    share: float
    low: float
    high: float

    @property
    def middle(self) -> float:
        """Where its interval is drawn."""
        return (self.left + self.right) / 2


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the pages show of simulated microbleeds.

    Attributes
    ----------
    words
        The line that comes first; empty where nothing of its sizes was drawn.
    rows
        See :data:`cmb_bidsapp.sensitivity.tables.SHARES`; the first is of all.
    bins, line
        Shares by diameter, and the points of the logistic curve where there is one, in pixels.
    """

    words: str
    rows: Sequence[Mapping[str, Any]]
    bins: Sequence[Bin]
    line: str

    @classmethod
    def of(cls, measured: Measured, threshold: float | None) -> Found:
        """What to show of simulated microbleeds.

        Parameters
        ----------
        measured
            All implants of a session or of a group.
        threshold
            Least peak probability of a candidate; ``None`` where sessions differ.
        """
        rows = share_rows(measured, threshold)
        by_name = {row["level"]: row for row in rows if row["by"] == "diameter"}
        bins = [
            Bin(
                left=_x(max(low, FROM_MM)),
                right=_x(high),
                share=_y(by_name[name]["sensitivity"]),
                low=_y(by_name[name]["sensitivity_low"]),
                high=_y(by_name[name]["sensitivity_high"]),
            )
            for name, low, high in DIAMETERS
            if by_name[name]["implants"]
        ]
        return cls(words=in_words(rows), rows=rows, bins=bins, line=_line(measured))

    @property
    def axes(self) -> dict[str, Any]:
        """Size of the picture, and where lines and numbers of its axes are."""
        return {
            "width": WIDTH,
            "height": HEIGHT,
            "left": LEFT,
            "right": WIDTH - 10,
            "bottom": HEIGHT - BOTTOM,
            "x": [(_x(mm), mm) for mm in NAMED_MM],
            "y": [(_y(share), share) for share in NAMED_SHARES],
            "mostly": _y(MOSTLY),
        }


def _x(mm: float) -> float:
    share = np.log(mm / FROM_MM) / np.log(TO_MM / FROM_MM)
    return round(float(LEFT + share * (WIDTH - 10 - LEFT)), 1)


def _y(share: float) -> float:
    return round(float(HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)), 1)


def _line(measured: Measured) -> str:
    fitted = curve(measured)
    if fitted is None:
        return ""
    ends = max(FROM_MM, float(measured.diameter.min())), float(measured.diameter.max())
    diameters = np.geomspace(*ends, POINTS)
    shares = 1 / (1 + np.exp(-(fitted[0] * np.log(diameters) + fitted[1])))
    return " ".join(f"{_x(d)},{_y(s)}" for d, s in zip(diameters, shares, strict=True))


def found_in(files: SessionFiles) -> Found | None:
    """What was found in a session; ``None`` where it was not measured, or tables are damaged."""
    if not (files.implants.exists() and files.sensitivity.exists()):
        return None
    try:
        return Found.of(read_session(files), threshold_in_use(files))
    except (OSError, ValueError) as error:
        LOG.warning("%s: %s; measure again with --force", files.implants, error)
        return None


def found_by_kind(kinds: Sequence[SessionKind]) -> list[dict[str, Any]]:
    """What was found at each site with each protocol, with what tells them apart."""
    return [
        {
            **kind.about,
            "participants": kind.participants,
            "sessions": kind.sessions,
            "found": Found.of(kind.measured, kind.threshold),
        }
        for kind in kinds
    ]


def refresh_report(files: SessionFiles) -> bool:
    """Bring what a participant's report says of a session up to date.

    Returns
    -------
    done
        Whether the report has a place for it; reports of earlier versions have none.
    """
    path = files.out_dir / f"sub-{files.participant}.html"
    key = f"ses-{files.session}" if files.session else "n/a"
    if not path.exists():
        return False
    page = path.read_text(encoding="utf-8")
    place = re.compile(
        f"(<!--found in {re.escape(key)}-->).*?(<!--end of found in {re.escape(key)}-->)", re.DOTALL
    )
    if not place.search(page):
        LOG.warning("%s has no place for sensitivity; run the participant level again", path)
        return False
    block = render("sensitivity_slot.html", found=found_in(files))
    changed = place.sub(lambda match: f"{match[1]}{block}{match[2]}", page, count=1)
    if changed != page:
        write_text(path, changed)
    return True
