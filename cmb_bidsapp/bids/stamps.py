"""Stamps: what was done, from what, so that a rerun does only what changed.

A phase is up to date when its stamp holds the same key (version, parameters, content of its
inputs) and every output is as it was written. The stamp is written last.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmb_bidsapp.bids.outputs import write_json
from cmb_bidsapp.bids.text import load_json


@dataclass(frozen=True)
class FileState:
    """Size, modification time (ns) and content hash of a file."""

    size: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True)
class Stamp:
    """What a finished phase was made of, and made: a key and hashes, nothing else."""

    key: str
    inputs: dict[str, FileState]
    outputs: dict[str, FileState]


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def state_of(path: Path, known: FileState | None = None) -> FileState:
    """State of a file; hashed again only where size or time differ from ``known``.

    Parameters
    ----------
    path
        The file, which must be there.
    known
        Its state at an earlier time.
    """
    stat = path.stat()
    if known is not None and (stat.st_size, stat.st_mtime_ns) == (known.size, known.mtime_ns):
        return known
    return FileState(stat.st_size, stat.st_mtime_ns, sha256_of(path))


def read_stamp(path: Path) -> Stamp | None:
    """Read a stamp; ``None`` where there is none or it is damaged."""
    try:
        plain = load_json(path)
        return Stamp(
            plain["key"],
            {name: FileState(**state) for name, state in plain["inputs"].items()},
            {name: FileState(**state) for name, state in plain["outputs"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_stamp(path: Path, stamp: Stamp) -> None:
    """Write a stamp atomically.

    Parameters
    ----------
    path
        JSON file to write.
    stamp
        State of the phase that has finished.
    """
    write_json(
        path,
        {
            "key": stamp.key,
            "inputs": {name: vars(state) for name, state in stamp.inputs.items()},
            "outputs": {name: vars(state) for name, state in stamp.outputs.items()},
        },
    )


def key_of(parameters: Mapping[str, Any], inputs: Mapping[str, FileState]) -> str:
    """Digest of everything a result depends on; where the inputs lie does not matter.

    Parameters
    ----------
    parameters
        What JSON can hold; else its text counts.
    inputs
        In a fixed order.
    """
    content = {"parameters": parameters, "inputs": [s.sha256 for s in inputs.values()]}
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def states(paths: Iterable[Path], known: Mapping[str, FileState]) -> dict[str, FileState]:
    """States by path.

    Parameters
    ----------
    paths
        Files that must be there.
    known
        States at an earlier time, by path.
    """
    return {str(path): state_of(path, known.get(str(path))) for path in paths}


def vouched(stamp: Stamp | None, root: Path) -> bool:
    """Whether outputs below ``root`` are as they were made, and no input is another now.

    Inputs that are not there any more cannot speak against them.

    Parameters
    ----------
    stamp
        ``None``: there is none, and nothing is vouched for.
    root
        Output folder of the app.
    """
    if stamp is None or not current(stamp, stamp.key, root):
        return False
    found = ((Path(name), state) for name, state in stamp.inputs.items() if Path(name).exists())
    return all(state_of(path, state).sha256 == state.sha256 for path, state in found)


def altered(stamp: Stamp | None, root: Path, paths: Iterable[Path]) -> tuple[Path, ...]:
    """Outputs below ``root`` that are there, but not as a stamp says they were written.

    Parameters
    ----------
    stamp
        ``None``: there is none, and nothing can be said.
    root
        Output folder of the app.
    paths
        Outputs below it.
    """
    made = {} if stamp is None else stamp.outputs
    known = ((path, made.get(os.path.relpath(path, root))) for path in paths if path.is_file())
    return tuple(
        path
        for path, state in known
        if state is not None and state_of(path, state).sha256 != state.sha256
    )


def current(stamp: Stamp | None, key: str, root: Path) -> bool:
    """Whether a stamp vouches for the outputs below ``root`` as they are now.

    Parameters
    ----------
    stamp
        ``None``: there is none.
    key
        Of the phase as it would run now.
    root
        Output folder of the app.
    """
    if stamp is None or stamp.key != key:
        return False
    for name, state in stamp.outputs.items():
        path = root / name
        if not path.is_file() or state_of(path, state).sha256 != state.sha256:
            return False
    return True


def refreshed(stamp: Stamp, inputs: Mapping[str, FileState], root: Path) -> Stamp:
    """Stamp with the times that files have now; their content must be what it vouches for.

    Parameters
    ----------
    stamp
        Of a phase that is up to date, see :func:`current`.
    inputs
        States of its inputs as they are.
    root
        Output folder of the app.
    """
    outputs = {name: state_of(root / name, state) for name, state in stamp.outputs.items()}
    return Stamp(stamp.key, dict(inputs), outputs)
