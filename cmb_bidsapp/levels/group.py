"""The group level: derivatives of all participants to tables and a page."""

from __future__ import annotations

from rich.console import Console

from cmb_bidsapp.levels.summary import Summary
from cmb_bidsapp.runtime.errors import ExitCode
from cmb_bidsapp.settings import Settings


def group(settings: Settings, console: Console) -> Summary:
    """Collect the derivatives into group tables and a page; the raw data are not needed."""
    from cmb_bidsapp.group.tables import collect, write_tables
    from cmb_bidsapp.report.group import write_group_report

    cohort = collect(settings.out_dir)
    for problem in cohort.problems:
        console.print(f"left out: {problem}", markup=False, highlight=False)
    tables = write_tables(cohort, settings.out_dir)
    failed = len(cohort.problems)
    code: int = ExitCode.SOME_FAILED if cohort.problems else ExitCode.OK
    if settings.reference is not None:
        from cmb_bidsapp.evaluation.run import evaluate_output

        cores = settings.resources.processes * settings.resources.threads
        ended = evaluate_output(settings.out_dir, settings.reference, cores, settings.seed)
        failed, code = max(failed, ended.failed), code or ended.code
    page = write_group_report(cohort, settings.out_dir)
    for path in (*tables, page):
        console.print(f"group: {path}", markup=False, highlight=False, soft_wrap=True)
    return Summary(
        ok=len(cohort.sessions),
        failed=failed,
        code=code,
    )
