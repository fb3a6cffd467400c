"""Shares of simulated microbleeds that were found: tables of a session and of a cohort."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import read_sidecar
from cmb_bidsapp.bids.protocol import read_protocol
from cmb_bidsapp.bids.tables import describe, read_table, write_table
from cmb_bidsapp.core.arrays import Floats
from cmb_bidsapp.core.defaults import MAX_DIAMETER_MM
from cmb_bidsapp.core.labels import PROXY_NAMES
from cmb_bidsapp.core.statistics import ratio, rising_line, wilson
from cmb_bidsapp.group.cohort import rounded
from cmb_bidsapp.group.tables import PROTOCOL
from cmb_bidsapp.sensitivity.background import processed_sessions
from cmb_bidsapp.simulate import implants

LOG = logging.getLogger(__name__)

#: Bins of the apparent diameter (mm) and of the contrast: name, from, to below.
DIAMETERS = (
    ("below 2 mm", 0.0, 2.0),
    ("2 to 3 mm", 2.0, 3.0),
    ("3 to 5 mm", 3.0, 5.0),
    ("5 to 10 mm", 5.0, MAX_DIAMETER_MM),
)
CONTRASTS = (
    ("below 50 %", 0.0, 0.5),
    ("50 to 75 %", 0.5, 0.75),
    ("75 % or more", 0.75, float("inf")),
)
#: Bins that a reader is told first.
TOLD = ("2 to 3 mm", "3 to 5 mm")
#: Share that a diameter must reach to be called found, and implants that it takes to say so.
MOSTLY, LEAST = 0.9, 20

#: Columns of ``*_label-CMB_implants.tsv`` with their JSON dictionary.
IMPLANTS = MappingProxyType(
    {
        "draw": describe("Number of the draw; all microbleeds of a draw were in the scan together"),
        **implants.COLUMNS,
        "lesion_id": describe("Number of the simulated microbleed within its draw"),
        "found": describe("Whether the app counts a microbleed within 5 mm (one to one)"),
    }
)
_SHARES = {
    "by": describe(
        "Variable that groups the simulated microbleeds",
        all="none: all simulated microbleeds",
        diameter="apparent diameter: of a disk with the area of the largest cross-section",
        contrast="largest fractional loss of magnitude",
        region="proxy class at the center",
    ),
    "level": describe("Group; n/a for all"),
    "implants": describe("Visible simulated microbleeds below 10 mm"),
    "found": describe("Of these, found, kept by all decisions and of a size that counts"),
    "sensitivity": describe("found / implants"),
    "sensitivity_low": describe("Lower limit of its 95 % interval (Wilson)"),
    "sensitivity_high": describe("Upper limit of its 95 % interval (Wilson)"),
    "smallest_found": describe(
        "Smallest apparent diameter with 90 % detection, from a logistic curve (in the row of "
        "all); n/a if no drawn size reaches 90 %, or fewer than 20 were drawn",
        "mm",
    ),
    "threshold": describe("Minimum peak probability of a candidate; n/a if sessions differ"),
}
#: Columns of ``*_label-CMB_sensitivity.tsv``, and of ``group_sensitivity.tsv``.
SHARES = MappingProxyType(_SHARES)
GROUP_SHARES = MappingProxyType(
    {
        "site": describe("InstitutionName of the raw sidecar; n/a if missing"),
        "scanner": describe("Manufacturer and model of the scanner, as far as known"),
        **PROTOCOL,
        "participants": describe("Participants measured"),
        "sessions": describe("Sessions measured"),
        **_SHARES,
    }
)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Simulated microbleeds, as far as shares depend on them.

    Attributes
    ----------
    diameter
        Apparent diameter, mm.
    contrast
        Largest share of the magnitude that is lost, 0..1.
    region
        Class of the center.
    found
        Whether each was found.
    """

    diameter: Floats
    contrast: Floats
    region: npt.NDArray[np.str_]
    found: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]]) -> Measured:
        """Rows of :data:`IMPLANTS`, as they are measured or as read; those of 10 mm are left out.

        Raises
        ------
        ValueError
            A cell is not what its column asks for.
        """
        rows = [row for row in rows if float(row["apparent_diameter"]) < MAX_DIAMETER_MM]
        return cls(
            diameter=np.array([float(row["apparent_diameter"]) for row in rows], np.float64),
            contrast=np.array([float(row["contrast"]) for row in rows], np.float64),
            region=np.array([str(row["region"]) for row in rows], np.str_),
            found=np.array([str(row["found"]).lower() == "true" for row in rows], np.bool_),
        )


