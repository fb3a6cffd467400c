"""Microbleeds through time: which lesion of a session is which of those before it.

Places are compared in the world of the first session, the baseline; see docs/longitudinal.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from nibabel.affines import apply_affine
from scipy.optimize import linear_sum_assignment

from cmb_bidsapp.bids.protocol import Protocol, SequenceKind
from cmb_bidsapp.core.arrays import Affine, Points
from cmb_bidsapp.core.defaults import MAX_DIAMETER_MM
from cmb_bidsapp.preprocess.resampling import Grid

#: Lesions whose centers are farther apart (mm) are two: one microbleed, at most 10 mm wide, does
#: not reach from one to the other.
REACH_MM = MAX_DIAMETER_MM / 2

#: By how much the protocols of two sessions may differ and still be called the same: scanners
#: state their field and echo time with more or fewer digits.
TOLERANCES = {"field_strength": 0.2, "echo_time": 0.002, "slice_distance": 0.5}
_WORDS = {
    "sequence": ("sequence", ""),
    "field_strength": ("field strength", " T"),
    "echo_time": ("echo time", " s"),
    "slice_distance": ("slice distance", " mm"),
}


@dataclass(frozen=True)
class Visit:
    """The lesions of a session and how the head lies in it.

    Attributes
    ----------
    centers
        World coordinates (RAS mm) of the session's own T2*w, shape ``(n, 3)``.
    grid
        Voxels of that image.
    pull
        World of the baseline to the world of the session (mm), rigid.
    """

    centers: Points
    grid: Grid
    pull: Affine

    @property
    def places(self) -> Points:
        """Centers in the world of the baseline, shape ``(n, 3)``."""
        return np.asarray(apply_affine(np.linalg.inv(self.pull), self.centers), np.float64)

    def shows(self, places: Points) -> npt.NDArray[np.bool_]:
        """Whether the image has voxels at places of the baseline, shape ``(n, 3)``."""
        voxels = np.round(apply_affine(np.linalg.inv(self.grid.affine) @ self.pull, places))
        inside = (voxels >= 0) & (voxels < self.grid.shape)
        return np.asarray(inside.all(axis=-1), np.bool_)

    @property
    def across(self) -> Points:
        """Unit vector across the slices, in the world of the baseline."""
        step = self.grid.affine[:3, self.grid.slice_axis]
        turned = self.pull[:3, :3].T @ (step / np.linalg.norm(step))
        return np.asarray(turned, np.float64)


@dataclass(frozen=True, kw_only=True)
class TrackPoint:
    """A microbleed in one session.

    Attributes
    ----------
    lesion
        Position of the lesion among those of the session; ``None`` where it was not found.
    place
        Where it is, was last, or will be first, in the world of the baseline (mm).
    covered
        Whether the image of the session has voxels there.
    distance
        From there to its last known place (mm); NaN where it was not found, or not before.
    """

    lesion: int | None
    place: Points
    covered: bool
    distance: float = float("nan")

    @property
    def found(self) -> bool:
        """Whether the session counts it."""
        return self.lesion is not None


#: A microbleed through time: one entry per session.
Track = Sequence[TrackPoint]


def pair(known: Points, found: Points, across: Points, slice_distance: float) -> list[int | None]:
    """Find for each known place the lesion that is the same, each at most once.

    Two are the same at most 5 mm apart; across thick slices, where a center is known to a slice
    only, at most one slice distance. Of all choices the one with the smallest sum of distances is
    taken, where a lesion that stays alone counts half the reach: a near pair is not parted so that
    two more lesions find partners.

    Parameters
    ----------
    known, found
        World coordinates (mm), shapes ``(n, 3)`` and ``(m, 3)``.
    across
        Unit vector across the slices.
    slice_distance
        In mm.

    Returns
    -------
    partners
        Of each known place the position in ``found``.
    """
    gaps = known[:, None] - found[None]
    shrunk = 1 - min(1.0, REACH_MM / slice_distance)
    gaps = gaps - shrunk * (gaps @ across)[..., None] * across
    distance = np.linalg.norm(gaps, axis=-1)
    partners: list[int | None] = [None] * len(known)
    for i, j in zip(*linear_sum_assignment(np.minimum(distance, REACH_MM)), strict=True):
        if distance[i, j] < REACH_MM:
            partners[i] = int(j)
    return partners


def tracks(visits: Sequence[Visit]) -> list[Track]:
    """Follow every lesion through the sessions, in their order.

    A lesion of a session is matched to the last known places of all before it, so one that was
    lost and is found again keeps its track.
    """
    made: list[list[TrackPoint]] = []
    for order, visit in enumerate(visits):
        places = visit.places
        known = np.array([track[-1].place for track in made]).reshape(-1, 3)
        thickest = max(visits[: order + 1], key=lambda one: max(one.grid.spacing))
        partners = pair(known, places, thickest.across, max(thickest.grid.spacing))
        shown = visit.shows(known).tolist()
        for track, there, partner, covered in zip(made, known, partners, shown, strict=True):
            if partner is None:
                track.append(TrackPoint(lesion=None, place=there, covered=covered))
                continue
            distance = float(np.linalg.norm(places[partner] - there))
            track.append(
                TrackPoint(lesion=partner, place=places[partner], covered=True, distance=distance)
            )
        for lesion in sorted(set(range(len(places))) - set(partners)):
            place = places[lesion]
            before = [bool(earlier.shows(place)) for earlier in visits[:order]]
            made.append(
                [TrackPoint(lesion=None, place=place, covered=covered) for covered in before]
            )
            made[-1].append(TrackPoint(lesion=lesion, place=place, covered=True))
    return list(made)


def protocol_changes(before: Protocol, after: Protocol) -> tuple[list[str], list[str]]:
    """What differs between the protocols of two sessions, and what cannot be compared, in words.

    Parameters
    ----------
    before, after
        Of the earlier and the later session.

    Returns
    -------
    changed, unknown
        Each as ``echo time 20 -> 40 ms``; names of what one of them does not tell.
    """
    changed, unknown = [], []
    for name, (word, unit) in _WORDS.items():
        old, new = getattr(before, name), getattr(after, name)
        if {old, new} & {None, SequenceKind.UNKNOWN}:
            unknown.append(word)
        elif old != new and not (name in TOLERANCES and abs(new - old) <= TOLERANCES[name]):
            old, new = (value if isinstance(value, str) else f"{value:.4g}" for value in (old, new))
            changed.append(f"{word} {old} -> {new}{unit}")
    return changed, unknown
