"""The rules an evaluation goes by: what a lesion is, what a hit is, what F1 and Dice mean.

Everything that differs between presets is here; everything else is the same for all of them
(``docs/evaluation.md`` has the definitions in words).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from cmb_bidsapp.core.defaults import CONNECTIVITY, FROC_THRESHOLDS, MIN_SCORE
from cmb_bidsapp.core.statistics import NAN, ratio
from cmb_bidsapp.evaluation.comparison import Fate
from cmb_bidsapp.evaluation.matching import Matcher, in_common, nearest, within_reach
from cmb_bidsapp.evaluation.metrics import Overlap

SessionDice = Callable[[Overlap, Sequence[Fate]], float]


def dice_of_voxels(overlap: Overlap, fates: Sequence[Fate]) -> float:  # noqa: ARG001
    """Dice of the two masks; NaN where the reference is empty.

    Parameters
    ----------
    overlap
        Voxels of the two masks.
    fates
        Of the lesions; not used.
    """
    return overlap.dice if overlap.reference else NAN


def dice_of_hits(overlap: Overlap, fates: Sequence[Fate]) -> float:
    """Mean Dice of the reference lesions that are hit; 0 without a hit, NaN without a reference.

    The Dice of such a lesion is that with the union of the predicted lesions that took it.

    Parameters
    ----------
    overlap
        Says whether the reference is empty.
    fates
        Of all lesions of the session.
    """
    hits = [fate.dice for fate in fates if fate.fate == "found"]
    if not hits:
        return 0.0 if overlap.reference else NAN
    return ratio(sum(hits), len(hits))


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A set of rules.

    Attributes
    ----------
    text
        What it does, for people.
    match
        Which predicted lesion hits which reference lesion.
    dice
        Dice of a session.
    pieces
        Lesions are the connected pieces of the masks, whatever numbers an instance image has.
    weighted
        F1 counts a reference lesion by the share of raters who marked it.
    ignores
        Predicted lesions on the reference's ignore mask are neither right nor wrong.
    """

    name: str
    text: str
    match: Matcher
    dice: SessionDice
    pieces: bool = False
    weighted: bool = False
    ignores: bool = True


PRESETS = MappingProxyType(
    {
        preset.name: preset
        for preset in (
            Preset(
                name="paper",
                text="one to one, centers at most 5 mm apart, as many pairs as possible; "
                "Dice of the voxels (Kwon, Seo and Park 2024, section 3.4)",
                match=within_reach,
                dice=dice_of_voxels,
            ),
            Preset(
                name="valdo",
                text="every predicted lesion takes the nearest reference lesion closer than 5 mm; "
                "the nearest predicted lesion matches it, the others are false; Dice of the "
                "matched lesions (VALDO challenge 2021, Task 2)",
                match=nearest,
                dice=dice_of_hits,
                pieces=True,
                weighted=True,
                ignores=False,
            ),
            Preset(
                name="overlap",
                text="one to one, a voxel in common, as many pairs as possible; Dice of the voxels",
                match=in_common,
                dice=dice_of_voxels,
            ),
        )
    }
)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How a session is evaluated.

    Attributes
    ----------
    connectivity
        Neighbors of a voxel where a mask is taken apart into lesions: 6 or 26.
    min_score
        Marks and instances with a lower score count in the FROC only.
    thresholds
        Probabilities of the FROC.
    """

    preset: Preset = PRESETS["paper"]
    connectivity: int = CONNECTIVITY
    min_score: float = MIN_SCORE
    thresholds: tuple[float, ...] = FROC_THRESHOLDS


DEFAULT_RULES = Rules()