def share_rows(measured: Measured, threshold: float | None) -> list[dict[str, Any]]:
    """Rows of :data:`SHARES`: all, by diameter, by contrast, by class.

    Parameters
    ----------
    measured
        All implants of a session or of a group.
    threshold
        Smallest peak probability of a candidate; ``None`` where sessions differ.
    """
    groups: list[tuple[str, str | None, npt.NDArray[np.bool_]]] = [
        ("all", None, np.ones(len(measured.found), np.bool_))
    ]
    for by, values, bins in (
        ("diameter", measured.diameter, DIAMETERS),
        ("contrast", measured.contrast, CONTRASTS),
    ):
        groups += [(by, name, (values >= low) & (values < high)) for name, low, high in bins]
    groups += [("region", name, measured.region == name) for n, name in PROXY_NAMES.items() if n]
    rows = []
    for by, level, own in groups:
        part, whole = int(measured.found[own].sum()), int(own.sum())
        low, high = wilson(part, whole)
        rows.append(
            {
                "by": by,
                "level": level,
                "implants": whole,
                "found": part,
                "sensitivity": ratio(part, whole),
                "sensitivity_low": low,
                "sensitivity_high": high,
                "smallest_found": smallest_found(measured) if by == "all" else None,
                "threshold": threshold,
            }
        )
    return rows


def curve(measured: Measured) -> tuple[float, float] | None:
    """Logistic curve of the share found over the logarithm of the diameter, which does not fall.

    Returns
    -------
    slope, offset
        ``None`` where there is too little to fit it to. A little shrinkage (a normal prior of the
        slope, standard deviation 5) keeps it finite where all large ones and no small ones are
        found.
    """
    if len(measured.found) < LEAST or measured.found.all() or not measured.found.any():
        return None
    return rising_line(np.log(measured.diameter), measured.found.astype(np.float64), spread=5)


def smallest_found(measured: Measured) -> float:
    """Smallest apparent diameter (mm) of which nine of ten are found; NaN where none is."""
    if len(measured.found) < LEAST:
        return float("nan")
    if measured.found.all():
        return float(measured.diameter.min())
    line = curve(measured)
    if line is None or line[0] <= 0:
        return float("nan")
    diameter = float(np.exp((np.log(MOSTLY / (1 - MOSTLY)) - line[1]) / line[0]))
    low, high = float(measured.diameter.min()), float(measured.diameter.max())
    return max(diameter, low) if diameter <= high else float("nan")


def in_words(rows: Iterable[Mapping[str, Any]]) -> str:
    """The line a reader sees first; empty where nothing of these sizes was drawn.

    >>> in_words([{"by": "diameter", "level": "2 to 3 mm", "implants": 20, "found": 11}])
    '2 to 3 mm 55 % found'
    """
    told = {row["level"]: (int(row["found"]), int(row["implants"])) for row in rows}
    parts: list[str] = []
    for name in TOLD:
        part, whole = told.get(name, (0, 0))
        if whole:
            parts.append(f"{name} {100 * part / whole:.0f} %" + ("" if parts else " found"))
    return ", ".join(parts)


