"""Text of files that people and other programs write: byte order marks, pipes, JSON objects."""

from __future__ import annotations

import errno
import json
import stat
from pathlib import Path
from typing import Any, TextIO

#: A damaged file may seem to be of any size, and would take many times as much memory.
LARGEST_JSON = 100_000_000


def open_text(path: Path) -> TextIO:
    """Open a text file for the csv module: UTF-8, or what its byte order mark says.

    Raises
    ------
    OSError
        The file cannot be opened, or is a pipe or device, which might never end.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    with path.open("rb") as stream:
        start = stream.read(2)
    encoding = "utf-16" if start in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return path.open(encoding=encoding, newline="")


def read_text(path: Path) -> str:
    """Read a text file; errors as of :func:`open_text`, ``UnicodeError`` where it is no text."""
    with open_text(path) as stream:
        return stream.read()


def cause_of(error: OSError | ValueError) -> str:
    """Why a text file could not be read, without its name."""
    if isinstance(error, UnicodeError):
        return "not UTF-8 text; save it as UTF-8"
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; Latin-1 is read, too, as only its free text may have other letters.

    Raises
    ------
    OSError, ValueError
        The file cannot be read, or is no JSON object; the message is the reason alone.
    """
    content = load_json(path)
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")
    return content


def load_json(path: Path) -> Any:
    """Read JSON of any kind; letters and errors as of :func:`read_json`."""
    if (size := path.stat().st_size) > LARGEST_JSON:
        raise ValueError(f"too large to be read: {size / 1e6:.0f} MB")
    try:
        text = read_text(path)
    except UnicodeError:
        text = path.read_bytes().decode("latin-1")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"not valid JSON: {error}") from error
    except RecursionError as error:
        raise ValueError("not usable JSON: nested too deeply") from error
