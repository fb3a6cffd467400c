"""What became of every lesion of a session: found or missed, hit, ignored or false."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.core.labels import MIMICS
from cmb_bidsapp.evaluation.matching import Mark, Matcher, Place, dice_of, voxels_of

#: What a false positive lies on where no mimic is known.
NOTHING_KNOWN = "nothing-known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """A lesion and what became of it; numbers only, no voxels.

    Attributes
    ----------
    side
        ``reference`` or ``predicted``.
    fate
        ``found`` or ``missed``; ``true-positive``, ``ignored`` or ``false-positive``.
    partner
        Number of the lesion of the other side that it is matched with.
    distance
        Between the two centers, mm. NaN without a partner.
    dice
        Of the reference lesion with all predicted lesions that are of it. NaN without a partner.
    lies_on
        Of a false positive where mimics are known: ``vein``, ``calcification`` or
        ``nothing-known``.
    weight
        Of a reference lesion, where the rules weigh them; else 1.
    told
        The app's own columns on a predicted lesion.
    """

    side: str
    lesion: int
    center: tuple[float, float, float]
    voxels: int
    place: Place
    fate: str
    partner: int | None = None
    distance: float = float("nan")
    dice: float = float("nan")
    lies_on: str | None = None
    weight: float = 1.0
    told: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Surroundings:
    """What else the reference marks, on the grid of its lesions.

    Attributes
    ----------
    shape
        Of the image.
    ignore
        Not 0 where a lesion may be marked or not: a predicted lesion without a match that has a
        voxel there is neither right nor wrong.
    mimics
        1 on veins, 2 on calcifications (:data:`cmb_bidsapp.core.labels.MIMICS`).
    """

    shape: tuple[int, ...]
    ignore: npt.NDArray[np.integer] | None = None
    mimics: npt.NDArray[np.integer] | None = None


def compare(
    reference: Sequence[Mark],
    predicted: Sequence[Mark],
    around: Surroundings,
    match: Matcher,
) -> list[Fate]:
    """Match lesions and judge those without a match.

    Parameters
    ----------
    reference, predicted
        Lesions of one image.
    around
        What else is known of the image: its shape, what to ignore, mimics.
    match
        What hits what; see :mod:`cmb_bidsapp.evaluation.presets`.

    Returns
    -------
    fates
        Of the reference lesions, then of the predicted ones.
    """
    matching = match(reference, predicted, around.shape)
    hits: dict[tuple[str, int], _Hit] = {}
    for pair in matching.pairs:
        own, found = reference[pair.reference], predicted[pair.predicted]
        takers = [predicted[j] for j in matching.claims[pair.reference]]
        dice = dice_of(own.flat(around.shape), voxels_of(takers, around.shape))
        hits["reference", pair.reference] = _Hit(found.number, pair.distance, dice)
        hits["predicted", pair.predicted] = _Hit(own.number, pair.distance, dice)
    fates = []
    for position, lesion in enumerate(reference):
        hit = hits.get(("reference", position))
        fates.append(_fate("reference", lesion, "found" if hit else "missed", hit))
    for position, lesion in enumerate(predicted):
        hit = hits.get(("predicted", position))
        if hit:
            fates.append(_fate("predicted", lesion, "true-positive", hit))
        elif around.ignore is not None and _touches(lesion, around.ignore):
            fates.append(_fate("predicted", lesion, "ignored"))
        else:
            mimic = None if around.mimics is None else _lies_on(lesion, around.mimics)
            fates.append(_fate("predicted", lesion, "false-positive", lies_on=mimic))
    return fates


@dataclass(frozen=True)
class _Hit:
    partner: int | None = None
    distance: float = float("nan")
    dice: float = float("nan")


def _fate(
    side: str, lesion: Mark, fate: str, hit: _Hit | None = None, lies_on: str | None = None
) -> Fate:
    paired = hit or _Hit()
    return Fate(
        side=side,
        lesion=lesion.number,
        center=lesion.center,
        voxels=len(lesion.voxels),
        place=lesion.place,
        fate=fate,
        partner=paired.partner,
        distance=paired.distance,
        dice=paired.dice,
        lies_on=lies_on,
        weight=lesion.weight,
        told=lesion.told,
    )


def _touches(lesion: Mark, ignore: npt.NDArray[np.integer]) -> bool:
    # The center of a curved lesion may lie beside its voxels.
    center = np.round(lesion.voxels.mean(axis=0)).astype(int)
    return bool((ignore[tuple(lesion.voxels.T)] > 0).any() or ignore[tuple(center)] > 0)


def _lies_on(lesion: Mark, mimics: npt.NDArray[np.integer]) -> str:
    below = mimics[tuple(lesion.voxels.T)]
    counts = {name: int((below == value).sum()) for value, name in MIMICS.items()}
    most = max(counts, key=lambda name: counts[name])
    return most if counts[most] else NOTHING_KNOWN