def write_session(
    files: SessionFiles, rows: Sequence[Mapping[str, Any]], threshold: float
) -> list[Path]:
    """Write the simulated microbleeds of a session, and the shares that were found.

    Parameters
    ----------
    files
        The session's derivatives.
    rows
        One for each implant, columns :data:`IMPLANTS`.
    threshold
        Smallest peak probability of a candidate.
    """
    write_table(files.implants, list(IMPLANTS), rows, IMPLANTS)
    shares = share_rows(Measured.of(rows), threshold)
    write_table(files.sensitivity, list(SHARES), shares, SHARES)
    return [files.implants, files.sensitivity]


def read_session(files: SessionFiles) -> Measured:
    """Read the simulated microbleeds of a session.

    Raises
    ------
    OSError, ValueError
        There is no such table, or it is damaged.
    """
    return Measured.of(read_table(files.implants, IMPLANTS))


def threshold_in_use(files: SessionFiles) -> float | None:
    """The threshold that a session was measured at."""
    for row in read_table(files.sensitivity, ["threshold"]):
        return None if row["threshold"] == "n/a" else float(row["threshold"])
    return None


@dataclass(frozen=True, kw_only=True)
class SessionKind:
    """Sessions of one site and protocol, taken together.

    Attributes
    ----------
    about
        The columns that tell which: site, scanner, protocol.
    """

    about: Mapping[str, Any]
    participants: int
    sessions: int
    measured: Measured
    threshold: float | None

    def rows(self) -> list[dict[str, Any]]:
        """Rows of :data:`GROUP_SHARES`."""
        counts = {"participants": self.participants, "sessions": self.sessions}
        shares = share_rows(self.measured, self.threshold)
        return [{**self.about, **counts, **row} for row in shares]


#: Participant, simulated microbleeds, threshold.
_Session = tuple[str, Measured, float | None]


def kinds(out_dir: Path) -> list[SessionKind]:
    """Measured sessions of an output folder by site and protocol, those with most sessions first.

    One whose tables are damaged is left out, and said so.
    """
    found: dict[tuple[Any, ...], list[_Session]] = {}
    names = ("site", "scanner", *PROTOCOL)
    for files in processed_sessions(out_dir):
        if files.implants.exists() and files.sensitivity.exists():
            try:
                about = _about(files)
                one = (files.participant, read_session(files), threshold_in_use(files))
            except (OSError, ValueError) as error:
                LOG.warning("%s is left out: %s; measure again with --force", files.implants, error)
                continue
            found.setdefault(tuple(about[name] for name in names), []).append(one)
    result = []
    for key, several in found.items():
        parts = [measured for _, measured, _ in several]
        thresholds = {threshold for _, _, threshold in several}
        result.append(
            SessionKind(
                about=dict(zip(names, key, strict=True)),
                participants=len({participant for participant, _, _ in several}),
                sessions=len(several),
                measured=Measured(
                    diameter=np.concatenate([part.diameter for part in parts]),
                    contrast=np.concatenate([part.contrast for part in parts]),
                    region=np.concatenate([part.region for part in parts]),
                    found=np.concatenate([part.found for part in parts]),
                ),
                threshold=thresholds.pop() if len(thresholds) == 1 else None,
            )
        )
    return sorted(result, key=lambda kind: (-kind.sessions, str(kind.about)))


def _about(files: SessionFiles) -> dict[str, Any]:
    sidecar = read_sidecar(files.t2star)
    scanner = " ".join(
        str(sidecar[key]) for key in ("Manufacturer", "ManufacturersModelName") if key in sidecar
    )
    site = sidecar.get("InstitutionName")
    return {
        "site": str(site) if site else None,
        "scanner": scanner or None,
        **rounded(read_protocol(files)),
    }


def write_group(out_dir: Path) -> tuple[list[SessionKind], list[Path]]:
    """Write ``group_sensitivity.tsv`` where any session was measured; else remove it."""
    path = out_dir / "group_sensitivity.tsv"
    found = kinds(out_dir)
    if not found:
        path.unlink(missing_ok=True)
        path.with_suffix(".json").unlink(missing_ok=True)
        return [], []
    rows = [row for kind in found for row in kind.rows()]
    write_table(path, list(GROUP_SHARES), rows, GROUP_SHARES)
    return found, [path]
