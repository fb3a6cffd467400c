"""The columns of the tables an evaluation writes: their order, and what every number is.

Where the presets differ, ``docs/evaluation.md`` says how.
"""

from __future__ import annotations

from typing import Any

from cmb_bidsapp.evaluation.metrics import BURDEN_NAMES
from cmb_bidsapp.evaluation.paper import EXTERNAL_N, INTERNAL_N, MEASURED
from cmb_bidsapp.evaluation.results import ANATOMY, REGIONS
from cmb_bidsapp.evaluation.summary import EVERYBODY
from cmb_bidsapp.group.tables import IDENTITY
from cmb_bidsapp.lesions.candidates import UNASSIGNED

Columns = dict[str, dict[str, Any]]


def _column(text: str, units: str | None = None, **levels: str) -> dict[str, Any]:
    column: dict[str, Any] = {"Description": text}
    if units:
        column["Units"] = units
    if levels:
        column["Levels"] = {key.replace("_", "-"): meaning for key, meaning in levels.items()}
    return column


def _with_interval(name: str, text: str) -> Columns:
    ends = {
        f"{name}_{side}": _column(
            f"{end} end of the 95 % bootstrap interval of {name}, over participants; n/a with "
            "fewer than two"
        )
        for side, end in (("low", "Lower"), ("high", "Upper"))
    }
    return {name: _column(text), **ends}


