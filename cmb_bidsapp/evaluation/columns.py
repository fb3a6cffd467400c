"""The columns of the tables an evaluation writes: their order, and what they hold."""

from __future__ import annotations

from typing import Any

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


_STAGE = _column(
    "Which predicted lesions count",
    before_cfpr="all candidates",
    after_cfpr="those that CFPR kept: the final mask",
)
_PROTOCOL = _column("ProtocolName of the reference T2*w, else its voxel size along x, y and z")
_GROUP = _column(f"'{EVERYBODY}' for all evaluated sessions, else the protocol")
_FREE = "of the sessions whose reference has no microbleed"
_COUNTS: Columns = {
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
    **{
        f"{name}_dice": _column(f"Dice, the same in both stages, of {_in_words(name)}")
        for name in ANATOMY
    },
    "side_errors": _column(f"The same in both stages: {_SIDE_ERRORS}"),
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
    **_with_interval("region_agreement", "region_right / region_known, of all lesions together"),
    **_with_interval("mars_agreement", "mars_right / mars_known, of all lesions together"),
    "count_error_mean": _column("Mean absolute difference of lesion counts, ignored ones left out"),
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
