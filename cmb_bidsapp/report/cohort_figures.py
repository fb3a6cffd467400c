"""Charts of the group page, from plain counts: how many microbleeds, of what kind, what changed.

Sequences are shown beside each other, never pooled. Every figure is made for a width of 900
pixels and brings its own white ground. Those of the brain are in
:mod:`cmb_bidsapp.report.cohort_brains`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from itertools import cycle
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from cmb_bidsapp.core.outcome import plural
from cmb_bidsapp.group.cohort import Share
from cmb_bidsapp.group.flow import Step
from cmb_bidsapp.report.evaluation_figures import GRAY, STYLES

Numbers = npt.NDArray[Any]

#: Width of a figure, inches, and dots to the inch of its picture: sharp on any screen.
WIDTH, DPI = 9.0, 160

#: What each figure shows, for those who do not see it.
ALT = MappingProxyType(
    {
        "distribution": "Bars: number of microbleeds per participant with microbleeds, for each "
        "sequence.",
        "by_region": "Bars: percentage of participants with microbleeds, and of these the "
        "percentage with lobar, deep and infratentorial ones, next to the figures of UK Biobank.",
        "flow": "Bars: number of sessions at each processing step.",
        "changes": "Columns, one per follow-up: persistent and new microbleeds above the line, "
        "gone ones below it.",
    }
)

#: Numbers of microbleeds that share a bar: from, to.
CLASSES = (
    (1, 1), (2, 2), (3, 3), (4, 4), (5, 9), (10, 19), (20, 49), (50, 99), (100, 10**9),
)  # fmt: skip

#: 8,159 scans of UK Biobank (SWI at 3 T): prevalence, and of the positive scans those with at
#: least one microbleed of a class.
UK_BIOBANK = MappingProxyType(
    {"any": 0.070, "lobar": 0.767, "deep": 0.180, "infratentorial": 0.145}
)
UK_BIOBANK_NAME = "UK Biobank (SWI at 3 T, 8,159 scans)"

PERCENT = PercentFormatter(1, decimals=0, symbol=" %")
COLORS = tuple(color for color, _ in STYLES)
PRIOR, NEW, GONE, PERSISTENT = "#b8bec4", COLORS[1], COLORS[0], "#9aa1a8"
#: So many follow-ups side by side are told apart, and so many are room for at least.
FEW, ROOM = 80, 4


def page_figure(height: float) -> Figure:
    """A figure as wide as the page, with a margin.

    Parameters
    ----------
    height
        Inches.
    """
    return Figure((WIDTH, height), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08))


def distribution(counts: Mapping[str, Mapping[int, int]]) -> Figure:
    """How many microbleeds the participants have that have any, a panel for each sequence.

    Parameters
    ----------
    counts
        By sequence (as ``T2starw``, ``swi``): participants by their number of microbleeds.
    """
    highest = max((count for of in counts.values() for count in of), default=0)
    classes = [(low, high) for low, high in CLASSES if low <= max(highest, 5)]
    figure, panels = _panels(counts, 2.3)
    for ax, (sequence, of), color in zip(panels, counts.items(), cycle(COLORS), strict=False):
        numbers = [sum(n for k, n in of.items() if low <= k <= high) for low, high in classes]
        people, positive = sum(of.values()), sum(numbers)
        bars = ax.bar([_class(*ends) for ends in classes], numbers, width=0.72, color=color)
        ax.bar_label(bars, [f"{n:,}" if n else "" for n in numbers], padding=2)
        most = f", at most {max(of):,} in one" if positive else ""
        _title(
            ax,
            f"{sequence}: {positive:,} of {plural(people, 'participant')} with microbleeds{most}",
        )
        ax.set_ylim(0, 1.2 * max(numbers) or 1)
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_ylabel("Participants")
    panels[-1].set_xlabel("Microbleeds per participant")
    return figure


def by_region(people: Mapping[str, Mapping[str, int]]) -> Figure:
    """Prevalence, and the classes of region that carriers have, beside UK Biobank.

    With 95 % intervals (Wilson), where there are participants enough.

    Parameters
    ----------
    people
        By sequence: number of ``participants``, and of those with at least one counted
        microbleed: ``any``, ``lobar``, ``deep``, ``infratentorial``.
    """
    figure = page_figure(4.4)
    panels = figure.subplots(1, 2, width_ratios=(1, 2.7))
    width = 0.84 / (1 + len(people))
    for ax, kinds in zip(panels, (("any",), ("lobar", "deep", "infratentorial")), strict=True):
        first = np.arange(len(kinds)) - width * len(people) / 2
        published = [UK_BIOBANK[kind] for kind in kinds]
        labels = [f"{100 * value:.1f}" for value in published]
        _bars(ax, first, published, labels, width=width, color=PRIOR, label=UK_BIOBANK_NAME)
        for row, (sequence, of) in enumerate(people.items()):
            whole = of["participants" if kinds == ("any",) else "any"]
            shares = [Share(of[kind], whole) for kind in kinds]
            places = first + (row + 1) * width
            scanned = plural(of["participants"], "participant")
            name = f"{sequence} ({scanned}, {of['any']:,} positive)"
            color = COLORS[row % len(COLORS)]
            values, labels = [share.value for share in shares], list(map(_told, shares))
            _bars(ax, places, values, labels, width=width, color=color, label=name)
            ax.vlines(places, *zip(*(share.interval for share in shares), strict=True), color="k")
        ax.set_xticks(range(len(kinds)), kinds)
        ax.tick_params(axis="x", pad=16)
        ax.set_ylim(0, 1.02)
        ax.yaxis.set_major_formatter(PERCENT)
        _tidy(ax)
    # Prevalence may be anything from a few per cent on.
    panels[0].set_ylim(0, min(1.1 * panels[0].dataLim.y1, 1.02))
    _title(panels[0], "With microbleeds")
    _title(panels[1], "Of these, with at least one of a class")
    bars, names = panels[0].get_legend_handles_labels()
    figure.legend(bars, names, loc="outside lower center", ncols=2, frameon=False)
    return figure


#: Steps of the flow that a reader calls otherwise than the table.
STEPS = {
    Step.NO_T2STAR: "no T2*w",
    Step.NO_T1W: "no T1w",
    Step.NOT_REGISTERED: "not registered",
}


def flow(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """The flow of participants: a bar for each step, parts below what they are parts of.

    Parameters
    ----------
    rows
        Of ``group_flow.tsv``, in their order.
    """
    depth: dict[object, int] = {None: -1}
    for row in rows:
        depth[row["step"]] = depth[row["of"]] + 1
    names = ["    " * depth[row["step"]] + STEPS.get(row["step"], row["step"]) for row in rows]
    sessions = [row["sessions"] for row in rows]
    figure = page_figure(0.5 + 0.3 * len(rows))
    ax = figure.subplots()
    colors = [COLORS[min(depth[row["step"]], len(COLORS) - 1)] for row in rows]
    bars = ax.barh(range(len(rows)), sessions, color=colors, height=0.7)
    labels = [
        f"{plural(row['sessions'], 'session')}, {plural(row['participants'], 'participant')}"
        for row in rows
    ]
    ax.bar_label(bars, labels, padding=4)
    ax.set_yticks(range(len(rows)), names, ha="left")
    ax.tick_params(axis="y", pad=120)
    ax.set_xlim(0, 1.5 * max([1, *sessions]))
    ax.invert_yaxis()
    ax.xaxis.set_visible(False)
    ax.spines[["top", "right", "left", "bottom"]].set_visible(False)
    ax.tick_params(length=0)
    return figure


def changes(follow_ups: Mapping[str, Sequence[tuple[int, int, int]]]) -> Figure:
    """Persistent, new and gone microbleeds of every follow-up, a panel for each sequence.

    Parameters
    ----------
    follow_ups
        By sequence (follow-ups whose protocol changed under a name of their own): persistent, new
        and gone microbleeds of each session after a participant's first.
    """
    figure, panels = _panels(follow_ups, 2.6)
    for ax, (sequence, rows) in zip(panels, follow_ups.items(), strict=False):
        # The largest counts first, so that the shape can be read however many there are.
        ordered = sorted(rows, key=lambda row: (-row[0] - row[1], -row[1], -row[2]))
        persistent, new, gone = np.array(ordered, int).reshape(-1, 3).T
        _columns(ax, persistent, persistent + new, NEW, f"new ({new.sum():,})")
        _columns(ax, 0 * persistent, persistent, PERSISTENT, f"persistent ({persistent.sum():,})")
        _columns(ax, 0 * gone, -gone, GONE, f"gone ({gone.sum():,})")
        ax.axhline(0, color="black", linewidth=0.8)
        ax.spines.bottom.set_visible(False)
        ax.set_xlim(0.4, max(len(ordered), ROOM) + 0.6)
        ax.set_ylim(min(ax.get_ylim()[0], -1), max(ax.get_ylim()[1], 2))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):g}"))
        ax.set_ylabel("Microbleeds")
        ax.legend(loc="upper right", framealpha=0.9)
        grown = f"{(new > 0).sum():,} with new microbleeds"
        _title(ax, f"{sequence}: {plural(len(ordered), 'follow-up')}, {grown}")
    panels[-1].set_xlabel("Follow-ups, those with most microbleeds first")
    return figure


def _panels(of: Sized, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with a panel for each sequence, one below the other; one that says so for none."""
    down = max(1, len(of))
    figure = page_figure(0.4 + height * down)
    panels = list(figure.subplots(down, 1, squeeze=False)[:, 0])
    for ax in panels:
        _tidy(ax)
    if not of:
        _title(panels[0], "Nothing to show")
        panels[0].set_axis_off()
    return figure, panels


