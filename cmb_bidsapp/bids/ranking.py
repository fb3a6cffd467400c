"""The rule by which one scan is taken before another, and its words.

Each criterion is a value, of which less is better, and what is said of a scan that loses by it.
What is not known never wins over what is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_high
from typing import Any

from cmb_bidsapp.bids.index import PART_SHOWN_MM
from cmb_bidsapp.bids.scans import Rejected, Scan
from cmb_bidsapp.bids.times import natural

#: T2*w-like suffixes, best first; an acquisition label with "swi" ranks behind them all.
T2STAR_SUFFIXES = ("T2starw", "MEGRE", "GRE", "swi", "SWI")
#: Echo time in ms that shows microbleeds best at 3 T.
IDEAL_ECHO_MS = 22.5
#: A field of view counts up to this (mm); one below this share of the best shows a part.
HEAD_MM, WHOLE = 120.0, 0.75

#: Value, less is better, and why a scan loses by it; ``{}`` is the name of the better one.
Criterion = tuple[Any, str]


@dataclass(frozen=True)
class Picked:
    """The best of several scans, what is to be told of it, and why the others lost."""

    scan: Scan
    notes: tuple[str, ...]
    rejected: tuple[Rejected, ...]


def pick(scans: Sequence[Scan], *, nearest_session: bool = False) -> Picked:
    """Take the best of several scans of one contrast.

    Parameters
    ----------
    scans
        Scans of one participant and contrast, at least one.
    nearest_session
        Whether the scans are of several sessions, of which the first that has a usable one counts.
    """
    judged = {scan.path: _criteria(scan, scans, nearest_session) for scan in scans}
    best = min(scans, key=lambda scan: [value for value, _ in judged[scan.path]])
    rejected = tuple(
        Rejected(scan.path, _why_not(judged[scan.path], judged[best.path], best.path.name))
        for scan in sorted(scans, key=lambda scan: [value for value, _ in judged[scan.path]])
        if scan is not best
    )
    return Picked(best, tuple(_notes(best, scans)), rejected)


def _why_not(own: Sequence[Criterion], best: Sequence[Criterion], name: str) -> str:
    """The first criterion that a scan loses by."""
    lost = (why for (value, why), (better, _) in zip(own, best, strict=True) if value != better)
    return next(lost).replace("{}", name)


def _criteria(scan: Scan, among: Sequence[Scan], nearest_session: bool) -> list[Criterion]:
    run = scan.entities.get("run")
    known, distance = _echo(scan, among)
    usable = [min(s.shown_mm, HEAD_MM) for s in among if not s.problem]
    whole = WHOLE * max(usable, default=0.0)
    chunk = scan.entities.get("chunk") is not None
    found: list[Criterion] = [
        (scan.problem is not None, scan.problem or ""),
        (min(scan.shown_mm, HEAD_MM) < whole, f"covers only {scan.shown_mm:.0f} mm, {{}} more"),
    ]
    if nearest_session:
        found.append((natural(scan.session or ""), "{} is from an earlier session"))
    return [
        *found,
        (_kind(scan), "{} is of a better kind"),
        (has_contrast_agent(scan), "was acquired with a contrast agent, {} was not"),
        (not known, "its echo time is unknown, that of {} is known"),
        (distance, "{} has the better echo time"),
        # Of the parts of a head the largest.
        (-scan.shown_mm if chunk else -float("inf"), "{} covers more of the head"),
        (scan.voxel_mm3, "{} has smaller voxels"),
        (int(run) if run is not None and str(run).isdecimal() else 0, "{} has the lower run"),
        (scan.path.name, "{} comes first"),
        (str(scan.path), "{} comes first"),
    ]


def _notes(best: Scan, among: Sequence[Scan]) -> list[str]:
    """What a person has to know of the choice."""
    name, notes = best.path.name, list(best.notes)
    notes += [f"not used: {scan.problem}" for scan in among if scan.problem and scan is not best]
    if best.problem:
        return notes
    if best.shown_mm < PART_SHOWN_MM:
        notes.append(
            f"{name} covers only {best.shown_mm:.0f} mm of the head; microbleeds beyond are not "
            "counted"
        )
    chunks = {scan.entities["chunk"] for scan in among if scan.entities.get("chunk") is not None}
    if best.entities.get("chunk") in chunks and len(chunks) > 1:
        notes.append(f"{name} is one of {len(chunks)} chunks; the app does not join chunks")
    if has_contrast_agent(best):
        notes.append(f"{name} was acquired with a contrast agent, and there is no other image")
    if _is_echo(best) and _echo_ms(best) is None and any(s is not best for s in among):
        notes.append(f"{name}: echo times are unknown; using the middle echo")
    return notes


def is_swi(scan: Scan) -> bool:
    """Whether suffix or acquisition say that a scan is susceptibility-weighted."""
    names = (scan.entities.get("suffix"), scan.entities.get("acquisition"))
    return any("swi" in str(name).lower() for name in names)


def has_contrast_agent(scan: Scan) -> bool:
    """Whether name or sidecar say that a contrast agent was given."""
    said = (
        scan.entities.get("ceagent"),
        scan.metadata.get("ContrastBolusAgent"),
        scan.metadata.get("ContrastBolusIngredient"),
    )
    return any(word and str(word).upper() not in ("NONE", "N/A") for word in said)


def _kind(scan: Scan) -> int:
    suffix = scan.entities.get("suffix")
    if is_swi(scan) and str(suffix).lower() != "swi":
        return len(T2STAR_SUFFIXES)
    # Only a filter file lets another suffix in.
    return T2STAR_SUFFIXES.index(suffix) if suffix in T2STAR_SUFFIXES else len(T2STAR_SUFFIXES)


def _is_echo(scan: Scan) -> bool:
    """Whether a scan is one of several echoes; only these are told apart by their time."""
    return str(scan.entities.get("echo", "")).isdecimal()


def _echo_ms(scan: Scan) -> float | None:
    echo = scan.metadata.get("EchoTime")
    return 1000 * float(echo) if isinstance(echo, int | float) else None


def _echo(scan: Scan, among: Sequence[Scan]) -> tuple[bool, float]:
    """Whether the echo time is known where it counts, and how far it is from the best.

    Of echoes without a time the middle one is the best guess, the later of two.
    """
    if not _is_echo(scan):
        return True, 0.0
    time = _echo_ms(scan)
    if time is not None:
        return True, abs(time - IDEAL_ECHO_MS)
    numbers = {int(s.entities["echo"]) for s in among if _is_echo(s) and _echo_ms(s) is None}
    return False, float(abs(int(scan.entities["echo"]) - median_high(numbers)))
