"""The evaluation as one offline HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from cmb_bidsapp import __version__
from cmb_bidsapp.bids.outputs import write_text
from cmb_bidsapp.evaluation.blocks import Block
from cmb_bidsapp.report.pages import picture


def write_html(
    path: Path, blocks: Sequence[Block], figures: Mapping[str, Path], **values: Any
) -> None:
    """Write the page; figures are inlined. ``values`` are what else the template shows."""
    environment = Environment(
        loader=ChoiceLoader(
            [PackageLoader("cmb_bidsapp.evaluation"), PackageLoader("cmb_bidsapp.report")]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pictures = {name: picture(figure) for name, figure in figures.items()}
    page = environment.get_template("evaluation.html").render(
        version=__version__, blocks=blocks, figures=pictures, **values
    )
    write_text(path, page)
