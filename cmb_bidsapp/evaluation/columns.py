"""The columns of the tables an evaluation writes: their order, and what each number means.

Where the presets differ, ``docs/evaluation.md`` says how.
"""

from __future__ import annotations

from cmb_bidsapp.bids.tables import IDENTITY, Columns, describe
from cmb_bidsapp.core.burden import BURDEN_NAMES
from cmb_bidsapp.core.labels import MIMICS
from cmb_bidsapp.evaluation.comparison import NOTHING_KNOWN
from cmb_bidsapp.evaluation.paper import EXTERNAL_N, INTERNAL_N, MEASURED
from cmb_bidsapp.evaluation.results import ANATOMY, REGIONS
from cmb_bidsapp.evaluation.summary import EVERYBODY
from cmb_bidsapp.lesions.lesion import UNASSIGNED


def _with_interval(name: str, text: str) -> Columns:
    ends = {
        f"{name}_{side}": describe(
            f"{end} limit of the 95 % interval of {name} (bootstrap over participants); n/a for "
            "fewer than two participants"
        )
        for side, end in (("low", "Lower"), ("high", "Upper"))
    }
    return {name: describe(text), **ends}


_METHOD = describe(
    "Method that made the predictions: NAME on the command line, otherwise the folder name"
)
_STAGE = describe(
    "Set of predicted lesions that is evaluated",
    before_cfpr="all candidates of this app",
    after_cfpr="candidates that CFPR kept, as in the final mask",
    as_given="lesions as another tool gives them",
)
_PROTOCOL = describe(
    "ProtocolName of the reference T2*w; if missing, its voxel size along x, y and z"
)
_GROUP = describe(f"'{EVERYBODY}' for all evaluated sessions, otherwise the protocol")
_FREE = "in sessions without reference microbleeds"
_NOT_EMPTY = "over sessions with a non-empty reference"
_POOLED = "pooled over all lesions"
_COUNTS: Columns = {
    "reference": describe("Visible reference lesions"),
    "predicted": describe("Predicted lesions, without ignored ones"),
    "tp": describe("True positives: reference lesions with a match; the preset defines a match"),
    "fp": describe("False positives: predicted lesions without a match, without ignored ones"),
    "fn": describe("False negatives: reference lesions without a match"),
    "ignored": describe(
        "Predicted lesions without a match that touch the ignore mask of the reference (lesions "
        "that a rater may mark or not). They are neither true nor false positives. Always 0 in "
        "preset valdo"
    ),
    "precision": describe("tp / (tp + fp); n/a without predicted lesions"),
    "recall": describe("tp / (tp + fn); n/a without reference lesions"),
}
_PLACES = {
    "fp_vein": describe("False positives on a mimic, mostly vein voxels"),
    "fp_calcification": describe("False positives on a mimic, mostly calcification voxels"),
    "fp_nothing_known": describe(
        "False positives on neither. All three are n/a if the reference has no mimics dseg"
    ),
}
_F1 = "2 tp / (2 tp + fp + fn); preset valdo weights tp and fn by the share of raters"
_F1_POOLED = f"{_F1}; {_POOLED}"
_DICE = "Dice of the voxels; in preset valdo, mean Dice of the matched lesions"
_ASSIGNED = "with all predicted lesions assigned to it"
_MATCHED = describe(f"Mean Dice of the matched reference lesions, each {_ASSIGNED}")
_KNOWN = {
    "region_known": describe("Matched lesions with a known region in the reference"),
    "region_right": describe("Of region_known, lesions with the same region in the prediction"),
    "wrong_region_flagged": describe(
        "Of region_known, lesions with a different region in the prediction that the app flags as "
        "near a border; n/a if the flag is missing for all of region_known"
    ),
    "mars_known": describe(
        "Matched lesions with a known MARS region and side in the reference, if the prediction "
        "has MARS regions"
    ),
    "mars_right": describe("Of mars_known, lesions with the same MARS region and side in both"),
}
#: The five classes as the tables number them.
_CLASSES = ", ".join(f"{number} ({name})" for number, name in enumerate(BURDEN_NAMES))
_OWN = "only for predictions of this app"
_SIDE_ERRORS = (
    "share of the voxels labeled in both MARS maps, whatever the region, that are left in one and "
    "right in the other; n/a if either map is missing"
)


def _in_words(name: str) -> str:
    """What a Dice is of, and where there is none."""
    if name.startswith("mars_"):
        return f"{name}, left and right combined; n/a if the reference lacks the region"
    return name


