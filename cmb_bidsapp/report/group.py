"""The group page: counts per session and how they are distributed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from cmb_bidsapp.evaluation.defaults import GROUP_FOLDER
from cmb_bidsapp.group.tables import MARS_COLUMNS, REGIONS, Cohort, mars_row
from cmb_bidsapp.report.pages import write_page

#: Burden classes: label, lowest and highest count.
BURDEN = (("0", 0, 0), ("1-4", 1, 4), ("5-9", 5, 9), ("10 or more", 10, 10**9))


def write_group_report(cohort: Cohort, out_dir: Path) -> Path:
    """Write ``group.html``."""
    path = out_dir / "group.html"
    rows = [mars_row(session) for session in cohort.sessions]
    totals = [row["total"] for row in rows]
    burden = {label: sum(low <= total <= high for total in totals) for label, low, high in BURDEN}
    by_region = {region: sum(row[region] for row in rows) for region in REGIONS}
    sequences = Counter(str(row["sequence"] or "unknown") for row in rows)
    evaluation = Path(GROUP_FOLDER, "evaluation.html")
    write_page(
        path,
        "group.html",
        rows=rows,
        columns=list(MARS_COLUMNS),
        burden=burden,
        by_region=by_region,
        sequences=dict(sequences),
        positive=sum(total > 0 for total in totals),
        problems=cohort.problems,
        evaluation=evaluation.as_posix() if (out_dir / evaluation).exists() else None,
    )
    return path
