"""The columns of the tables an evaluation writes: their order, and what every number is.

Where the presets differ, ``docs/evaluation.md`` says how.
"""

from __future__ import annotations

from typing import Any

from cmb_bidsapp.bids.tables import IDENTITY, describe
from cmb_bidsapp.core.burden import BURDEN_NAMES
from cmb_bidsapp.evaluation.paper import EXTERNAL_N, INTERNAL_N, MEASURED
from cmb_bidsapp.evaluation.results import ANATOMY, REGIONS
from cmb_bidsapp.evaluation.summary import EVERYBODY
from cmb_bidsapp.lesions.lesion import UNASSIGNED

Columns = dict[str, dict[str, Any]]


def _with_interval(name: str, text: str) -> Columns:
    ends = {
        f"{name}_{side}": describe(
            f"{end} end of the 95 % bootstrap interval of {name}, over participants; n/a with "
            "fewer than two"
        )
        for side, end in (("low", "Lower"), ("high", "Upper"))
    }
    return {name: describe(text), **ends}


_METHOD = describe(
    "Method that made the predictions: NAME on the command line, otherwise the folder name"
)
_STAGE = describe(
    "Which predicted lesions count",
    before_cfpr="all candidates of this app",
    after_cfpr="those that CFPR kept: the final mask",
    as_given="what another tool gives",
)
_PROTOCOL = describe("ProtocolName of the reference T2*w, else its voxel size along x, y and z")
_GROUP = describe(f"'{EVERYBODY}' for all evaluated sessions, else the protocol")
_FREE = "of the sessions whose reference has no microbleed"
_COUNTS: Columns = {
    "reference": describe("Visible reference lesions"),
    "predicted": describe("Predicted lesions, ignored ones left out"),
    "tp": describe("True positives: reference lesions that a predicted one hits, by the preset"),
    "fp": describe("False positives: predicted lesions that hit none, ignored ones left out"),
    "fn": describe("False negatives: reference lesions that none hits"),
    "ignored": describe(
        "Predicted lesions that hit none and touch the reference's ignore mask (lesions a rater "
        "may mark or not): neither right nor wrong; none in preset valdo"
    ),
    "precision": describe("tp / (tp + fp); n/a without predicted lesions"),
    "recall": describe("tp / (tp + fn); n/a without reference lesions"),
}
_PLACES = {
    "fp_vein": describe("False positives most of whose known voxels are vein"),
    "fp_calcification": describe("False positives most of whose known voxels are calcification"),
    "fp_nothing_known": describe(
        "False positives on neither; all three are n/a without a mimics image in the reference"
    ),
}
_F1 = "2 tp / (2 tp + fp + fn), in preset valdo with tp and fn by the reference's weights"
_F1_POOLED = f"{_F1}; over all lesions together"
_DICE = "Dice of the voxels, in preset valdo the mean Dice of the lesions that are hit"
_MATCHED = describe("Mean Dice of the reference lesions that are hit, each with what is of it")
_KNOWN = {
    "region_known": describe("Matched lesions whose region the reference knows"),
    "region_right": describe("Those of them that have the same region in the prediction"),
    "wrong_region_flagged": describe(
        "Lesions of region_known that have another region in the prediction and that the app "
        "flags as near a border; n/a where it has no flag for any of region_known"
    ),
    "mars_known": describe(
        "Matched lesions with a MARS region and side in both the reference and the prediction"
    ),
    "mars_right": describe("Those of them that have the same MARS region and the same side"),
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
    "status": describe(
        "What was done",
        evaluated="both sides are there",
        no_prediction="in the reference only; in no figure of the summary",
        no_reference="in the prediction only; in no figure of the summary",
        failed="see reason; in no figure of the summary",
    ),
    "reason": describe("Why the session failed"),
    "protocol": _PROTOCOL,
    "stage": _STAGE,
    **_COUNTS,
    "f1": describe(f"{_F1}; n/a where the reference is empty, whatever is found"),
    "dice": describe(f"{_DICE}; n/a where the reference is empty"),
    "matched_dice": _MATCHED,
    **_PLACES,
    **_KNOWN,
    "count_error": describe("Predicted minus reference lesions, ignored ones left out"),
    "volume_error": describe("Predicted minus reference volume", "mm3"),
    "burden_reference": describe(
        "Class of the reference count, from 0: " + ", ".join(BURDEN_NAMES)
    ),
    "burden_predicted": describe("Class of the predicted count, ignored ones left out"),
    **{
        f"{name}_dice": describe(f"Dice, the same in all stages, of {_in_words(name)}")
        for name in ANATOMY
    },
    "side_errors": describe(f"The same in all stages: {_SIDE_ERRORS}"),
}

