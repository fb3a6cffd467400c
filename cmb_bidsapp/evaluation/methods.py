"""The methods of an evaluation: their names, and where their predictions are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cmb_bidsapp.core.errors import UsageError
from cmb_bidsapp.evaluation.predictions import Given
from cmb_bidsapp.evaluation.session import find_sessions

_WILD = frozenset("*?[")


@dataclass(frozen=True)
class Method:
    """A method and the folder of its predictions; ``pattern`` names files below it."""

    name: str
    folder: Path
    pattern: str = "**/*"

    @classmethod
    def parse(cls, text: str) -> Method:
        """Method of ``[NAME=]FOLDER`` or ``[NAME=]PATTERN``; the name is the folder's otherwise.

        >>> Method.parse("nnDet=out/*_boxes.json")
        Method(name='nnDet', folder=PosixPath('out'), pattern='*_boxes.json')
        """
        name, separator, path = text.partition("=")
        if not separator or Path(text).exists():
            name, path = "", text
        parts = Path(path).parts
        plain = next((n for n, part in enumerate(parts) if _WILD & set(part)), len(parts))
        folder = Path(*parts[:plain])
        return cls(
            name or folder.resolve().name,
            folder,
            "/".join(parts[plain:]) if plain < len(parts) else cls.pattern,
        )

    def find(self) -> tuple[dict[str, Given], list[str]]:
        """Sessions by label, and what was left out."""
        return find_sessions(self.folder, self.pattern)


def parse_methods(texts: Sequence[str]) -> list[Method]:
    """Methods of the command line.

    Raises
    ------
    UsageError
        Two have one name.
    """
    methods = [Method.parse(text) for text in texts]
    names = [method.name for method in methods]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"two methods are called {', '.join(twice)}: write NAME=FOLDER")
    return methods
