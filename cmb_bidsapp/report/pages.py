"""Rendering: jinja2 templates that escape what they are given; pictures are inlined."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from cmb_bidsapp import __version__
from cmb_bidsapp.bids.outputs import write_text

#: What a browser carries out; data in script elements of other types is none of it.
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_TYPES = {".png": "image/png", ".webp": "image/webp"}


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("cmb_bidsapp.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def picture(path: Path) -> str | None:
    """A PNG or WebP file as a data URI; ``None`` where the file is missing."""
    if not path.is_file():
        return None
    content = base64.b64encode(path.read_bytes()).decode("ascii")
    return f"data:{_TYPES[path.suffix]};base64,{content}"


@dataclass
class SizeBudget:
    """What a page can still take in, in characters."""

    left: int
    left_out: int = 0

    def picture(self, path: Path) -> str | None:
        """A picture as a data URI; ``None`` where it is missing, or finds no more room."""
        found = picture(path)
        if found is None or len(found) > self.left:
            self.left_out += found is not None
            return None
        self.left -= len(found)
        return found


def render(template: str, **values: Any) -> str:
    """Render a template into one self-contained page, whose policy knows its own scripts alone.

    Parameters
    ----------
    template
        File name of the template.
    values
        Variables of the template, besides the version of the app.
    """
    page = _environment().get_template(template).render(version=__version__, **values)
    own = " ".join(f"'sha256-{_digest(script)}'" for script in _SCRIPT.findall(page))
    return page.replace("script-src 'unsafe-inline'", f"script-src {own}")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


def write_page(path: Path, template: str, **values: Any) -> None:
    """Render a template into one self-contained file.

    Parameters
    ----------
    path
        HTML file to write.
    template
        File name of the template.
    values
        Variables of the template, besides the version of the app.
    """
    write_text(path, render(template, **values))
