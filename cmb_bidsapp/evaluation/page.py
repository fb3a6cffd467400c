"""The evaluation as text, laid out as the paper's tables, with the paper's figures beside."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from cmb_bidsapp.evaluation.results import AFTER, ANATOMY, BEFORE
from cmb_bidsapp.evaluation.summary import EVERYBODY, Figure

#: Tables 1 and 2 of the paper: Dice and F1, internal (n=99), then external (n=72).
PAPER = (
    ("nnDetection", 0.2420, 0.2484, 0.3146, 0.3167),
    ("nnU-Net", 0.4627, 0.4714, 0.2972, 0.2860),
    ("DiceCE, proxy", 0.4485, 0.5104, 0.3628, 0.3696),
    ("DiceCE, proxy, CFPR", 0.4488, 0.5118, 0.4281, 0.4116),
    ("DiceTopK, proxy", 0.5137, 0.5182, 0.4549, 0.4461),
    ("DiceTopK, proxy, CFPR (the paper's own)", 0.5138, 0.5199, 0.4688, 0.4600),
)
_STAGE_TEXT = {BEFORE: "before CFPR", AFTER: "after CFPR"}

Row = Mapping[str, Figure | str]


def page(summaries: Sequence[Row], sweep: Sequence[Row]) -> str:
    """All of it.

    Parameters
    ----------
    summaries
        Rows of the summary table.
    sweep
        Rows of the sweep table.
    """
    parts = [
        _microbleeds(summaries),
        _paper(),
        _lesions(summaries),
        _regions(summaries),
        _anatomy(summaries),
        _sweep([row for row in sweep if row["group"] == EVERYBODY], summaries[0]["sessions"]),
    ]
    return "\n\n".join(part for part in parts if part)


def _microbleeds(summaries: Sequence[Row]) -> str:
    rows = [
        (
            _name(row),
            _number(row["dice_n"], 0),
            *(_interval(row, name) for name in ("dice_mean", "session_f1_mean", "f1")),
        )
        for row in summaries
    ]
    return (
        "Microbleeds, as tables 1 and 2 of the paper have them, with 95 % intervals.\n"
        "n: sessions with microbleeds. Dice of voxels and F1 of lesions (centres within 5 mm):\n"
        "mean of these sessions; pooled: all lesions of all sessions together.\n"
        + _grid(("", "n", "Dice", "F1", "F1, pooled"), rows)
    )


def _paper() -> str:
    rows = [(name, *(f"{figure:.4f}" for figure in figures)) for name, *figures in PAPER]
    return (
        "The paper's tables 1 and 2, measured on OTHER data: real scans of its own hospital\n"
        "(internal, n=99) and of the VALDO challenge (external, n=72). None of these scans is in\n"
        "the figures above, so the two sets of figures cannot be compared one to one.\n"
        + _grid(("", "internal Dice", "F1", "external Dice", "F1"), rows)
    )


def _lesions(summaries: Sequence[Row]) -> str:
    heads = ("", "scans", "TP", "FP", "FN", "ignored", "precision", "recall", "FP/scan")
    rows = [
        (
            _name(row),
            *(_number(row[key], 0) for key in ("sessions", "tp", "fp", "fn", "ignored")),
            *(_number(row[key], 3) for key in ("precision", "recall")),
            *(_number(row[key], 2) for key in ("fp_per_scan", "fp_per_scan_free")),
            *(_number(row[f"fp_{key}"], 0) for key in ("vein", "calcification", "nothing_known")),
        )
        for row in summaries
    ]
    return (
        "Lesions. CMB-free: FP per scan of those without microbleeds; vein, calcif., other: what\n"
        "false positives lie on, where the reference says.\n"
        + _grid((*heads, "CMB-free", "vein", "calcif.", "other"), rows)
    )


def _regions(summaries: Sequence[Row]) -> str:
    if not any(row["region_known"] or row["mars_known"] for row in summaries):
        return ""
    rows = [
        (
            _name(row),
            f"{row['region_right']} of {row['region_known']}",
            _interval(row, "region_agreement"),
            _number(row["wrong_region_flagged"], 0),
            f"{row['mars_right']} of {row['mars_known']}",
            _interval(row, "mars_agreement"),
        )
        for row in summaries
    ]
    return (
        "Regions of matched lesions that are right, where the reference knows them, with 95 %\n"
        "intervals. Class: lobar, deep or infratentorial; flagged: of a wrong class, and said to\n"
        "be near a border; MARS: region of the form and side, both right.\n"
        + _grid(("", "class", "share", "flagged", "MARS", "share"), rows)
    )


def _anatomy(summaries: Sequence[Row]) -> str:
    groups = [row for row in summaries if row["stage"] == AFTER]
    known = [name for name in ANATOMY if any(row[f"{name}_dice_n"] for row in groups)]
    if not known:
        return ""

    def cell(row: Row, name: str) -> str:
        mean, lowest = (_number(row[f"{name}_dice_{which}"], 3) for which in ("mean", "lowest"))
        return f"{mean} ({lowest})"

    rows = [(name, *(cell(row, name) for row in groups)) for name in known]
    title = "Anatomy, Dice: mean (lowest session)"
    if any(row["side_errors_n"] for row in groups):
        title += "; side_errors: mean share of voxels on the other side"
        rows.append(("side_errors", *(_number(row["side_errors_mean"], 4) for row in groups)))
    heads = ("", *(str(row["group"]) for row in groups))
    return f"{title}\n" + _grid(heads, rows)


def _sweep(sweep: Sequence[Row], sessions: Figure | str) -> str:
    if not sweep:
        return ""
    rows = [
        (
            f"{row['threshold']}",
            f"{row['tp']}",
            f"{row['fp']}",
            _number(row["recall"], 3),
            _number(row["f1"], 3),
            _number(row["fp_per_scan"], 2),
            _number(row["fp_per_scan_free"], 2),
        )
        for row in sweep
    ]
    return (
        f"Threshold of the probability, before CFPR, {sweep[0]['sessions']} of {sessions} "
        "sessions have a map\n"
        + _grid(("threshold", "TP", "FP", "recall", "F1, pooled", "FP/scan", "CMB-free"), rows)
    )


def _grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; the first to the left, the others to the right."""
    table = [heads, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(heads))]
    lines = (
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in table
    )
    return "\n".join(f"  {line}".rstrip() for line in lines)


def _name(row: Row) -> str:
    return f"{row['group']}, {_STAGE_TEXT[str(row['stage'])]}"


def _interval(row: Row, name: str) -> str:
    low, high = (_number(row[f"{name}_{side}"], 3) for side in ("low", "high"))
    return f"{_number(row[name], 4)} [{low}, {high}]"


def _number(value: Figure | str, digits: int) -> str:
    if value is None or isinstance(value, str) or math.isnan(value):
        return "n/a"
    return f"{value:.{digits}f}"
