"""What became of every lesion of a session: found or missed, hit, ignored or false."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.evaluation.matching import Affine, Lesion, centres_of, lesions_of, match
from cmb_bidsapp.labels import MIMICS
from cmb_bidsapp.lesions.candidates import UNASSIGNED

#: What a false positive lies on where no mimic is known.
NOTHING_KNOWN = "nothing-known"


@dataclass(frozen=True)
class Place:
    """Where a lesion lies, as its own side says.

    Attributes
    ----------
    region
        Proxy class, or unassigned.
    mars_region
        Side and MARS region (``left-thalamus``), or unassigned; ``None`` where it is not told.
    border
        Whether another region is near; ``None`` where it is not told.
    """

    region: str = UNASSIGNED
    mars_region: str | None = None
    border: bool | None = None


_NOWHERE = Place()
_NOBODY: Mapping[int, Place] = MappingProxyType({})


@dataclass(frozen=True)
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
    distance, dice
        Between the two: centres in mm, overlap of their voxels. NaN without a partner.
    lies_on
        Of a false positive where mimics are known: ``vein``, ``calcification`` or
        ``nothing-known``.
    """

    side: str
    lesion: int
    centre: tuple[float, float, float]
    voxels: int
    place: Place
    fate: str
    partner: int | None = None
    distance: float = float("nan")
    dice: float = float("nan")
    lies_on: str | None = None


def compare(
    reference: npt.NDArray[np.integer],
    predicted: npt.NDArray[np.integer],
    affine: Affine,
    *,
    ignore: npt.NDArray[np.integer] | None = None,
    mimics: npt.NDArray[np.integer] | None = None,
    reference_places: Mapping[int, Place] = _NOBODY,
    predicted_places: Mapping[int, Place] = _NOBODY,
) -> list[Fate]:
    """Match the lesions of two instance images and judge those without a match.

    Parameters
    ----------
    reference, predicted
        0, or the number of the lesion; same grid.
    affine
        Voxel to world (RAS mm) of that grid.
    ignore
        Not 0 where a lesion may be marked or not: a predicted lesion without a match that has a
        voxel there is neither right nor wrong.
    mimics
        1 on veins, 2 on calcifications (:data:`cmb_bidsapp.labels.MIMICS`).
    reference_places, predicted_places
        Place of each lesion by its number.
    """
    own, found = lesions_of(reference, affine), lesions_of(predicted, affine)
    fates = [
        _fate("reference", lesion, "missed", reference_places.get(lesion.number, _NOWHERE))
        for lesion in own
    ]
    others = []
    pairs = match(centres_of(own), centres_of(found))
    partners = {pair.predicted: pair for pair in pairs}
    for position, lesion in enumerate(found):
        place = predicted_places.get(lesion.number, _NOWHERE)
        pair = partners.get(position)
        if pair is not None:
            partner = own[pair.reference]
            overlap = instance_dice(partner.voxels, lesion.voxels, reference.shape)
            fates[pair.reference] = _fate(
                "reference", partner, "found", fates[pair.reference].place,
                lesion.number, pair.distance, overlap,
            )  # fmt: skip
            others.append(
                _fate(
                    "predicted", lesion, "true-positive", place,
                    partner.number, pair.distance, overlap,
                )
            )  # fmt: skip
        elif ignore is not None and _touches(lesion, ignore):
            others.append(_fate("predicted", lesion, "ignored", place))
        else:
            mimic = None if mimics is None else _lies_on(lesion, mimics)
            others.append(_fate("predicted", lesion, "false-positive", place, lies_on=mimic))
    return fates + others


def _fate(
    side: str,
    lesion: Lesion,
    fate: str,
    place: Place,
    partner: int | None = None,
    distance: float = float("nan"),
    dice: float = float("nan"),
    *,
    lies_on: str | None = None,
) -> Fate:
    voxels = len(lesion.voxels)
    return Fate(
        side, lesion.number, lesion.centre, voxels, place, fate, partner, distance, dice, lies_on
    )


def instance_dice(a: npt.NDArray[np.intp], b: npt.NDArray[np.intp], shape: Sequence[int]) -> float:
    """Dice of two lesions given by their voxels, shapes ``(n, 3)`` and ``(m, 3)``."""
    own, other = (np.ravel_multi_index(tuple(voxels.T), tuple(shape)) for voxels in (a, b))
    shared = len(np.intersect1d(own, other, assume_unique=True))
    return 2 * shared / (len(a) + len(b))


def _touches(lesion: Lesion, ignore: npt.NDArray[np.integer]) -> bool:
    # The centre of a curved lesion may lie beside its voxels.
    centre = np.round(lesion.voxels.mean(axis=0)).astype(int)
    return bool((ignore[tuple(lesion.voxels.T)] > 0).any() or ignore[tuple(centre)] > 0)


def _lies_on(lesion: Lesion, mimics: npt.NDArray[np.integer]) -> str:
    below = mimics[tuple(lesion.voxels.T)]
    counts = {name: int((below == value).sum()) for value, name in MIMICS.items()}
    most = max(counts, key=lambda name: counts[name])
    return most if counts[most] else NOTHING_KNOWN
