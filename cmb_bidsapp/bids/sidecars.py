"""Metadata of images: JSON sidecars with inheritance; a damaged one costs its own content only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cmb_bidsapp.bids.text import cause_of, read_json

#: A time (s) that no echo reaches; from there to :data:`LEAST_MS` it is neither s nor ms.
LONGEST_ECHO_S = 0.5
#: Echo times from here on are in milliseconds, a common mistake.
LEAST_MS = 1.0
#: Field strengths above are not in tesla.
HIGHEST_FIELD_T = 25.0


class Sidecars:
    """Reads the metadata of a dataset; every file and folder is read once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: dict[Path, list[tuple[Path, frozenset[str]]]] = {}
        self._files: dict[Path, tuple[Mapping[str, Any], str | None]] = {}

    def of(self, image: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Metadata of an image, and notes on what was left out or corrected.

        A JSON file holds for an image in its folder or below that has the same suffix and all of
        its entities; nearer files and those with more entities come before others.
        """
        metadata: dict[str, Any] = {}
        notes = []
        own = _parts(image)
        above = [f for f in reversed(image.parents) if f == self._root or self._root in f.parents]
        for folder in above:
            for path, parts in self._listed(folder):
                if not parts <= own:
                    continue
                content, problem = self._read(path)
                metadata.update(content)
                if problem:
                    notes.append(problem)
        checked, corrected = checked_metadata(metadata)
        return checked, (*notes, *(f"{image.name}: {text}" for text in corrected))

    def _listed(self, folder: Path) -> list[tuple[Path, frozenset[str]]]:
        if folder not in self._folders:
            found = [(path, _parts(path)) for path in folder.glob("*.json")]
            # The general before the special, which overrides it.
            found.sort(key=lambda item: (len(item[1]), item[0].name))
            self._folders[folder] = found
        return self._folders[folder]

    def _read(self, path: Path) -> tuple[Mapping[str, Any], str | None]:
        if path not in self._files:
            try:
                self._files[path] = read_json(path), None
            except (OSError, ValueError) as error:
                self._files[path] = {}, f"ignoring {path} ({_cause(path, error)})"
        return self._files[path]


def _parts(path: Path) -> frozenset[str]:
    """Entities with their labels, known to BIDS or not, and the suffix."""
    return frozenset(path.name.partition(".")[0].split("_"))


def _cause(path: Path, error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError) and path.is_symlink():
        return f"not fetched; run: datalad get {path.name} in {path.parent}"
    return cause_of(error)


def checked_metadata(metadata: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Metadata without numbers that cannot be what they say, and what was done about them.

    >>> checked_metadata({"EchoTime": 20})
    ({'EchoTime': 0.02}, ['EchoTime 20 is interpreted as milliseconds; BIDS requires seconds'])
    >>> checked_metadata({"EchoTime": "20 ms", "FlipAngle": 15})
    ({'FlipAngle': 15}, ['EchoTime "20 ms" is ignored: not a plausible echo time in seconds'])
    """
    checked, notes = dict(metadata), []
    echo: Any = checked.get("EchoTime")
    if _positive(echo) and LEAST_MS <= echo < 1000 * LONGEST_ECHO_S:
        checked["EchoTime"] = echo / 1000
        notes.append(f"EchoTime {echo:g} is interpreted as milliseconds; BIDS requires seconds")
    elif echo is not None and not (_positive(echo) and echo < LONGEST_ECHO_S):
        del checked["EchoTime"]
        notes.append(f"EchoTime {_shown(echo)} is ignored: not a plausible echo time in seconds")
    field: Any = checked.get("MagneticFieldStrength")
    if field is not None and not (_positive(field) and field <= HIGHEST_FIELD_T):
        del checked["MagneticFieldStrength"]
        notes.append(
            f"MagneticFieldStrength {_shown(field)} is ignored: not a plausible field "
            "strength in tesla"
        )
    return checked, notes


def number_of(value: object) -> float | None:
    """What JSON has as a number; ``None`` for anything else, and beyond what can be reckoned with.

    >>> [number_of(value) for value in (2, 0.5, True, "2", float("nan"), 10**400)]
    [2.0, 0.5, None, None, None, None]
    """
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _positive(value: object) -> bool:
    return (number_of(value) or 0) > 0


def _shown(value: object, most: int = 40) -> str:
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= most else text[:most] + "..."