_METHOD = _column("Whose predictions: the NAME on the command line, else the folder's")
_STAGE = _column(
    "Which predicted lesions count",
    before_cfpr="all candidates of this app",
    after_cfpr="those that CFPR kept: the final mask",
    as_given="what another tool gives",
)
_PROTOCOL = _column("ProtocolName of the reference T2*w, else its voxel size along x, y and z")
_GROUP = _column(f"'{EVERYBODY}' for all evaluated sessions, else the protocol")
_FREE = "of the sessions whose reference has no microbleed"
_COUNTS: Columns = {
    "reference": _column("Reference lesions (visible ones)"),
    "predicted": _column("Predicted lesions, ignored ones left out"),
    "tp": _column("True positives: reference lesions that a predicted one hits, by the preset"),
    "fp": _column("False positives: predicted lesions that hit none, ignored ones left out"),
    "fn": _column("False negatives: reference lesions that none hits"),
    "ignored": _column(
        "Predicted lesions that hit none and touch the reference's ignore mask (lesions a rater "
        "may mark or not): neither right nor wrong; none in preset valdo"
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
_F1 = "2 tp / (2 tp + fp + fn), in preset valdo with tp and fn by the reference's weights"
_F1_POOLED = f"{_F1}; over all lesions together"
_DICE = "Dice of the voxels, in preset valdo the mean Dice of the lesions that are hit"
_MATCHED = _column("Mean Dice of the reference lesions that are hit, each with what is of it")
_KNOWN = {
    "region_known": _column("Matched lesions whose region the reference knows"),
    "region_right": _column("Those of them that have the same region in the prediction"),
    "wrong_region_flagged": _column(
        "Lesions of region_known that have another region in the prediction and that the app "
        "flags as near a border; n/a where it has no flag for any of region_known"
    ),
    "mars_known": _column(
        "Matched lesions whose MARS region and side the reference knows and the app tells"
    ),
    "mars_right": _column("Those of them that have the same MARS region and the same side"),
}
_SIDE_ERRORS = (
    "share of the voxels that both MARS maps label, whatever the region, that are left in one and "
    "right in the other; n/a without two such maps"
)


def _in_words(name: str) -> str:
    """What a Dice is of, and where there is none."""
    if name.startswith("mars_"):
        return f"{name}, left and right together, where the reference holds the region"
    return name


_SESSIONS: Columns = {
    "method": _METHOD,
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
    "f1": _column(f"{_F1}; n/a where the reference is empty, whatever is found"),
    "dice": _column(f"{_DICE}; n/a where the reference is empty"),
    "matched_dice": _MATCHED,
    **_PLACES,
    **_KNOWN,
    "count_error": _column("Predicted minus reference lesions, ignored ones left out"),
    "volume_error": _column("Predicted minus reference volume", "mm3"),
    "burden_reference": _column("Class of the reference count: 0, 1 (1-4), 2 (5-9), 3 (>= 10)"),
    "burden_predicted": _column("Class of the predicted count, ignored ones left out"),
    **{
        f"{name}_dice": _column(f"Dice, the same in all stages, of {_in_words(name)}")
        for name in ANATOMY
    },
    "side_errors": _column(f"The same in all stages: {_SIDE_ERRORS}"),
}

_SUMMARY: Columns = {
    "method": _METHOD,
    "group": _GROUP,
    "stage": _STAGE,
    "sessions": _column("Evaluated sessions"),
    "participants": _column("Participants they belong to"),
    **_COUNTS,
    **_with_interval("precision", "tp / (tp + fp), over all lesions together"),
    **_with_interval("recall", "tp / (tp + fn), over all lesions together"),
    **_with_interval("f1", _F1_POOLED),
    **_with_interval("session_f1_mean", "Mean F1 of the sessions whose reference is not empty"),
    "session_f1_median": _column("Median F1 of the sessions whose reference is not empty"),
    "session_f1_n": _column("Sessions in mean and median; an empty reference has no F1"),
    **_with_interval("fp_per_scan", "False positives per session, all sessions"),
    "sessions_free": _column("Sessions whose reference has no microbleed"),
    **_with_interval("fp_per_scan_free", f"False positives per session, {_FREE}"),
    "sessions_free_right": _column(f"Sessions without a false positive, {_FREE}"),
    **_with_interval("dice_mean", f"{_DICE}: mean of the sessions whose reference is not empty"),
    "dice_median": _column("Median of the same Dice"),
    "dice_n": _column("Sessions in mean and median; an empty reference has no Dice"),
    "dice_pooled": _column("Dice of the voxels of all sessions together, in every preset"),
    "matched_dice_mean": _MATCHED,
    **_PLACES,
    **_KNOWN,
    **_with_interval("region_agreement", "region_right / region_known, of all lesions together"),
    **_with_interval("mars_agreement", "mars_right / mars_known, of all lesions together"),
    "count_error_mean": _column(
        "Mean absolute difference of lesion counts, ignored ones left out (VALDO: absolute "
        "element difference)"
    ),
    "count_bias": _column("Mean of predicted minus reference lesions per session"),
    "count_limit_low": _column("Bland and Altman: count_bias - 1.96 standard deviations"),
    "count_limit_high": _column("Bland and Altman: count_bias + 1.96 standard deviations"),
    **_with_interval(
        "count_icc",
        "Intraclass correlation of predicted and reference counts: two-way random effects, "
        "absolute agreement, single measurement, ICC(2,1)",
    ),
    "volume_error_mean": _column(
        "Mean absolute difference of volumes (VALDO: absolute volume difference)", "mm3"
    ),
    "burden_agreement": _column("Share of sessions in the right burden class (0, 1-4, 5-9, >= 10)"),
    **{
        column: described
        for name in ANATOMY
        for column, described in {
            **_with_interval(f"{name}_dice_mean", f"Mean Dice of {_in_words(name)}"),
            f"{name}_dice_lowest": _column(f"Lowest Dice of {name}"),
            f"{name}_dice_n": _column("Sessions in mean and lowest"),
        }.items()
    },
    **_with_interval("side_errors_mean", f"Mean over sessions of side_errors: {_SIDE_ERRORS}"),
    "side_errors_n": _column("Sessions in that mean"),
}

_PAPER: Columns = {
    "table": _column("Table of the paper (Kwon, Seo and Park 2024): 1 or 2"),
    "source": _column(
        "Where the figures are from",
        paper="published, of the paper's own data",
        here="measured on the sessions of this evaluation: other data, not comparable one to one",
    ),
    "method": _column("As the paper has it, or as in the other tables"),
    "loss": _column("Loss function of the training; n/a where it is not known"),
    "proxy": _column("Whether regions were learnt as a proxy task; n/a where it is not known"),
    "cfpr": _column("Whether CFPR was applied"),
    **{
        f"{where}_{name}": _column(f"Published {text}, {where} (n={n})")
        for where, n in (("internal", INTERNAL_N), ("external", EXTERNAL_N))
        for name, text in (("dice", "Dice"), ("f1", "F1"))
    },
    **{name: _SUMMARY[name] for name in MEASURED},
}

_FROC: Columns = {
    "method": _METHOD,
    "group": _GROUP,
    "threshold": _column("Probability that a lesion must reach somewhere, or score it must have"),
    "sessions": _column("Evaluated sessions with a probability map or scores"),
    **_COUNTS,
    "f1": _column(_F1_POOLED),
    "fp_per_scan": _column("False positives per session, all sessions; before CFPR"),
    "fp_per_scan_free": _column(f"False positives per session, {_FREE}"),
}

_RADII: Columns = {
    "method": _METHOD,
    "group": _GROUP,
    "radius": _column("Radius of the periphery in CFPR; 0 keeps every candidate", "mm"),
    "sessions": _column("Evaluated sessions with candidates and predicted regions"),
    **_COUNTS,
    **_with_interval("f1", _F1_POOLED),
    **_with_interval("session_f1_mean", "Mean F1 of the sessions whose reference is not empty"),
    "fp_per_scan": _column("False positives per session, all sessions"),
    **_with_interval("dice_mean", f"{_DICE}: mean of the sessions whose reference is not empty"),
    "dice_n": _column("Sessions in that mean"),
}

_BURDEN: Columns = {
    "method": _METHOD,
    "group": _GROUP,
    "stage": _STAGE,
    "reference_class": _column("Burden class of the reference: 0, 1 (1-4), 2 (5-9), 3 (>= 10)"),
    **{
        f"predicted_{number}": _column(f"Sessions whose prediction has {name} microbleeds")
        for number, name in enumerate(BURDEN_NAMES)
    },
}

_REGIONS: Columns = {
    "method": _METHOD,
    "group": _GROUP,
    "stage": _STAGE,
    "reference_region": _column("Region in the reference; unassigned where it knows none"),
    **{
        name: _column(f"Matched lesions whose predicted region is {name}")
        for name in (*REGIONS, UNASSIGNED)
    },
}

_LESIONS: Columns = {
    "method": _METHOD,
    **IDENTITY,
    "protocol": _PROTOCOL,
    "stage": _STAGE,
    "side": _column("reference or predicted"),
    "lesion_id": _column("Number of the lesion on its side"),
    "fate": _column(
        "What became of it",
        found="reference lesion that is hit",
        missed="reference lesion that is not",
        true_positive="predicted lesion that hits one",
        false_positive="predicted lesion that does not",
        ignored="predicted lesion that does not, on the ignore mask",
    ),
    "partner": _column("lesion_id of its partner on the other side"),
    "distance": _column("Between the two centres", "mm"),
    "dice": _column("Dice of the reference lesion with the predicted ones that are of it"),
    "lies_on": _column("What a false positive lies on, where the reference knows mimics"),
    "region": _column("Region, as its own side says"),
    "mars_region": _column(
        "Side and region of the MARS form (left-thalamus), as its own side says; n/a where it "
        "does not tell"
    ),
    "border": _column("The app's own: another region is near"),
    "x": _column("Mean of its voxels, world coordinates, to the right", "mm"),
    "y": _column("Mean of its voxels, world coordinates, to the front", "mm"),
    "z": _column("Mean of its voxels, world coordinates, upwards", "mm"),
    "voxels": _column("Number of voxels in this stage"),
    "status": _column("The app's own: kept or rejected"),
    "reason": _column("The app's own: verdict of CFPR"),
    "probability_max": _column("The app's own: highest CMB probability"),
    "cfpr_ratio": _column("The app's own: share of brain in the periphery"),
}

#: Columns by the name of the table.
COLUMNS = {
    "paper": _PAPER,
    "summary": _SUMMARY,
    "sessions": _SESSIONS,
    "burden": _BURDEN,
    "regions": _REGIONS,
    "froc": _FROC,
    "radii": _RADII,
    "lesions": _LESIONS,
}
