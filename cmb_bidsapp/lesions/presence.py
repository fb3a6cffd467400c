"""State of a microbleed in a session that another session finds.

A lesion that a session does not count may still be there, below the threshold. So the app examines
the place itself and gives it one state.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from nibabel.affines import apply_affine
from scipy import ndimage

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.images import read_derivative, read_labels
from cmb_bidsapp.bids.protocol import Protocol
from cmb_bidsapp.bids.typed import Level
from cmb_bidsapp.core.arrays import Mask, Points
from cmb_bidsapp.core.defaults import MIN_DIAMETER_MM, THRESHOLD
from cmb_bidsapp.lesions.candidates import RING_MM
from cmb_bidsapp.lesions.lesion import Lesion
from cmb_bidsapp.lesions.longitudinal import REACH_MM, Track, Visit, protocol_changes
from cmb_bidsapp.preprocess.resampling import Grid

#: From this probability on the network has seen something, if not enough to count it.
SEEN = THRESHOLD
#: A place is dark that has at least this share of the microbleed's contrast in the session that
#: shows it faintest, and at least this contrast: noise and texture of tissue stay below.
DARK_SHARE, LEAST_CONTRAST = 0.5, 0.1
#: How far (mm) from its place the darkest point of a microbleed may lie: registration is not exact.
SLACK_MM = 1.0


class State(Level):
    """State of a microbleed in a session."""

    PRESENT = "present", "found and counted here"
    BELOW_THRESHOLD = (
        "below-threshold",
        "visible here but not counted: at the place, the network's probability is at least "
        f"{SEEN:g}, or the contrast is at least {LEAST_CONTRAST:g} and at least {DARK_SHARE:g} of "
        "the contrast in the session that shows the microbleed faintest",
    )
    GONE = "gone", "found in an earlier session; nothing dark at the place here"
    NOT_YET = "not-yet", "found only in a later session; nothing dark at the place here"
    NOT_COVERED = (
        "not-covered",
        "the image does not cover the place, or the place is outside the brain mask",
    )
    NOT_COMPARABLE = (
        "not-comparable",
        "not visible here, but it may exist: no session that finds it has the same protocol, or "
        "this session could not be registered",
    )


class Change(Level):
    """Change of a found microbleed relative to earlier sessions."""

    BASELINE = "baseline", "found in the first session"
    NEW = (
        "new",
        "found here first; nothing dark at the place in the first session that can show it",
    )
    ALREADY_THERE = (
        "already-there",
        "found here first, but visible below the threshold in the first session that can show it",
    )
    OPEN = (
        "open",
        "found here first; no earlier session covers the place with the same protocol, so it "
        "is unknown whether it is new",
    )
    PERSISTENT = "persistent", "found here and in an earlier session"


#: What a microbleed is where it is found, by what was there before.
_BEFORE = {State.NOT_YET: Change.NEW, State.BELOW_THRESHOLD: Change.ALREADY_THERE}


@dataclass(frozen=True, kw_only=True)
class VisitImages:
    """Images of a session, on one grid.

    Attributes
    ----------
    brain
        Where the image is looked at.
    probability
        Of CMB, by the network.
    counted
        0, or the number of the counted lesion.
    """

    t2star: npt.NDArray[np.float32]
    brain: Mask
    probability: npt.NDArray[np.float32]
    counted: npt.NDArray[np.integer]
    grid: Grid

    @classmethod
    def of(cls, files: SessionFiles, counted: Collection[int]) -> VisitImages:
        """Read the images of a session.

        Parameters
        ----------
        files
            The session's derivatives.
        counted
            Numbers of the lesions that count.
        """
        t2star = read_derivative(files.t2star)
        instances = read_labels(files.instances).data
        return cls(
            t2star=t2star.data,
            brain=read_labels(files.t2star_brain).data > 0,
            probability=read_derivative(files.probability).data,
            counted=np.where(np.isin(instances, list(counted)), instances, 0),
            grid=Grid.of(t2star.data, t2star.affine),
        )


@dataclass(frozen=True)
class Evidence:
    """What is seen at a place; NaN outside the image, the contrast also outside the brain.

    Attributes
    ----------
    probability
        Highest probability of the network within the reach of a match.
    contrast
        Share of the surrounding signal that is missing at the place.
    """

    probability: float = float("nan")
    contrast: float = float("nan")


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """A microbleed in one session.

    Attributes
    ----------
    lesion
        Position among the counted lesions of the session; ``None`` where it was not found.
    place
        In the world of the baseline (mm).
    distance
        To its last known place (mm); NaN where it was not found, or not before.
    change
        ``None`` where it was not found.
    """

    state: State
    change: Change | None
    lesion: int | None
    place: Points
    distance: float
    evidence: Evidence


#: A microbleed through time: one entry per session.
History = Sequence[Sighting]


def look(
    scan: VisitImages, points: Points, radii: Sequence[float], own: Sequence[int]
) -> list[Evidence]:
    """Look at places of an image, whatever was found there.

    Parameters
    ----------
    scan
        Where to look.
    points
        World coordinates of the image (mm), shape ``(n, 3)``.
    radii
        Of the microbleeds (mm).
    own
        Number of the lesion that each is in ``scan.counted``, 0 where it is none; voxels of other
        lesions are not looked at.
    """
    found = []
    for voxel, radius, number in zip(
        apply_affine(np.linalg.inv(scan.grid.affine), points), radii, own, strict=True
    ):
        middle = np.round(voxel).astype(int)
        if (middle < 0).any() or (middle >= scan.grid.shape).any():
            found.append(Evidence())
            continue
        place = _Place(scan, voxel, number)
        found.append(Evidence(place.highest(REACH_MM), place.contrast(radius)))
    return found


def evidence_at(
    tracks: Sequence[Track],
    lesions: Sequence[Sequence[Lesion]],
    visits: Sequence[Visit],
    scan_of: Callable[[int], VisitImages],
) -> dict[tuple[int, int], Evidence]:
    """Look at the places of all tracks in all sessions.

    Parameters
    ----------
    tracks
        Microbleeds through time.
    lesions, visits
        Of each session; a track tells the position of its lesion among them.
    scan_of
        Reads the images of a session, which are many: one after the other.

    Returns
    -------
    evidence
        By the position of the track and that of the session.
    """
    radii = [_radius(track, lesions) for track in tracks]
    evidence: dict[tuple[int, int], Evidence] = {}
    for n, visit in enumerate(visits if tracks else ()):
        points = apply_affine(visit.pull, np.array([track[n].place for track in tracks]))
        found = [track[n].lesion for track in tracks]
        own = [0 if lesion is None else lesions[n][lesion].number for lesion in found]
        seen = look(scan_of(n), points, radii, own)
        evidence |= {(k, n): one for k, one in enumerate(seen)}
    return evidence


def _radius(track: Track, lesions: Sequence[Sequence[Lesion]]) -> float:
    """Half of the mean diameter of a microbleed where it is found (mm)."""
    sizes = [
        own[point.lesion].diameter or MIN_DIAMETER_MM
        for point, own in zip(track, lesions, strict=True)
        if point.lesion is not None
    ]
    return sum(sizes) / len(sizes) / 2


def histories_of(
    tracks: Sequence[Track],
    evidence: Mapping[tuple[int, int], Evidence],
    protocols: Sequence[Protocol],
) -> list[History]:
    """Say of every microbleed and session what is there.

    Parameters
    ----------
    tracks
        Microbleeds through time.
    evidence
        By the position of the track and that of the session; what is missing was not seen.
    protocols
        Of the sessions, in their order.
    """
    histories = []
    for k, track in enumerate(tracks):
        seen = [evidence.get((k, n), Evidence()) for n in range(len(track))]
        histories.append(history_of(track, seen, at_place(track, seen), protocols))
    return histories


def at_place(track: Track, seen: Sequence[Evidence]) -> list[State | None]:
    """What each session has at the place of a microbleed; ``None`` where nothing dark is.

    Parameters
    ----------
    track, seen
        What was found of the microbleed, and what the image shows at its place, in each session.
    """
    found = [here.contrast for point, here in zip(track, seen, strict=True) if point.found]
    known = [contrast for contrast in found if np.isfinite(contrast)]
    dark = max(DARK_SHARE * min(known), LEAST_CONTRAST) if known else np.inf
    there: list[State | None] = []
    for point, here in zip(track, seen, strict=True):
        if point.found:
            there.append(State.PRESENT)
        elif not point.covered:
            there.append(State.NOT_COVERED)
        elif here.probability >= SEEN or here.contrast >= dark:
            there.append(State.BELOW_THRESHOLD)
        else:
            there.append(State.NOT_COVERED if np.isnan(here.contrast) else None)
    return there


def history_of(
    track: Track,
    seen: Sequence[Evidence],
    there: Sequence[State | None],
    protocols: Sequence[Protocol],
) -> History:
    """Say what each session means beside the others.

    Parameters
    ----------
    track
        The microbleed.
    seen
        What was seen at its place in each session.
    there
        As :func:`at_place` tells it of each session, or a reader.
    protocols
        How each session was scanned.
    """
    found = [n for n, state in enumerate(there) if state is State.PRESENT]
    history: list[Sighting] = []
    for n, (point, here, state) in enumerate(zip(track, seen, there, strict=True)):
        if state is None:
            comparable = any(not protocol_changes(protocols[n], protocols[k])[0] for k in found)
            absent = State.GONE if n > found[0] else State.NOT_YET
            state = absent if comparable else State.NOT_COMPARABLE
        change = _change([one.state for one in history]) if state is State.PRESENT else None
        history.append(
            Sighting(
                state=state,
                change=change,
                lesion=point.lesion,
                place=point.place,
                distance=point.distance,
                evidence=here,
            )
        )
    return history


def _change(before: Sequence[State]) -> Change:
    """What a microbleed that is found is, by its states in the sessions before."""
    if not before:
        return Change.BASELINE
    if State.PRESENT in before:
        return Change.PERSISTENT
    # The first session that can show the place decides: what was not there then and came up below
    # the threshold is new where it is found, or no session would ever have it as new.
    return next((_BEFORE[state] for state in before if state in _BEFORE), Change.OPEN)


class _Place:
    """The surroundings of a point that is in the image."""

    def __init__(self, scan: VisitImages, voxel: Points, own: int) -> None:
        self._spacing = np.array(scan.grid.spacing)
        margin = np.ceil((REACH_MM + RING_MM[1]) / self._spacing) + 1
        low = np.clip(np.floor(voxel - margin), 0, None).astype(int)
        high = np.clip(np.ceil(voxel + margin) + 1, None, scan.grid.shape).astype(int)
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        self._middle = tuple(np.round(voxel).astype(int) - low)
        axes = np.ix_(*(np.arange(a, b) for a, b in zip(low, high, strict=True)))
        self._gaps = [axis - center for axis, center in zip(axes, voxel, strict=True)]
        self._t2star, self._probability = scan.t2star[box], scan.probability[box]
        self._brain, counted = scan.brain[box], scan.counted[box]
        self._others = (counted > 0) & (counted != own)

    def _within(self, half: Points) -> Mask:
        """Voxels in an ellipsoid around the point (voxels); the one at the point always."""
        x, y, z = (gap / reach for gap, reach in zip(self._gaps, half, strict=True))
        inside: Mask = x**2 + y**2 + z**2 <= 1
        inside[self._middle] = True
        return inside

    def highest(self, reach: float) -> float:
        """Highest probability; other lesions count only where they lie at the point itself."""
        counts = self._within(np.maximum(reach / self._spacing, 1.0)) & ~self._others
        counts[self._middle] = True
        return float(self._probability[counts].max())

    def contrast(self, radius: float) -> float:
        """Share of the surrounding signal that is missing in the darkest spot of that size."""
        radius = min(radius, REACH_MM)
        if not self._brain[self._middle]:
            return float("nan")
        brain = self._brain & ~self._others
        brain[self._middle] = True
        distance = np.sqrt(
            sum((gap * step) ** 2 for gap, step in zip(self._gaps, self._spacing, strict=True))
        )
        ring = brain & (distance > radius + RING_MM[0]) & (distance <= radius + RING_MM[1])
        around = float(np.median(self._t2star[ring])) if ring.any() else 0.0
        if around <= 0:
            return float("nan")
        half = np.maximum(radius / self._spacing, 0.5)
        steps = np.ix_(*(np.arange(-int(reach), int(reach) + 1) / reach for reach in half))
        spot = (sum(step**2 for step in steps) <= 1).astype(np.float64)
        level = ndimage.convolve(np.where(brain, self._t2star, 0.0), spot, mode="constant")
        weight = ndimage.convolve(brain.astype(np.float64), spot, mode="constant")
        near = self._within(np.maximum(SLACK_MM / self._spacing, 0.5)) & (weight > 0.5)
        return float(np.clip(1 - (level[near] / weight[near]).min() / around, -1, 1))
