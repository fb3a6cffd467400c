"""Rendering: jinja2 templates that escape what they are given; pictures are inlined."""

from __future__ import annotations

import base64
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from cmb_bidsapp import __version__
from cmb_bidsapp.bids.outputs import write_text


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
    """A PNG as a data URI; ``None`` where the file is missing."""
    if not path.is_file():
        return None
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def write_page(path: Path, template: str, **values: Any) -> None:
    """Render a template into one self-contained file."""
    page = _environment().get_template(template)
    write_text(path, page.render(version=__version__, **values))
