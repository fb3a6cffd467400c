"""What an evaluation prints and its page shows, made from the rows of its tables alone.

The first blocks are laid out as the paper's tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cmb_bidsapp.core.burden import BURDEN_NAMES
from cmb_bidsapp.evaluation.results import AFTER, ANATOMY, BEFORE, GIVEN, REGIONS
from cmb_bidsapp.evaluation.summary import EVERYBODY
from cmb_bidsapp.lesions.lesion import UNASSIGNED
from cmb_bidsapp.report.blocks import Block, PrintedRow, interval, number, yes

_STAGE_TEXT = {BEFORE: "before CFPR", AFTER: "after CFPR", GIVEN: "as given"}


def blocks_of(tables: Mapping[str, Sequence[PrintedRow]]) -> list[Block]:
    """All blocks that have something to say, from the rows of the tables by name."""
    summaries = tables["summary"]
    several = len({row["method"] for row in summaries}) > 1
    rows = [(_name(row, several), row) for row in summaries]
    everybody = [
        (_name(row, several), row)
        for row in summaries
        if row["group"] == EVERYBODY and row["stage"] != BEFORE
    ]
    blocks = [
        _table_1(tables["paper"]),
        _table_2(tables["paper"]),
        _microbleeds(rows),
        _lesions(rows),
        _free(rows),
        _counts(rows),
        _burden(everybody, tables["burden"]),
        _regions(rows),
        _confusion(everybody, tables["regions"]),
        _anatomy(rows),
        _froc(tables["froc"], several),
        _radii(tables["radii"], several),
    ]
    return [block for block in blocks if block.rows]


def _table_1(paper: Sequence[PrintedRow]) -> Block:
    rows = [(_whose(row), *_beside(row)) for row in paper if row["table"] == 1]
    return Block(
        title="Table 1 of the paper, and these sessions",
        note="Dice and F1: mean over the scans with microbleeds (n), with 95 % intervals; pooled: "
        "all\nlesions of all scans together. The paper's figures are of OTHER data: real scans "
        "of its\nown hospital (internal, n=99) and of the VALDO challenge (external, n=72); the "
        "two sets\nof figures cannot be compared one to one unless these are the same scans.",
        heads=("", *_BESIDE),
        rows=rows,
    )


def _table_2(paper: Sequence[PrintedRow]) -> Block:
    rows = [
        (
            _whose(row),
            str(row.get("loss") or "-"),
            *(yes(row.get(key)) for key in ("proxy", "cfpr")),
            *_beside(row),
        )
        for row in paper
        if row["table"] == 2
    ]
    measured = any(row["table"] == 2 and row["source"] == "here" for row in paper)
    return Block(
        title="Table 2 of the paper (ablation), and these sessions",
        note="As table 1. Loss and proxy describe the training; they cannot be read from the "
        "outputs.",
        heads=("", "loss", "proxy", "CFPR", *_BESIDE),
        rows=rows if measured else [],
    )


_BESIDE = (
    "int. Dice",
    "int. F1",
    "ext. Dice",
    "ext. F1",
    "n",
    "Dice here",
    "F1 here",
    "F1, pooled",
)


def _whose(row: PrintedRow) -> str:
    return f"paper: {row['method']}" if row["source"] == "paper" else str(row["method"])


def _beside(row: PrintedRow) -> list[str]:
    published = ("internal_dice", "internal_f1", "external_dice", "external_f1")
    if row["source"] == "paper":
        return [*(number(row[key], 4) for key in published), *4 * [""]]
    measured = (interval(row, name) for name in ("dice_mean", "session_f1_mean", "f1"))
    return [*4 * [""], number(row["session_f1_n"], 0), *measured]


def _microbleeds(named: Sequence[tuple[str, PrintedRow]]) -> Block:
    rows = [
        (
            name,
            number(row["session_f1_n"], 0),
            *(interval(row, key) for key in ("dice_mean", "session_f1_mean", "f1")),
            *(number(row[key], 4) for key in ("dice_median", "session_f1_median", "dice_pooled")),
        )
        for name, row in named
    ]
    heads = ("", "n", "Dice", "F1", "F1, pooled", "Dice, median", "F1, median", "Dice, pooled")
    return Block(
        title="Dice and F1 of all sessions and of each protocol",
        note="Mean and median are over the n sessions with microbleeds.",
        heads=heads,
        rows=rows,
    )


def _lesions(named: Sequence[tuple[str, PrintedRow]]) -> Block:
    heads = ("", "scans", "TP", "FP", "FN", "ignored", "precision", "recall", "FP/scan")
    rows = [
        (
            name,
            *(number(row[key], 0) for key in ("sessions", "tp", "fp", "fn", "ignored")),
            *(number(row[key], 3) for key in ("precision", "recall")),
            number(row["fp_per_scan"], 2),
            *(number(row[f"fp_{key}"], 0) for key in ("vein", "calcification", "nothing_known")),
            number(row["matched_dice_mean"], 3),
        )
        for name, row in named
    ]
    return Block(
        title="Lesions",
        note="Vein, calcif., other: false positives by structure, if the reference has mimics.\n"
        "Matched Dice: mean Dice of the matched lesions.",
        heads=(*heads, "vein", "calcif.", "other", "matched Dice"),
        rows=rows,
    )


def _free(named: Sequence[tuple[str, PrintedRow]]) -> Block:
    rows = [
        (
            name,
            number(row["sessions_free"], 0),
            number(row["sessions_free_right"], 0),
            interval(row, "fp_per_scan_free", 2),
        )
        for name, row in named
        if row["sessions_free"]
    ]
    return Block(
        title="Scans without microbleeds (F1 and Dice are undefined)",
        note="Clean: without a false positive.",
        heads=("", "scans", "clean", "FP/scan"),
        rows=rows,
    )


def _counts(named: Sequence[tuple[str, PrintedRow]]) -> Block:
    rows = [
        (
            name,
            number(row["count_error_mean"], 2),
            f"{number(row['count_bias'], 2)} "
            f"[{number(row['count_limit_low'], 2)}, {number(row['count_limit_high'], 2)}]",
            interval(row, "count_icc", 3),
            number(row["volume_error_mean"], 1),
            number(row["burden_agreement"], 3),
        )
        for name, row in named
    ]
    return Block(
        title="Counts per scan",
        note="Error: mean absolute difference. Bias: predicted minus reference, with the limits "
        "of\nagreement (1.96 standard deviations). ICC(2,1): absolute agreement, "
        "with 95 % interval.",
        heads=("", "error", "bias [limits]", "ICC", "volume error (mm3)", "burden class right"),
        rows=rows,
        figure="bland_altman",
    )


def _burden(named: Sequence[tuple[str, PrintedRow]], burden: Sequence[PrintedRow]) -> Block:
    names = {_key(row): name for name, row in named}
    rows = [
        (
            f"{names[_key(row)]}: {BURDEN_NAMES[int(row['reference_class'] or 0)]}",
            *(number(row[f"predicted_{column}"], 0) for column in range(len(BURDEN_NAMES))),
        )
        for row in burden
        if _key(row) in names
    ]
    return Block(
        title="Burden classes",
        note="Scans by their number of microbleeds: rows the reference's, columns the predicted.",
        heads=("", *BURDEN_NAMES),
        rows=rows,
    )


def _regions(named: Sequence[tuple[str, PrintedRow]]) -> Block:
    rows = [
        (
            name,
            f"{row['region_right']} of {row['region_known']}",
            interval(row, "region_agreement"),
            number(row["wrong_region_flagged"], 0),
            f"{row['mars_right']} of {row['mars_known']}",
            interval(row, "mars_agreement"),
        )
        for name, row in named
    ]
    known = any(row["region_known"] or row["mars_known"] for _, row in named)
    return Block(
        title="Correct regions of matched lesions, if the reference has regions",
        note="Class: lobar, deep or infratentorial; flagged: of a wrong class, and said to be "
        "near a\nborder; MARS: region of the form and side, both right. With 95 % intervals.",
        heads=("", "class", "share", "flagged", "MARS", "share"),
        rows=rows if known else [],
    )


def _confusion(named: Sequence[tuple[str, PrintedRow]], regions: Sequence[PrintedRow]) -> Block:
    names = {_key(row): name for name, row in named if row["region_known"]}
    rows = [
        (
            f"{names[_key(row)]}: {row['reference_region']}",
            *(number(row[name], 0) for name in (*REGIONS, UNASSIGNED)),
        )
        for row in regions
        if _key(row) in names
    ]
    return Block(
        title="Region confusion",
        note="Matched lesions: rows the reference's class, columns the predicted.",
        heads=("", *REGIONS, UNASSIGNED),
        rows=rows,
    )


def _anatomy(named: Sequence[tuple[str, PrintedRow]]) -> Block:
    groups = [(name, row) for name, row in named if row["stage"] != BEFORE]
    known = [name for name in ANATOMY if any(row[f"{name}_dice_n"] for _, row in groups)]
    known_groups = [
        (name.removesuffix(f", {_STAGE_TEXT[AFTER]}"), row)
        for name, row in groups
        if any(row[f"{key}_dice_n"] for key in known)
    ]

    def cell(row: PrintedRow, name: str) -> str:
        mean, lowest = (number(row[f"{name}_dice_{which}"], 3) for which in ("mean", "lowest"))
        return f"{mean} ({lowest})"

    rows = [(name, *(cell(row, name) for _, row in known_groups)) for name in known]
    note = "Mean (lowest session)"
    if any(row["side_errors_n"] for _, row in groups):
        note += "; side_errors: mean share of voxels on the other side"
        rows.append(
            ("side_errors", *(number(row["side_errors_mean"], 4) for _, row in known_groups))
        )
    return Block(
        title="Anatomy, Dice",
        note=f"{note}.",
        heads=("", *(name for name, _ in known_groups)),
        rows=rows,
    )


def _froc(froc: Sequence[PrintedRow], several: bool) -> Block:
    rows = [
        (
            *([str(row["method"])] if several else []),
            f"{row['threshold']}",
            *(number(row[key], 0) for key in ("sessions", "tp", "fp")),
            *(number(row[key], 3) for key in ("recall", "f1")),
            *(number(row[key], 2) for key in ("fp_per_scan", "fp_per_scan_free")),
        )
        for row in froc
        if row["group"] == EVERYBODY
    ]
    heads = ("threshold", "scans", "TP", "FP", "recall", "F1, pooled", "FP/scan", "CMB-free")
    return Block(
        title="FROC: threshold of the probability or score, before CFPR",
        note="Scans with probabilities or scores only. CMB-free: FP per scan of those "
        "without\nmicrobleeds.",
        heads=("method", *heads) if several else heads,
        rows=rows,
        figure="froc",
    )


def _radii(radii: Sequence[PrintedRow], several: bool) -> Block:
    rows = [
        (
            *([str(row["method"])] if several else []),
            number(row["radius"], 1),
            *(interval(row, key) for key in ("dice_mean", "session_f1_mean", "f1")),
            *(number(row[key], 0) for key in ("tp", "fp")),
            number(row["fp_per_scan"], 2),
        )
        for row in radii
        if row["group"] == EVERYBODY
    ]
    heads = ("radius (mm)", "Dice", "F1", "F1, pooled", "TP", "FP", "FP/scan")
    return Block(
        title="Radius of CFPR (as in figure 4b of the paper)",
        note="The paper reports 2 mm as the best radius on its external data. 0 mm: no CFPR. "
        "With 95 % intervals.",
        heads=("method", *heads) if several else heads,
        rows=rows,
        figure="radii",
    )


def _key(row: PrintedRow) -> tuple[object, ...]:
    return row["method"], row["group"], row["stage"]


def _name(row: PrintedRow, several: bool) -> str:
    method = f"{row['method']}: " if several else ""
    return f"{method}{row['group']}, {_STAGE_TEXT[str(row['stage'])]}"
