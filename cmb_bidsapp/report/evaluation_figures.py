"""Figures of an evaluation, from the rows of its tables: FROC, counts, radius of CFPR; raters."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from cmb_bidsapp.bids.outputs import atomic
from cmb_bidsapp.core.defaults import CFPR_RADIUS_MM
from cmb_bidsapp.evaluation.results import BEFORE
from cmb_bidsapp.evaluation.summary import EVERYBODY
from cmb_bidsapp.evaluation.tables import ResultRow, Tables
from cmb_bidsapp.group import agreement
from cmb_bidsapp.group.reader_decisions import Reading

#: Colors of Okabe and Ito, told apart by people with any color vision, and marks for print.
STYLES = (
    ("#0072b2", "o"),
    ("#d55e00", "s"),
    ("#009e73", "^"),
    ("#cc79a7", "D"),
    ("#e69f00", "v"),
    ("#56b4e9", "P"),
    ("#000000", "X"),
)
GRAY = "#666666"
DPI = 160
#: Panels in a row of the figure of counts.
ACROSS = 3
#: Size of the disc of one scan, and how many of it the largest disc has.
DISC, LARGEST_DISC = 30.0, 30
#: Pairs of raters that a figure shows at most, in the order of their table.
PAIRS = 9


def write_figures(out_dir: Path, tables: Tables) -> dict[str, Path]:
    """Write the figures that there are rows for, as ``evaluation_NAME.png``, by name.

    Parameters
    ----------
    out_dir
        Folder of the figures.
    tables
        Rows of the tables, by their names.
    """
    written = {}
    for name, draw in (("froc", froc), ("bland_altman", bland_altman), ("radii", radii)):
        figure = draw(tables)
        if figure is not None:
            path = out_dir / f"evaluation_{name}.png"
            with atomic(path) as beside:
                figure.savefig(beside, format="png", dpi=DPI)
            written[name] = path
    return written


def froc(tables: Tables) -> Figure | None:
    """Sensitivity over false positives per scan, a line per method, with its last word marked."""
    rows = _by_method(tables["froc"])
    if not rows:
        return None
    figure = Figure((6.4, 4.6), layout="constrained")
    ax = figure.subplots()
    last_word: dict[str, Any] = {
        "markersize": 13,
        "fillstyle": "none",
        "markeredgewidth": 2,
        "linestyle": "none",
    }
    for method, (color, mark) in _styles(tables).items():
        own = sorted(rows.get(method, []), key=lambda row: row["threshold"])
        x, y = ([row[key] for row in own] for key in ("fp_per_scan", "recall"))
        ax.plot(x, y, color=color, marker=mark, markersize=5, label=method)
        for row in _last_word(tables, method):
            ax.plot(row["fp_per_scan"], row["recall"], color=color, marker=mark, **last_word)
    ax.plot([], [], color=GRAY, marker="o", label="final result of a method", **last_word)
    shown = [row for row in (*tables["froc"], *tables["summary"]) if row["group"] == EVERYBODY]
    most = max(row["fp_per_scan"] for row in shown)
    ticks = [tick for tick in (0, 0.1, 0.25, 0.5, *(2.0**n for n in range(20))) if tick <= most]
    ax.set_xscale("symlog", linthresh=0.1, linscale=0.5)
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.set(
        xlim=(-0.02, max(1.3 * most, 0.2)),
        ylim=(0, 1.03),
        xlabel="False positives per scan (all scans)",
        ylabel="Sensitivity (microbleeds found)",
        title="FROC over the threshold, before CFPR",
    )
    ax.legend(loc="lower right", framealpha=0.9)
    _tidy(ax)
    return figure


def bland_altman(tables: Tables) -> Figure | None:
    """Difference of counts over their mean, a panel per method."""
    rows = _by_method(
        [
            {**row, "group": EVERYBODY}
            for row in tables["sessions"]
            if row["status"] == "evaluated" and row["stage"] != BEFORE
        ]
    )
    if not rows:
        return None
    across = min(len(rows), ACROSS)
    down = math.ceil(len(rows) / across)
    figure = Figure((1.4 + 4.6 * across, 4.4 * down), layout="constrained")
    panels = figure.subplots(down, across, squeeze=False).ravel()
    styles = _styles(tables)
    for ax, (method, own) in zip(panels, rows.items(), strict=False):
        _agreement(ax, own, _last_word(tables, method), styles[method][0])
        ax.set_title(method if len(rows) > 1 else "Microbleeds per scan")
        ax.set_xlabel("Mean of predicted and reference count (numbers: scans)")
    for ax in panels[::across]:
        ax.set_ylabel("Predicted minus reference count")
    for ax in panels[len(rows) :]:
        ax.set_axis_off()
    return figure


def raters(readings: Sequence[Reading], seed: int = 0) -> Figure | None:
    """Draw difference over mean of two raters' counts (Bland and Altman), a panel per pair.

    Parameters
    ----------
    readings
        Of all raters and sessions.
    seed
        Of the resampling behind the limits.

    Returns
    -------
    figure
        With the first nine pairs that finished a session both; ``None`` without any.
    """
    pairs = agreement.rows(readings, seed=seed)
    named = [(f"{row['second']} minus {row['first']}", row) for row in pairs]
    shown = [(title, row) for title, row in named if row["sessions"]][:PAIRS]
    scans = [
        {
            "method": title,
            "status": "evaluated",
            "stage": None,
            "reference": own,
            "predicted": other,
        }
        for title, row in shown
        for own, other in zip(
            *agreement.counts(readings, row["first"], row["second"])[:2], strict=True
        )
    ]
    sums = [{**row, "method": title, "group": EVERYBODY, "stage": None} for title, row in shown]
    drawn = bland_altman({"sessions": scans, "summary": sums})
    if drawn is not None:
        for ax, (title, _) in zip(drawn.axes, shown, strict=False):
            ax.set_title(title)
            ax.set_xlabel("Mean of both counts (numbers: sessions)")
            ax.set_ylabel("Difference of counts")
    return drawn


def _agreement(
    ax: Axes, scans: Sequence[ResultRow], summaries: Sequence[ResultRow], color: str
) -> None:
    points = Counter(
        ((row["predicted"] + row["reference"]) / 2, row["predicted"] - row["reference"])
        for row in scans
    )
    x, y = zip(*points, strict=True)
    ax.axhline(0, color=GRAY, linewidth=0.8)
    size = DISC * min(1.0, LARGEST_DISC / max(points.values()))
    ax.scatter(x, y, s=size * np.array(list(points.values())) + 4, color=color, alpha=0.55)
    for (mean, difference), count in points.items():
        if count > 1:
            # Above the disc, whose radius in points is half the root of its size.
            ax.annotate(
                str(count), (mean, difference), xytext=(0, math.sqrt(size * count + 4) / 2 + 1),
                textcoords="offset points", ha="center", va="bottom", fontsize=7.5,
            )  # fmt: skip
    for row in summaries:
        for name, text, dashes in (
            ("count_limit_high", "+1.96 SD", "--"),
            ("count_bias", "bias", "-"),
            ("count_limit_low", "-1.96 SD", "--"),
        ):
            value = row[name]
            if math.isfinite(value):
                ax.axhline(value, color="black", linewidth=1.1, linestyle=dashes)
                ax.annotate(
                    f"{text}\n{value:+.2f}", (1, value), xycoords=("axes fraction", "data"),
                    xytext=(4, 0), textcoords="offset points", va="center", fontsize=8,
                )  # fmt: skip
    limits = [row[name] for row in summaries for name in ("count_limit_low", "count_limit_high")]
    reach = 1 + 1.05 * max(abs(value) for value in (*y, *limits) if math.isfinite(value))
    ax.set_ylim(-reach, reach)
    ax.set_xlim(-0.5, 1.1 * max(x) + 1)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    _tidy(ax)


def radii(tables: Tables) -> Figure | None:
    """Dice and F1 over the radius of CFPR, as figure 4b of the paper, with 95 % intervals."""
    rows = _by_method(tables["radii"])
    if not rows:
        return None
    figure = Figure((9.2, 4.5), layout="constrained")
    panels = figure.subplots(1, 2)
    styles = _styles(tables)
    for ax, column, text in zip(
        panels, ("dice_mean", "session_f1_mean"), ("Dice", "F1"), strict=True
    ):
        for method, own in rows.items():
            color, mark = styles[method]
            own = sorted(own, key=lambda row: row["radius"])
            x = [row["radius"] for row in own]
            ends = ([row[f"{column}_{end}"] for row in own] for end in ("low", "high"))
            ax.fill_between(x, *ends, color=color, alpha=0.15, linewidth=0)
            ax.plot(
                x, [row[column] for row in own], color=color, marker=mark, markersize=5,
                label=method,
            )  # fmt: skip
        ax.axvline(CFPR_RADIUS_MM, color=GRAY, linestyle=":", label="the paper's choice: 2 mm")
        ax.set(
            xlabel="Radius of the periphery in CFPR (mm); 0: no CFPR",
            ylabel=f"{text}, mean of scans with microbleeds",
        )
        _tidy(ax)
    lines, texts = panels[0].get_legend_handles_labels()
    figure.legend(lines, texts, loc="outside lower center", ncols=4)
    measured = any(math.isfinite(row["dice_mean_low"]) for row in tables["radii"])
    figure.suptitle("Radius of CFPR" + (", with 95 % intervals" if measured else ""))
    return figure


def _by_method(rows: Sequence[ResultRow]) -> dict[str, list[ResultRow]]:
    """Rows of all sessions, by method."""
    found: dict[str, list[ResultRow]] = {}
    for row in rows:
        if row["group"] == EVERYBODY:
            found.setdefault(row["method"], []).append(row)
    return found


def _last_word(tables: Tables, method: str) -> list[ResultRow]:
    return [
        row
        for row in tables["summary"]
        if row["method"] == method and row["group"] == EVERYBODY and row["stage"] != BEFORE
    ]


def _styles(tables: Tables) -> dict[str, tuple[str, str]]:
    """Color and mark of every method, the same in all figures."""
    methods = dict.fromkeys(row["method"] for row in tables["summary"])
    return {name: STYLES[number % len(STYLES)] for number, name in enumerate(methods)}


def _tidy(ax: Axes) -> None:
    ax.grid(visible=True, color="#dddddd", linewidth=0.7)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
