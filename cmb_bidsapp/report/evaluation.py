"""The page of an evaluation: its blocks, figures and files in one offline file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cmb_bidsapp.evaluation.run import Evaluation
from cmb_bidsapp.evaluation.tables import Tables
from cmb_bidsapp.report.blocks import as_text
from cmb_bidsapp.report.evaluation_blocks import blocks_of
from cmb_bidsapp.report.evaluation_figures import write_figures
from cmb_bidsapp.report.pages import picture, write_page


def write_evaluation_report(
    out_dir: Path, evaluation: Evaluation, tables: Tables, files: Sequence[Path], command: str
) -> list[Path]:
    """Write the page and its figures, and print the blocks of the page; returns the files.

    Parameters
    ----------
    out_dir
        Folder that gets the page and its figures.
    evaluation
        Results of all sessions, and what could not be evaluated.
    tables, files
        Rows of the tables, and what else lies beside the page.
    command
        The command line that gives all this again.
    """
    results, preset = evaluation.results, evaluation.rules.preset
    blocks = blocks_of(tables)
    print(f"\nPreset {preset.name}: {preset.text}.\n\n{as_text(blocks)}\n")
    figures = write_figures(out_dir, tables)
    page = out_dir / "evaluation.html"
    write_page(
        page,
        "evaluation.html",
        blocks=blocks,
        figures={name: picture(figure) for name, figure in figures.items()},
        methods=list(dict.fromkeys(result.method for result in results)),
        sessions=len({(result.participant, result.session) for result in results}),
        preset=preset,
        problems=[str(one) for one in evaluation.excluded],
        paths=[path.name for path in (*files, *figures.values())],
        command=command,
    )
    return [*figures.values(), page]