_SESSIONS: Columns = {
    "method": _METHOD,
    **IDENTITY,
    "status": describe(
        "Whether the session was evaluated",
        evaluated="yes",
        no_prediction="no prediction; not included in the summary",
        no_reference="no reference; not included in the summary",
        failed="evaluation failed, see reason; not included in the summary",
    ),
    "reason": describe("Reason for the failure"),
    "protocol": _PROTOCOL,
    "stage": _STAGE,
    **_COUNTS,
    "f1": describe(f"{_F1}; n/a if the reference is empty, even with false positives"),
    "dice": describe(f"{_DICE}; n/a if the reference is empty"),
    "matched_dice": _MATCHED,
    **_PLACES,
    **_KNOWN,
    "count_error": describe("Predicted minus reference count, without ignored lesions"),
    "volume_error": describe("Predicted minus reference volume", "mm3"),
    "burden_reference": describe(f"Burden class of the reference, number (count): {_CLASSES}"),
    "burden_predicted": describe(
        "Burden class of the prediction, without ignored lesions, numbered in the same way"
    ),
    **{
        f"{name}_dice": describe(f"Dice of {_in_words(name)}; the same in all stages")
        for name in ANATOMY
    },
    "side_errors": describe(f"Left-right errors: {_SIDE_ERRORS}; the same in all stages"),
}

_SUMMARY: Columns = {
    "method": _METHOD,
    "group": _GROUP,
    "stage": _STAGE,
    "sessions": describe("Evaluated sessions"),
    "participants": describe("Participants of these sessions"),
    **_COUNTS,
    **_with_interval("precision", f"tp / (tp + fp), {_POOLED}"),
    **_with_interval("recall", f"tp / (tp + fn), {_POOLED}"),
    **_with_interval("f1", _F1_POOLED),
    **_with_interval("session_f1_mean", f"Mean F1 {_NOT_EMPTY}"),
    "session_f1_median": describe(f"Median F1 {_NOT_EMPTY}"),
    "session_f1_n": describe("Sessions in mean and median; F1 is n/a if the reference is empty"),
    **_with_interval("fp_per_scan", "False positives per session, over all sessions"),
    "sessions_free": describe("Sessions without reference microbleeds"),
    **_with_interval("fp_per_scan_free", f"False positives per session, {_FREE}"),
    "sessions_free_right": describe("Of sessions_free, sessions without a false positive"),
    **_with_interval("dice_mean", f"{_DICE}. Mean {_NOT_EMPTY}"),
    "dice_median": describe("Median of the same Dice over the same sessions"),
    "dice_n": describe("Sessions in mean and median; Dice is n/a if the reference is empty"),
    "dice_pooled": describe("Dice of the voxels, pooled over all sessions, in every preset"),
    "matched_dice_mean": _MATCHED,
    **_PLACES,
    **_KNOWN,
    **_with_interval("region_agreement", f"region_right / region_known, {_POOLED}"),
    **_with_interval("mars_agreement", f"mars_right / mars_known, {_POOLED}"),
    "count_error_mean": describe(
        "Mean absolute difference of lesion counts, without ignored lesions (VALDO: absolute "
        "element difference)"
    ),
    "count_bias": describe("Mean over sessions of predicted minus reference count"),
    "count_limit_low": describe(
        "Lower limit of agreement (Bland and Altman): count_bias - 1.96 standard deviations"
    ),
    "count_limit_high": describe(
        "Upper limit of agreement (Bland and Altman): count_bias + 1.96 standard deviations"
    ),
    **_with_interval(
        "count_icc",
        "Intraclass correlation of predicted and reference counts: two-way random effects, "
        "absolute agreement, single measurement, ICC(2,1)",
    ),
    "volume_error_mean": describe(
        "Mean absolute difference of lesion volumes (VALDO: absolute volume difference)", "mm3"
    ),
    "burden_agreement": describe(
        f"Share of sessions in the correct burden class ({', '.join(BURDEN_NAMES)})"
    ),
    **{
        column: described
        for name in ANATOMY
        for column, described in {
            **_with_interval(f"{name}_dice_mean", f"Mean Dice of {_in_words(name)}"),
            f"{name}_dice_lowest": describe(f"Lowest Dice of {name}"),
            f"{name}_dice_n": describe("Sessions with this Dice"),
        }.items()
    },
    **_with_interval("side_errors_mean", f"Mean over sessions of side_errors: {_SIDE_ERRORS}"),
    "side_errors_n": describe("Sessions in this mean"),
}