_SUMMARY: Columns = {
    "method": _METHOD,
    "group": _GROUP,
    "stage": _STAGE,
    "sessions": describe("Evaluated sessions"),
    "participants": describe("Participants they belong to"),
    **_COUNTS,
    **_with_interval("precision", "tp / (tp + fp), over all lesions together"),
    **_with_interval("recall", "tp / (tp + fn), over all lesions together"),
    **_with_interval("f1", _F1_POOLED),
    **_with_interval("session_f1_mean", "Mean F1 of the sessions whose reference is not empty"),
    "session_f1_median": describe("Median F1 of the sessions whose reference is not empty"),
    "session_f1_n": describe("Sessions in mean and median; an empty reference has no F1"),
    **_with_interval("fp_per_scan", "False positives per session, all sessions"),
    "sessions_free": describe("Sessions whose reference has no microbleed"),
    **_with_interval("fp_per_scan_free", f"False positives per session, {_FREE}"),
    "sessions_free_right": describe(f"Sessions without a false positive, {_FREE}"),
    **_with_interval("dice_mean", f"{_DICE}: mean of the sessions whose reference is not empty"),
    "dice_median": describe("Median of the same Dice"),
    "dice_n": describe("Sessions in mean and median; an empty reference has no Dice"),
    "dice_pooled": describe("Dice of the voxels of all sessions together, in every preset"),
    "matched_dice_mean": _MATCHED,
    **_PLACES,
    **_KNOWN,
    **_with_interval("region_agreement", "region_right / region_known, of all lesions together"),
    **_with_interval("mars_agreement", "mars_right / mars_known, of all lesions together"),
    "count_error_mean": describe(
        "Mean absolute difference of lesion counts, ignored ones left out (VALDO: absolute "
        "element difference)"
    ),
    "count_bias": describe("Mean of predicted minus reference lesions per session"),
    "count_limit_low": describe("Bland and Altman: count_bias - 1.96 standard deviations"),
    "count_limit_high": describe("Bland and Altman: count_bias + 1.96 standard deviations"),
    **_with_interval(
        "count_icc",
        "Intraclass correlation of predicted and reference counts: two-way random effects, "
        "absolute agreement, single measurement, ICC(2,1)",
    ),
    "volume_error_mean": describe(
        "Mean absolute difference of volumes (VALDO: absolute volume difference)", "mm3"
    ),
    "burden_agreement": describe(
        f"Share of sessions in the right burden class ({', '.join(BURDEN_NAMES)})"
    ),
    **{
        column: described
        for name in ANATOMY
        for column, described in {
            **_with_interval(f"{name}_dice_mean", f"Mean Dice of {_in_words(name)}"),
            f"{name}_dice_lowest": describe(f"Lowest Dice of {name}"),
            f"{name}_dice_n": describe("Sessions in mean and lowest"),
        }.items()
    },
    **_with_interval("side_errors_mean", f"Mean over sessions of side_errors: {_SIDE_ERRORS}"),
    "side_errors_n": describe("Sessions in that mean"),
}

