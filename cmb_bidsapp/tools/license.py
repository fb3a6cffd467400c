"""FreeSurfer's license: a file or a text, from the command line or the environment."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cmb_bidsapp.core.errors import LicenseError

#: Where a license is available, free of charge.
REGISTRATION = "https://surfer.nmr.mgh.harvard.edu/registration.html"

#: FreeSurfer's own variable, a path; and the text itself, as Brainlife hands it over.
PATH_VARIABLE, TEXT_VARIABLE = "FS_LICENSE", "FREESURFER_LICENSE"

#: Names that FreeSurfer looks for in its own folder.
HOME_NAMES = ("license.txt", ".license")


@contextlib.contextmanager
def freesurfer_license(given: Path | None) -> Iterator[Path]:
    """Path of a license file; call this only if a program that needs it is to run.

    Looked at in this order: the path given, ``FS_LICENSE`` (a path; several lines that name no
    file are the text), ``FREESURFER_LICENSE`` (the text; a backslash and an n are a line break
    too), ``license.txt`` and ``.license`` in ``FREESURFER_HOME``. A text is written to a
    temporary file that only its owner can read and that is gone afterwards.

    Parameters
    ----------
    given
        What ``--fs-license-file`` names, if anything.

    Raises
    ------
    LicenseError
        There is none, or a path that was given names no file with a text.
    """
    found = _find(given)
    if isinstance(found, Path):
        yield found.absolute()
        return
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", prefix="cmb-license-", suffix=".txt"
    ) as stream:
        stream.write(found + "\n")
        stream.flush()
        yield Path(stream.name)


def _find(given: Path | None) -> Path | str:
    """Path or text of the license."""
    if given is not None:
        return _checked(given, "--fs-license-file")
    value = os.environ.get(PATH_VARIABLE, "").strip()
    if value:
        text = _with_line_breaks(value)
        if "\n" in text and _problem(Path(value)):
            return text
        return _checked(Path(value), PATH_VARIABLE)
    text = _with_line_breaks(os.environ.get(TEXT_VARIABLE, ""))
    if text:
        return text
    home = os.environ.get("FREESURFER_HOME")
    paths = [Path(home, name) for name in HOME_NAMES] if home else []
    for path in paths:
        if _problem(path) is None:
            return path
    places = ", ".join(map(str, paths)) if home else "FREESURFER_HOME (not set)"
    raise LicenseError(
        "no FreeSurfer license: neither --fs-license-file nor "
        f"{PATH_VARIABLE} nor {TEXT_VARIABLE} is set, and there is none in {places}; "
        f"get one at {REGISTRATION}"
    )


def _with_line_breaks(text: str) -> str:
    # Many ways to hand over a variable know no line breaks.
    return text.replace("\\n", "\n").strip()


def _checked(path: Path, origin: str) -> Path:
    problem = _problem(path)
    if problem is not None:
        raise LicenseError(
            f"{origin}: {path} is not a FreeSurfer license ({problem}); get one at {REGISTRATION}"
        )
    return path


def _problem(path: Path) -> str | None:
    """Why a path cannot name a license."""
    try:
        return None if path.read_bytes().strip() else "it is empty"
    except OSError as error:
        return error.strerror or str(error)