def _told(share: Share) -> str:
    """A share in per cent; of few participants in numbers."""
    if not share.whole:
        return "n/a"
    return f"{share.part} of {share.whole}" if share.few else f"{100 * share.value:.1f}"


def _bars(
    ax: Axes,
    places: Numbers,
    shares: Sequence[float],
    labels: Sequence[str],
    *,
    width: float,
    color: str,
    label: str,
) -> None:
    """Bars with a label underneath, where no interval is in the way."""
    ax.bar(places, np.nan_to_num(shares), width=0.92 * width, color=color, label=label)
    for place, text in zip(places, labels, strict=True):
        ax.annotate(
            text, (place, 0), xytext=(0, -3),
            textcoords="offset points", ha="center", va="top", fontsize=9, color=GRAY,
        )  # fmt: skip


def _columns(ax: Axes, base: Numbers, top: Numbers, color: str, name: str) -> None:
    """Columns side by side as one shape, however many; few of them with gaps between."""
    half = 0.44 if len(top) <= FEW else 0.5
    number = np.arange(1, len(top) + 1)
    edges = np.stack([number - half, number + half], axis=-1).ravel()
    heights, baseline = (np.stack([ends, 0 * ends], -1).ravel()[:-1] for ends in (top, base))
    ax.stairs(heights, edges, baseline=baseline, fill=True, color=color, label=name)


def _class(low: int, high: int) -> str:
    if low == high:
        return str(low)
    return f"{low} or more" if high == CLASSES[-1][1] else f"{low}-{high}"


def _title(ax: Axes, text: str) -> None:
    ax.set_title(text, loc="left", fontsize=11.5)


def _tidy(ax: Axes) -> None:
    ax.grid(visible=True, axis="y", color="#e3e6e8", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(length=0)