_PAPER: Columns = {
    "table": describe("Table of the paper (Kwon, Seo and Park 2024): 1 or 2"),
    "source": describe(
        "Where the figures are from",
        paper="published, of the paper's own data",
        here="measured on the sessions of this evaluation: other data, not comparable one to one",
    ),
    "method": describe("As the paper has it, or as in the other tables"),
    "loss": describe("Loss function of the training; n/a where it is not known"),
    "proxy": describe("Whether regions were learnt as a proxy task; n/a where it is not known"),
    "cfpr": describe("Whether CFPR was applied"),
    **{
        f"{where}_{name}": describe(f"Published {text}, {where} (n={n})")
        for where, n in (("internal", INTERNAL_N), ("external", EXTERNAL_N))
        for name, text in (("dice", "Dice"), ("f1", "F1"))
    },
    **{name: _SUMMARY[name] for name in MEASURED},
}

_FROC: Columns = {
    "method": _METHOD,
    "group": _GROUP,
    "threshold": describe("Probability that a lesion must reach somewhere, or score it must have"),
    "sessions": describe("Evaluated sessions with a probability map or scores"),
    **_COUNTS,
    "f1": describe(_F1_POOLED),
    "fp_per_scan": describe("False positives per session, all sessions; before CFPR"),
    "fp_per_scan_free": describe(f"False positives per session, {_FREE}"),
}

_RADII: Columns = {
    "method": _METHOD,
    "group": _GROUP,
    "radius": describe("Radius of the periphery in CFPR; 0 keeps every candidate", "mm"),
    "sessions": describe("Evaluated sessions with candidates and predicted regions"),
    **_COUNTS,
    **_with_interval("f1", _F1_POOLED),
    **_with_interval("session_f1_mean", "Mean F1 of the sessions whose reference is not empty"),
    "fp_per_scan": describe("False positives per session, all sessions"),
    **_with_interval("dice_mean", f"{_DICE}: mean of the sessions whose reference is not empty"),
    "dice_n": describe("Sessions in that mean"),
}

_BURDEN: Columns = {
    "method": _METHOD,
    "group": _GROUP,
    "stage": _STAGE,
    "reference_class": describe("Burden class of the reference: 0, 1 (1-4), 2 (5-9), 3 (>= 10)"),
    **{
        f"predicted_{number}": describe(f"Sessions whose prediction has {name} microbleeds")
        for number, name in enumerate(BURDEN_NAMES)
    },
}

_REGIONS: Columns = {
    "method": _METHOD,
    "group": _GROUP,
    "stage": _STAGE,
    "reference_region": describe("Region in the reference; unassigned where it knows none"),
    **{
        name: describe(f"Matched lesions whose predicted region is {name}")
        for name in (*REGIONS, UNASSIGNED)
    },
}

_LESIONS: Columns = {
    "method": _METHOD,
    **IDENTITY,
    "protocol": _PROTOCOL,
    "stage": _STAGE,
    "side": describe("reference or predicted"),
    "lesion_id": describe("Number of the lesion in the reference or the prediction"),
    "fate": describe(
        "Outcome of the lesion",
        found="reference lesion that is hit",
        missed="reference lesion that is not",
        true_positive="predicted lesion that hits one",
        false_positive="predicted lesion that does not",
        ignored="predicted lesion that does not, on the ignore mask",
    ),
    "partner": describe("lesion_id of its partner on the other side"),
    "distance": describe("Between the two centres", "mm"),
    "dice": describe("Dice of the reference lesion with the predicted ones that are of it"),
    "lies_on": describe("What a false positive lies on, where the reference knows mimics"),
    "region": describe("Region, from the reference or the prediction that contains the lesion"),
    "mars_region": describe(
        "MARS side and region (left-thalamus), from the image that contains the lesion; n/a if "
        "unknown"
    ),
    "border": describe("The app's own: another region is near"),
    "x": describe("Mean of its voxels, world coordinates, to the right", "mm"),
    "y": describe("Mean of its voxels, world coordinates, to the front", "mm"),
    "z": describe("Mean of its voxels, world coordinates, upwards", "mm"),
    "voxels": describe("Number of voxels in this stage"),
    "status": describe("The app's own: kept or rejected"),
    "reason": describe("The app's own: verdict of CFPR"),
    "probability_max": describe("The app's own: highest CMB probability"),
    "cfpr_ratio": describe("The app's own: share of brain in the periphery"),
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
