"""Tables 1 and 2 of the paper, with rows of our own below theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cmb_bidsapp.evaluation.results import AFTER, BEFORE
from cmb_bidsapp.evaluation.summary import EVERYBODY

#: What the paper measured: cases of its own hospital, and of the VALDO challenge.
INTERNAL_N, EXTERNAL_N = 99, 72


@dataclass(frozen=True, kw_only=True)
class Published:
    """A row of the paper; Dice and F1, internal, then external."""

    table: int
    name: str
    figures: tuple[float, float, float, float]
    loss: str | None = None
    proxy: bool | None = None
    cfpr: bool | None = None


PAPER = (
    Published(table=1, name="nnDetection", figures=(0.2420, 0.2484, 0.3146, 0.3167)),
    Published(table=1, name="nnU-Net", figures=(0.4627, 0.4714, 0.2972, 0.2860)),
    Published(table=1, name="Kwon, Seo and Park", figures=(0.5138, 0.5199, 0.4688, 0.4600)),
    Published(
        table=2,
        name="nnU-Net",
        figures=(0.4485, 0.5104, 0.3628, 0.3696),
        loss="DiceCE",
        proxy=True,
        cfpr=False,
    ),
    Published(
        table=2,
        name="nnU-Net",
        figures=(0.4488, 0.5118, 0.4281, 0.4116),
        loss="DiceCE",
        proxy=True,
        cfpr=True,
    ),
    Published(
        table=2,
        name="nnU-Net",
        figures=(0.5137, 0.5182, 0.4549, 0.4461),
        loss="DiceTopK",
        proxy=True,
        cfpr=False,
    ),
    Published(
        table=2,
        name="nnU-Net",
        figures=(0.5138, 0.5199, 0.4688, 0.4600),
        loss="DiceTopK",
        proxy=True,
        cfpr=True,
    ),
)
_CFPR = {BEFORE: False, AFTER: True}


def paper_rows(summaries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of both tables: the paper's, then those of the methods that were evaluated.

    Table 1 has the last word of each method, table 2 what is there before and after CFPR.
    """
    rows: list[dict[str, Any]] = [
        {
            "table": row.table,
            "source": "paper",
            "method": row.name,
            "loss": row.loss,
            "proxy": row.proxy,
            "cfpr": row.cfpr,
            **dict(zip(_PUBLISHED, row.figures, strict=True)),
        }
        for row in PAPER
    ]
    for row in summaries:
        if row["group"] != EVERYBODY:
            continue
        own = {"source": "here", "method": row["method"], **{name: row[name] for name in MEASURED}}
        if row["stage"] != BEFORE:
            rows.append({"table": 1, **own})
        if row["stage"] in _CFPR:
            rows.append({"table": 2, **own, "cfpr": _CFPR[row["stage"]]})
    return sorted(rows, key=lambda row: row["table"])


_PUBLISHED = ("internal_dice", "internal_f1", "external_dice", "external_f1")
#: Columns of the summary that stand beside the paper's.
MEASURED = (
    "sessions",
    "dice_n",
    "session_f1_n",
    *(
        f"{name}{end}"
        for name in ("dice_mean", "session_f1_mean", "f1")
        for end in ("", "_low", "_high")
    ),
)