_PAPER: Columns = {
    "table": describe("Table of the paper (Kwon, Seo and Park 2024): 1 or 2"),
    "source": describe(
        "Source of the numbers",
        paper="published, for the data of the paper",
        here="measured in this evaluation, on different data; not directly comparable",
    ),
    "method": describe("Method, as named in the paper or in the other tables"),
    "loss": describe("Loss function of the training; n/a if unknown"),
    "proxy": describe("Whether regions were learned as a proxy task; n/a if unknown"),
    "cfpr": describe("Whether CFPR was applied"),
    **{
        f"{where}_{name}": describe(f"Published {text}, {where} data (n={n})")
        for where, n in (("internal", INTERNAL_N), ("external", EXTERNAL_N))
        for name, text in (("dice", "Dice"), ("f1", "F1"))
    },
    **{name: _SUMMARY[name] for name in MEASURED},
}

_FROC: Columns = {
    "method": _METHOD,
    "group": _GROUP,
    "threshold": describe("Minimum peak probability, or minimum score, of a predicted lesion"),
    "sessions": describe("Evaluated sessions with a probability map or scores"),
    **_COUNTS,
    "f1": describe(_F1_POOLED),
    "fp_per_scan": describe("False positives per session, over all sessions, before CFPR"),
    "fp_per_scan_free": describe(f"False positives per session, {_FREE}"),
}

_RADII: Columns = {
    "method": _METHOD,
    "group": _GROUP,
    "radius": describe("Radius of the CFPR periphery; 0 keeps every candidate", "mm"),
    "sessions": describe("Evaluated sessions with candidates and predicted regions"),
    **_COUNTS,
    **_with_interval("f1", _F1_POOLED),
    **_with_interval("session_f1_mean", f"Mean F1 {_NOT_EMPTY}"),
    "fp_per_scan": describe("False positives per session, over all sessions"),
    **_with_interval("dice_mean", f"{_DICE}. Mean {_NOT_EMPTY}"),
    "dice_n": describe("Sessions in this mean"),
}

_BURDEN: Columns = {
    "method": _METHOD,
    "group": _GROUP,
    "stage": _STAGE,
    "reference_class": describe(f"Burden class of the reference, number (count): {_CLASSES}"),
    **{
        f"predicted_{number}": describe(f"Sessions with {name} predicted microbleeds")
        for number, name in enumerate(BURDEN_NAMES)
    },
}

_REGIONS: Columns = {
    "method": _METHOD,
    "group": _GROUP,
    "stage": _STAGE,
    "reference_region": describe("Region in the reference; unassigned if unknown"),
    **{
        name: describe(f"Matched lesions with the predicted region {name}")
        for name in (*REGIONS, UNASSIGNED)
    },
}

_LESIONS: Columns = {
    "method": _METHOD,
    **IDENTITY,
    "protocol": _PROTOCOL,
    "stage": _STAGE,
    "side": describe("Source of the lesion: reference or predicted"),
    "lesion_id": describe("Number of the lesion in the reference or the prediction"),
    "fate": describe(
        "Outcome of the lesion",
        found="reference lesion with a match",
        missed="reference lesion without a match",
        true_positive="predicted lesion with a match",
        false_positive="predicted lesion without a match",
        ignored="predicted lesion without a match, on the ignore mask",
    ),
    "partner": describe("lesion_id of the matched lesion"),
    "distance": describe("Distance between the centers of the two matched lesions", "mm"),
    "dice": describe(f"Dice of the reference lesion {_ASSIGNED}"),
    "lies_on": describe(
        f"Structure under a false positive: {', '.join((*MIMICS.values(), NOTHING_KNOWN))}; n/a "
        "if the reference has no mimics dseg"
    ),
    "region": describe("Region, from the reference or the prediction that contains the lesion"),
    "mars_region": describe(
        "MARS side and region (left-thalamus), from the image that contains the lesion; n/a if "
        "unknown"
    ),
    "border": describe(f"Whether another region is near; {_OWN}"),
    **{
        axis: describe(f"Center (mean of the voxels) in world coordinates, {axis} ({way})", "mm")
        for axis, way in (("x", "right"), ("y", "anterior"), ("z", "superior"))
    },
    "voxels": describe("Number of voxels in this stage"),
    "status": describe(f"Whether the candidate was kept or rejected; {_OWN}"),
    "reason": describe(f"Reason for the status; {_OWN}"),
    "probability_max": describe(f"Highest CMB probability; {_OWN}"),
    "cfpr_ratio": describe(f"Share of brain in the periphery; {_OWN}"),
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
