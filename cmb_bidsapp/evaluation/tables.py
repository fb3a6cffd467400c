"""The tables an evaluation writes, each with its JSON dictionary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cmb_bidsapp.bids.outputs import write_table
from cmb_bidsapp.evaluation.comparison import UNASSIGNED
from cmb_bidsapp.evaluation.metrics import burden, ratio
from cmb_bidsapp.evaluation.results import ANATOMY, REGIONS, STAGES, SessionResult
from cmb_bidsapp.evaluation.summary import (
    EVERYBODY,
    Group,
    counts_of,
    false_positives_by_place,
    region_agreement,
    region_confusion,
    summarise_sweep,
)
from cmb_bidsapp.group.tables import IDENTITY

Row = dict[str, Any]


def _column(text: str, units: str | None = None, **levels: str) -> Row:
    column: Row = {"Description": text}
    if units:
        column["Units"] = units
    if levels:
        column["Levels"] = {key.replace("_", "-"): meaning for key, meaning in levels.items()}
    return column


def _with_interval(name: str, text: str) -> Row:
    ends = {
        f"{name}_{side}": _column(
            f"{end} end of the 95 % bootstrap interval of {name}, over participants; n/a with "
            "fewer than two"
        )
        for side, end in (("low", "Lower"), ("high", "Upper"))
    }
    return {name: _column(text), **ends}


_STAGE = _column(
    "Which predicted lesions count",
    before_cfpr="all candidates",
    after_cfpr="those that CFPR kept: the final mask",
)
_PROTOCOL = _column("ProtocolName of the reference T2*w, else its voxel size along x, y and z")
_GROUP = _column(f"'{EVERYBODY}' for all evaluated sessions, else the protocol")
_FREE = "of the sessions whose reference has no microbleed"
_COUNTS = {
    "reference": _column("Reference lesions (visible ones)"),
    "predicted": _column("Predicted lesions, ignored ones left out"),
    "tp": _column("True positives: pairs of centres within 5 mm, one to one, as many as can be"),
    "fp": _column("False positives: predicted lesions without a pair, ignored ones left out"),
    "fn": _column("False negatives: reference lesions without a pair"),
    "ignored": _column(
        "Predicted lesions without a pair that touch the reference's ignore mask (lesions a rater "
        "may mark or not): neither right nor wrong"
    ),
    "precision": _column("tp / (tp + fp); n/a without predicted lesions"),
    "recall": _column("tp / (tp + fn); n/a without reference lesions"),
}
_PLACES = {
    "fp_vein": _column("False positives most of whose known voxels are vein"),
    "fp_calcification": _column("False positives most of whose known voxels are calcification"),
    "fp_nothing_known": _column(
        "False positives on neither; all three are n/a without a mimics image in the reference"
    ),
}
_F1_POOLED = "2 tp / (2 tp + fp + fn), over all lesions together"
_MATCHED = _column("Mean Dice of matched lesions, lesion against lesion")
_KNOWN = {
    "region_known": _column("Matched lesions whose region the reference knows"),
    "region_right": _column("Those of them that have the same region in the prediction"),
}

SESSION_COLUMNS = {
    **IDENTITY,
    "status": _column(
        "What was done",
        evaluated="both sides are there",
        no_prediction="in the reference only; in no figure of the summary",
        no_reference="in the prediction only; in no figure of the summary",
        failed="see reason; in no figure of the summary",
    ),
    "reason": _column("Why the session failed"),
    "protocol": _PROTOCOL,
    "stage": _STAGE,
    **_COUNTS,
    "f1": _column("2 tp / (2 tp + fp + fn); n/a where the reference is empty, whatever is found"),
    "dice": _column("Dice of the CMB masks, on voxels; n/a where the reference is empty"),
    "matched_dice": _MATCHED,
    **_PLACES,
    **_KNOWN,
    "count_error": _column("Predicted minus reference lesions, ignored ones left out"),
    "burden_reference": _column("Class of the reference count: 0, 1 (1-4), 2 (5-9), 3 (>= 10)"),
    "burden_predicted": _column("Class of the predicted count, ignored ones left out"),
    **{f"{name}_dice": _column(f"Dice of {name}, the same in both stages") for name in ANATOMY},
}

SUMMARY_COLUMNS = {
    "group": _GROUP,
    "stage": _STAGE,
    "sessions": _column("Evaluated sessions"),
    "participants": _column("Participants they belong to"),
    **_COUNTS,
    **_with_interval("f1", _F1_POOLED),
    **_with_interval("session_f1_mean", "Mean F1 of the sessions whose reference is not empty"),
    "session_f1_median": _column("Median F1 of the sessions whose reference is not empty"),
    "session_f1_n": _column("Sessions in mean and median; an empty reference has no F1"),
    **_with_interval("fp_per_scan", "False positives per session, all sessions"),
    "sessions_free": _column("Sessions whose reference has no microbleed"),
    "fp_per_scan_free": _column(f"False positives per session, {_FREE}"),
    "sessions_free_right": _column(f"Sessions without a false positive, {_FREE}"),
    **_with_interval("dice_mean", "Mean voxel Dice of the sessions whose reference is not empty"),
    "dice_median": _column("Median voxel Dice of the sessions whose reference is not empty"),
    "dice_n": _column("Sessions in mean and median; an empty reference has no Dice"),
    "dice_pooled": _column("Dice of the voxels of all sessions together"),
    "matched_dice_mean": _MATCHED,
    **_PLACES,
    **_KNOWN,
    "region_agreement": _column("region_right / region_known"),
    "count_error_mean": _column("Mean absolute difference of lesion counts, ignored ones left out"),
    "burden_agreement": _column("Share of sessions in the right burden class (0, 1-4, 5-9, >= 10)"),
    **{
        f"{name}_dice_{which}": _column(f"{text} of {name}")
        for name in ANATOMY
        for which, text in (("mean", "Mean Dice"), ("lowest", "Lowest Dice"), ("n", "Sessions"))
    },
}

SWEEP_COLUMNS = {
    "group": _GROUP,
    "threshold": _column("Probability that a lesion must reach somewhere"),
    "sessions": _column("Evaluated sessions with a probability map"),
    **_COUNTS,
    "f1": _column(_F1_POOLED),
    "fp_per_scan": _column("False positives per session, all sessions; before CFPR"),
    "fp_per_scan_free": _column(f"False positives per session, {_FREE}"),
}

REGION_COLUMNS = {
    "group": _GROUP,
    "stage": _STAGE,
    "reference_region": _column("Region in the reference; unassigned where it knows none"),
    **{
        name: _column(f"Matched lesions whose predicted region is {name}")
        for name in (*REGIONS, UNASSIGNED)
    },
}

LESION_COLUMNS = {
    **IDENTITY,
    "protocol": _PROTOCOL,
    "stage": _STAGE,
    "side": _column("reference or predicted"),
    "lesion_id": _column("Number of the lesion on its side"),
    "fate": _column(
        "What became of it",
        found="reference lesion with a pair",
        missed="reference lesion without",
        true_positive="predicted lesion with a pair",
        false_positive="predicted lesion without",
        ignored="predicted lesion without, on the ignore mask",
    ),
    "partner": _column("lesion_id of its pair on the other side"),
    "distance": _column("Between the two centres", "mm"),
    "dice": _column("Dice of the two lesions"),
    "lies_on": _column("What a false positive lies on, where the reference knows mimics"),
    "region": _column("Region on its own side"),
    "x": _column("Mean of its voxels, world coordinates, to the right", "mm"),
    "y": _column("Mean of its voxels, world coordinates, to the front", "mm"),
    "z": _column("Mean of its voxels, world coordinates, upwards", "mm"),
    "voxels": _column("Number of voxels in this stage"),
    "status": _column("The app's own: kept or rejected"),
    "reason": _column("The app's own: verdict of CFPR"),
    "probability_max": _column("The app's own: highest CMB probability"),
    "cfpr_ratio": _column("The app's own: share of brain in the periphery"),
}


def identity(participant: str, session: str | None) -> Row:
    """The columns that name a session."""
    return {
        "participant_id": f"sub-{participant}",
        "session_id": f"ses-{session}" if session else None,
    }


def session_row(result: SessionResult, stage: str) -> Row:
    """Figures of one session before or after CFPR."""
    one = result.stages[stage]
    counts = one.counts
    right, known = region_agreement(region_confusion(one.fates))
    matched = [fate.dice for fate in one.fates if fate.fate == "found"]
    places = false_positives_by_place(result, stage)
    return {
        **identity(result.participant, result.session),
        "status": "evaluated",
        "protocol": result.protocol,
        "stage": stage,
        **counts_of(counts),
        "f1": counts.session_f1,
        "dice": one.overlap.dice if one.overlap.reference else None,
        "matched_dice": ratio(sum(matched), len(matched)),
        **{f"fp_{name}".replace("-", "_"): count for name, count in places.items()},
        "region_known": known,
        "region_right": right,
        "count_error": counts.predicted - counts.reference,
        "burden_reference": burden(counts.reference),
        "burden_predicted": burden(counts.predicted),
        **{f"{name}_dice": value for name, value in result.anatomy.items()},
    }


def lesion_rows(results: Iterable[SessionResult]) -> Iterator[Row]:
    """Every reference and predicted lesion, before and after CFPR."""
    for result in results:
        for stage in STAGES:
            for fate in result.stages[stage].fates:
                known = result.candidates[fate.lesion] if fate.side == "predicted" else {}
                values = {k: v for k, v in vars(fate).items() if k not in ("lesion", "centre")}
                yield {
                    **identity(result.participant, result.session),
                    "protocol": result.protocol,
                    "stage": stage,
                    "lesion_id": fate.lesion,
                    **known,
                    **values,
                    **dict(zip("xyz", fate.centre, strict=True)),
                }


def region_rows(groups: Iterable[Group]) -> Iterator[Row]:
    """Confusion of regions, a row per group, stage and region of the reference."""
    for group in groups:
        for stage in STAGES:
            confusion: Counter[tuple[str, str]] = Counter()
            for result in group.results:
                confusion += region_confusion(result.stages[stage].fates)
            for own in (*REGIONS, UNASSIGNED):
                found = {name: confusion[own, name] for name in (*REGIONS, UNASSIGNED)}
                yield {"group": group.name, "stage": stage, "reference_region": own, **found}


def sweep_rows(groups: Iterable[Group]) -> Iterator[Row]:
    """A row per group and threshold."""
    for group in groups:
        for row in summarise_sweep(group.results):
            yield {"group": group.name, **row}


def write_tables(
    out_dir: Path,
    groups: Sequence[Group],
    summaries: Iterable[Row],
    others: Iterable[Row],
) -> list[Path]:
    """Write all tables.

    Parameters
    ----------
    groups
        The first holds all sessions.
    summaries
        Rows of the summary table.
    others
        Rows of the sessions that were not evaluated.
    """
    results = groups[0].results
    sessions = [session_row(result, stage) for result in results for stage in STAGES]
    sessions = sorted(
        [*sessions, *others], key=lambda r: (r["participant_id"], r["session_id"] or "")
    )
    written = []
    for name, columns, rows in (
        ("sessions", SESSION_COLUMNS, sessions),
        ("summary", SUMMARY_COLUMNS, summaries),
        ("sweep", SWEEP_COLUMNS, sweep_rows(groups)),
        ("regions", REGION_COLUMNS, region_rows(groups)),
        ("lesions", LESION_COLUMNS, lesion_rows(results)),
    ):
        path = out_dir / f"evaluation_{name}.tsv"
        write_table(path, list(columns), rows, columns)
        written.append(path)
    return written
