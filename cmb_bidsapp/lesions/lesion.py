"""A lesion: a candidate with its measures and decisions, one row of the lesion table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType

from cmb_bidsapp.bids.typed import Level, column
from cmb_bidsapp.core.defaults import CfprMode
from cmb_bidsapp.core.labels import MARS_FORM, STANDARD_SPACE

#: MARS region of a lesion that is near none; class and side are called the same.
UNASSIGNED = "unassigned"

#: World coordinates (RAS mm), NaN where they are not known.
Point = tuple[float, float, float]


class Status(Level):
    """Whether a candidate is in the final mask."""

    KEPT = "kept", "yes"
    REJECTED = "rejected", "no, see reason"


class Reason(Level):
    """Why a candidate is kept or rejected. A rule that decides brings its own members."""

    PARENCHYMA = (
        "parenchyma",
        "kept: enough of its periphery is brain (at least --cfpr-ratio, by default half)",
    )
    NO_PERIPHERY = "no-periphery", "kept: it has no periphery to judge"
    PERIPHERY_NOT_BRAIN = (
        "periphery-not-brain",
        "rejected: too little of its periphery is brain",
    )
    DIAMAGNETIC = "diamagnetic", "rejected: the phase shows calcium, not blood", "phase_sign"
    CFPR_OFF = "cfpr-off", "kept: CFPR was switched off, and no other rule rejects it"
    READER = "reader", "decided by readers, see source"

    @classmethod
    def of_rules(cls) -> dict[str, str]:
        """The reasons of rules, which no reader has overruled yet."""
        return {value: meant for value, meant in cls.levels().items() if value != cls.READER}


class Grade(Level):
    """Size and likeliness of a microbleed after MARS (Gregoire et al. 2009)."""

    DEFINITE = "definite", "counted"
    POSSIBLE = "possible", "counted"
    BELOW_SIZE = "below-size", "smaller than MARS counts; reported separately"
    MACRO = "macro", "larger than 10 mm; reported separately"


#: Grades that MARS counts.
COUNTED = (Grade.DEFINITE, Grade.POSSIBLE)


class Region(Level):
    """Class of the place of a lesion."""

    LOBAR = "lobar", "lobar"
    DEEP = "deep", "deep supratentorial"
    INFRATENTORIAL = "infratentorial", "brainstem or cerebellum"
    UNASSIGNED = UNASSIGNED, "no region within 12 mm"


class Side(Level):
    """Hemisphere of a lesion."""

    LEFT = "left", "left"
    RIGHT = "right", "right"
    UNASSIGNED = UNASSIGNED, "on neither side"


class PhaseSign(Level):
    """Sign of the susceptibility of a candidate, from the phase image."""

    PARAMAGNETIC = "paramagnetic", "like blood, iron and veins"
    DIAMAGNETIC = "diamagnetic", "like calcium"
    UNDECIDED = (
        "undecided",
        "the phase is inconclusive, or the sign convention of the scanner is unclear",
    )


class Mimic(Level):
    """Mimic that a candidate resembles most in the magnitude image."""

    VESSEL = "vessel", "a vein or another vessel, or a mineral streak along one"
    CALCIFICATION = "calcification", "calcium; the magnitude can hardly distinguish it from blood"
    IRON = "iron", "the iron of a deep nucleus"
    EDGE = "edge", "the edge of the brain, next to air, bone or a sinus"
    OTHER = "other", "none of these: noise, texture, or a voxel that holds two tissues"


_MARS_REGIONS = {
    **{name: abbreviation for name, (abbreviation, *_) in MARS_FORM.items()},
    UNASSIGNED: "none within 12 mm",
}
_CFPR_MODES = {
    "paper": "nearby voxels; those of other candidates do not count",
    "reference": "as in the authors' code: other candidates and the own interior are not brain",
}


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """A row of ``*_label-CMB_lesions.tsv``.

    Each field is a column, which its metadata describe; ``None`` where the table does not know it.
    """

    lesion_id: int | None = column("Number of the candidate in *_desc-CMBinstances_dseg")
    status: Status = column(
        "Whether the candidate is in the final mask", levels=Status.levels, required=True
    )
    reason: Reason | None = column(
        "Reason why the candidate is kept or rejected", levels=Reason.of_rules
    )
    grade: Grade | None = column(
        "Grade by the algorithm, following MARS; not by a rater", levels=Grade.levels
    )
    grade_reason: str | None = column("Reason for the grade, in words")
    region: Region | None = column(
        "Class of most voxels; each voxel takes the nearest region of the MARS map",
        levels=Region.levels,
    )
    mars_region: str | None = column(
        "Region of the MARS form that holds most voxels, within the class",
        levels=MappingProxyType(_MARS_REGIONS),
    )
    side: Side | None = column("Hemisphere, left or right; or unassigned")
    region_share: float | None = column(
        "Share of the voxels that voted for the region", "arbitrary"
    )
    votes_lobar: int | None = column("Voxels whose nearest region is lobar")
    votes_deep: int | None = column("Voxels whose nearest region is deep")
    votes_infratentorial: int | None = column("Voxels whose nearest region is infratentorial")
    border: bool | None = column("Whether another region lies within 2 mm of the center")
    x: float | None = column("Center in world coordinates of the T2*w image, x (right)", "mm")
    y: float | None = column("Center in world coordinates of the T2*w image, y (anterior)", "mm")
    z: float | None = column("Center in world coordinates of the T2*w image, z (superior)", "mm")
    mni_x: float | None = column(f"Center in {STANDARD_SPACE}, x (right)", "mm")
    mni_y: float | None = column(f"Center in {STANDARD_SPACE}, y (anterior)", "mm")
    mni_z: float | None = column(f"Center in {STANDARD_SPACE}, z (superior)", "mm")
    voxels: int | None = column("Number of voxels")
    volume: float | None = column("Volume", "mm3")
    diameter: float | None = column("Largest in-plane diameter", "mm")
    equivalent_diameter: float | None = column("Diameter of the sphere of the same volume", "mm")
    roundness: float | None = column(
        "Ratio of short to long axis of the largest cross-section, 0 to 1"
    )
    sphericity: float | None = column(
        "Ratio of short to long axis of the whole lesion, 0 to 1; not informative for thick slices"
    )
    probability_mean: float | None = column("Mean CMB probability of the network (not calibrated)")
    probability_max: float | None = column(
        "Highest CMB probability of the network (not calibrated)"
    )
    calibrated_probability: float | None = column(
        "Probability that the candidate is a microbleed, from probability_max and the calibration "
        "in the model's card; n/a if the card has none, if CFPR rejects or would reject the "
        "candidate, or if probability_max is below the start of the calibration"
    )
    contrast: float | None = column("Fractional signal loss relative to the surroundings, 0 to 1")
    mimic: Mimic | None = column(
        "Most similar mimic, according to a network trained on simulated examples; does not "
        "affect any decision",
        levels=Mimic.levels,
    )
    mimic_share: float | None = column("Confidence of that network, 0 to 1")
    cfpr_mode: CfprMode | None = column(
        "Rule of CFPR: which voxels are the periphery, and which of them count",
        levels=MappingProxyType(_CFPR_MODES),
    )
    cfpr_ratio: float | None = column("Share of brain among the voxels of the periphery that count")
    shell_lobar: int | None = column("Voxels of the periphery predicted as lobar")
    shell_deep: int | None = column("Voxels of the periphery predicted as deep")
    shell_infratentorial: int | None = column("Voxels of the periphery predicted as infratentorial")
    shell_background: int | None = column("Voxels of the periphery predicted as background")
    shell_other_cmb: int | None = column("Voxels of the periphery in other candidates")
    shell_own: int | None = column("Voxels of the candidate itself that count as periphery")
    phase_sign: PhaseSign | None = column(
        "Sign of the susceptibility, from the phase image; the phase columns exist only if the "
        "session has a usable one",
        levels=PhaseSign.levels,
        needs="phase_sign",
    )
    phase_evidence: float | None = column(
        "Fraction of the misfit between the measured phase and a dipole model that the better "
        "sign removes; positive if the source raises the phase beyond its poles",
        needs="phase_sign",
    )
    phase_strength: float | None = column(
        "Phase of the source that fits best, signed", "rad", needs="phase_sign"
    )
    phase_core: float | None = column(
        "Median high-pass filtered phase of the candidate in its middle slice",
        "rad",
        needs="phase_sign",
    )

    @property
    def kept(self) -> bool:
        """Whether it is in the final mask."""
        return self.status is Status.KEPT

    @property
    def counted(self) -> bool:
        """Whether MARS counts it: kept, definite or possible."""
        return self.kept and self.grade in COUNTED

    @property
    def number(self) -> int:
        """Its value in the instance image; 0 for a lesion that is no candidate."""
        return self.lesion_id or 0

    @property
    def point(self) -> Point:
        """Center, world of the T2*w."""
        return _point(self.x, self.y, self.z)

    @property
    def standard_point(self) -> Point:
        """Center in MNI152."""
        return _point(self.mni_x, self.mni_y, self.mni_z)


def _point(*values: float | None) -> Point:
    x, y, z = (math.nan if value is None else value for value in values)
    return x, y, z
