"""The lesion table: one row per candidate, kept or rejected, with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from cmb_bidsapp.bids.tables import describe
from cmb_bidsapp.core.labels import MARS_FORM, STANDARD_SPACE
from cmb_bidsapp.lesions.candidates import Candidate
from cmb_bidsapp.lesions.cfpr import Verdict
from cmb_bidsapp.lesions.grading import grade
from cmb_bidsapp.models.calibration import Knots, calibrate

#: A row of a table as it was read.
Row = Mapping[str, str]


#: Columns of ``*_label-CMB_lesions.tsv`` with their JSON dictionary.
COLUMNS = MappingProxyType(
    {
        "lesion_id": describe("Number of the candidate in *_desc-CMBinstances_dseg"),
        "status": describe(
            "Whether the candidate is in the final mask", kept="yes", rejected="no, see reason"
        ),
        "reason": describe(
            "Why: the verdict of CFPR",
            parenchyma="enough of its periphery is brain: at least half, or --cfpr-ratio; kept",
            no_periphery="there is no periphery to judge by; kept",
            periphery_not_brain="too little of its periphery is brain; rejected",
            cfpr_off="CFPR was switched off",
        ),
        "grade": describe(
            "Algorithmic grade after MARS; not a rater's",
            definite="counted",
            possible="counted",
            below_size="smaller than MARS counts; reported apart",
            macro="larger than 10 mm; reported apart",
        ),
        "grade_reason": describe("What the grade rests on, in words"),
        "region": describe(
            "Class of most voxels, by the nearest region of the MARS map",
            lobar="lobar",
            deep="deep supratentorial",
            infratentorial="brainstem or cerebellum",
            unassigned="no region within 12 mm",
        ),
        "mars_region": describe(
            "Region of the MARS form of most voxels, within the class; or unassigned",
            **{name: abbreviation for name, (abbreviation, *_) in MARS_FORM.items()},
        ),
        "side": describe("Hemisphere, left or right; or unassigned"),
        "region_share": describe("Share of the voxels that voted for the region", "arbitrary"),
        "votes_lobar": describe("Voxels whose nearest region is lobar"),
        "votes_deep": describe("Voxels whose nearest region is deep"),
        "votes_infratentorial": describe("Voxels whose nearest region is infratentorial"),
        "border": describe("Another region lies within 2 mm of the centre"),
        "x": describe("Centre, world coordinates of the T2*w image, to the right", "mm"),
        "y": describe("Centre, world coordinates of the T2*w image, to the front", "mm"),
        "z": describe("Centre, world coordinates of the T2*w image, upwards", "mm"),
        "mni_x": describe(f"Centre in {STANDARD_SPACE}, to the right", "mm"),
        "mni_y": describe(f"Centre in {STANDARD_SPACE}, to the front", "mm"),
        "mni_z": describe(f"Centre in {STANDARD_SPACE}, upwards", "mm"),
        "voxels": describe("Number of voxels"),
        "volume": describe("Volume", "mm3"),
        "diameter": describe("Largest in-plane diameter", "mm"),
        "equivalent_diameter": describe("Diameter of the sphere of the same volume", "mm"),
        "roundness": describe("Short by long axis of the largest cross-section, 0 to 1"),
        "sphericity": describe(
            "Short by long axis of the whole lesion, 0 to 1; says little where slices are thick"
        ),
        "probability_mean": describe("Mean CMB probability of the network (not calibrated)"),
        "probability_max": describe("Highest CMB probability of the network (not calibrated)"),
        "calibrated_probability": describe(
            "Probability that it is a microbleed, from probability_max, by the calibration in the "
            "model's card; n/a without one, for candidates that CFPR rejects or would reject, and "
            "below the probability that the calibration begins at"
        ),
        "contrast": describe("Share of the surrounding signal that is missing, 0 to 1"),
        "cfpr_mode": describe(
            "Which voxels are peripheral, and which count",
            paper="voxels nearby, those of other candidates not counted",
            reference="as in the authors' code: other candidates and own interior are not brain",
        ),
        "cfpr_ratio": describe("Share of brain among the peripheral voxels that count"),
        "shell_lobar": describe("Peripheral voxels predicted lobar"),
        "shell_deep": describe("Peripheral voxels predicted deep"),
        "shell_infratentorial": describe("Peripheral voxels predicted infratentorial"),
        "shell_background": describe("Peripheral voxels predicted background"),
        "shell_other_cmb": describe("Peripheral voxels of other candidates"),
        "shell_own": describe("Voxels of the candidate itself that are taken for peripheral"),
    }
)


def rows(
    candidates: Sequence[Candidate],
    verdicts: Sequence[Verdict],
    *,
    cfpr: bool,
    min_diameter: float,
    calibration: Knots = (),
    standard: Iterable[Sequence[float]] = (),
) -> list[dict[str, Any]]:
    """Join measurements, verdict and grade of each candidate.

    Parameters
    ----------
    cfpr
        Whether verdicts are carried out; they are reported either way.
    min_diameter
        Smallest diameter (mm) that is counted.
    calibration
        Of the model; see :mod:`cmb_bidsapp.models.calibration`.
    standard
        Centre of each candidate in MNI152 (mm), where known.
    """
    places = iter(standard)
    by_lesion = {verdict.lesion: verdict for verdict in verdicts}
    table = []
    for candidate in candidates:
        x, y, z = next(places, (None, None, None))
        verdict = by_lesion[candidate.lesion]
        measured = {k: v for k, v in vars(candidate).items() if k != "lesion"}
        # A calibration is made of candidates that passed CFPR, and holds for such alone.
        holds = calibration if verdict.kept else ()
        calibrated = float(calibrate(candidate.probability_max, holds))
        graded = grade(candidate, min_diameter, calibrated)
        table.append(
            {
                "lesion_id": candidate.lesion,
                "status": "kept" if verdict.kept or not cfpr else "rejected",
                "reason": verdict.reason if cfpr else "cfpr-off",
                "grade": graded.name,
                "grade_reason": graded.reason,
                **measured,
                "mni_x": x,
                "mni_y": y,
                "mni_z": z,
                "calibrated_probability": calibrated,
                "cfpr_mode": verdict.mode,
                "cfpr_ratio": verdict.ratio,
                "shell_lobar": verdict.lobar,
                "shell_deep": verdict.deep,
                "shell_infratentorial": verdict.infratentorial,
                "shell_background": verdict.background,
                "shell_other_cmb": verdict.other_cmb,
                "shell_own": verdict.own,
            }
        )
    return table
