"""What the app finds of microbleeds drawn into one scan; pure functions on arrays.

Only windows of the network around a few places are run again: each place gets several simulated
microbleeds, where the network judges them in full context.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cmb_bidsapp.core.arrays import Affine, Image, Mask
from cmb_bidsapp.core.decisions import Decisions
from cmb_bidsapp.core.labels import PROXY
from cmb_bidsapp.evaluation.matching import HIT_MM, centers_of, lesions_of, match
from cmb_bidsapp.lesions.candidates import diameters
from cmb_bidsapp.lesions.grading import size_grading
from cmb_bidsapp.lesions.instances import find_instances
from cmb_bidsapp.lesions.rules import decide, grounds_of, rules_of
from cmb_bidsapp.lesions.segment import Segmentation, with_regions
from cmb_bidsapp.preprocess.resampling import Grid
from cmb_bidsapp.sensitivity.background import Background
from cmb_bidsapp.simulate.implants import draw_implants, noise_level, with_implants

Chunk = tuple[slice, slice, slice]
Instances = npt.NDArray[np.int16]

#: Windows of a draw, by the class in their middle: enough of each class to say something of it.
MIDDLES = tuple(
    PROXY[name] for name in ("lobar", "deep", "lobar", "infratentorial", "lobar", "deep")
)
#: Sources in a window, visible or not, and the middle share of it along each axis that gets them.
SOURCES, CORE = 24, 0.5
#: Distance (mm) that they keep from what is marked already, which must not be taken for them.
FROM_MARKS_MM = HIT_MM + 3.0


class Segmenter(Protocol):
    """What a lesion network does; see :class:`cmb_bidsapp.lesions.segment.LesionNetwork`."""

    def __call__(
        self,
        t2star: Image,
        t1w: Image | None,
        affine: Affine,
        around: npt.NDArray[np.floating[Any]] | None = None,
        tissues: npt.NDArray[np.uint8] | None = None,
    ) -> Segmentation:
        """Segment a scan, or windows around voxels of it.

        Parameters
        ----------
        t2star, t1w
            Brain-extracted images on one grid, shape ``(x, y, z)``; without a T1w ``None``.
        affine
            From voxels to RAS mm.
        around
            Voxel indices, shape ``(n, 3)``, about which windows are segmented; ``None``: all of
            it.
        tissues
            What surrounds a place; ``None`` where nobody knows.
        """
        ...

    def window(self, affine: Affine) -> tuple[float, float, float]:
        """Voxels that a window spans along the axes nearest to x, y and z."""
        ...


@dataclass(frozen=True, kw_only=True)
class Chain:
    """How microbleeds are found and decided on.

    Attributes
    ----------
    own_regions
        Whether CFPR goes by the regions that the network predicts, else by those of the anatomy.
    decisions
        Rules that go by what simulated microbleeds lack are left out, see
        :class:`cmb_bidsapp.lesions.rules.Grounds`.
    """

    network: Segmenter
    own_regions: bool
    decisions: Decisions

    def final(
        self,
        scan: Background,
        t2star: Image,
        around: npt.NDArray[np.floating[Any]] | None = None,
    ) -> npt.NDArray[np.int32]:
        """Microbleeds that are counted, by number, in a scan whose T2*w is ``t2star``.

        Parameters
        ----------
        scan
            The session as it is.
        t2star
            On the grid of the scan.
        around
            Voxels, shape ``(n, 3)``, about which alone is looked; the whole scan by default.
        """
        found = self.network(t2star, scan.t1w, scan.affine, around, scan.tissues)
        return self.counted(self.kept(scan, t2star, found), scan.affine)

    def kept(self, scan: Background, t2star: Image, found: Segmentation) -> npt.NDArray[np.int32]:
        """Microbleeds that are kept, by number, of what the network found in a scan.

        Parameters
        ----------
        scan
            Its affine gives the voxel size, its regions complete a model without any.
        t2star
            What the network saw, on the grid of the scan.
        found
            Probability and classes on the grid of the scan.
        """
        labels = found.labels if self.own_regions else with_regions(found.labels, scan.regions)
        spacing = Grid.of(found.cmb_probability, scan.affine).header_spacing
        threshold = self.decisions.threshold
        instances = find_instances(found.cmb_probability, t2star, scan.affine, threshold)
        rules = rules_of(self.decisions, grounds_of(instances, labels, spacing, self.decisions))
        numbers = np.unique(instances[instances > 0]).tolist()
        return _only(instances, [number for number in numbers if decide(number, rules).kept])

    def counted(self, kept: npt.NDArray[np.int32], affine: Affine) -> npt.NDArray[np.int32]:
        """Those of the microbleeds that are kept whose size counts, by number.

        Parameters
        ----------
        kept
            Number of the microbleed of each voxel.
        affine
            From voxels to RAS mm.
        """
        sizes = diameters(kept, affine)
        smallest = self.decisions.min_size
        numbers = [n for n, size in sizes.items() if size_grading(size, smallest) is None]
        return _only(kept, numbers)


def _only(instances: npt.NDArray[np.int32], numbers: Sequence[int]) -> npt.NDArray[np.int32]:
    """Instances of these numbers alone."""
    return np.where(np.isin(instances, numbers), instances, 0).astype(np.int32)


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A scan with simulated microbleeds, the visible ones by number, and a row of each."""

    t2star: Image
    instances: Instances
    rows: list[dict[str, Any]]
    around: npt.NDArray[np.float64]


def measure_scan(scan: Background, chain: Chain, draws: int, seed: int) -> list[dict[str, Any]]:
    """Draw microbleeds into a scan, run the whole chain of decisions, and say which are found.

    Parameters
    ----------
    scan
        The session as it is.
    chain
        How microbleeds are found and decided on.
    draws
        How often; each time elsewhere.
    seed
        Of the random numbers: the same seed gives the same rows.

    Returns
    -------
    rows
        One per visible simulated microbleed; see :data:`cmb_bidsapp.sensitivity.tables.IMPLANTS`.
        None where the scan has no place for one.
    """
    free = free_places(scan)
    noise = noise_level(scan.t2star)
    rows: list[dict[str, Any]] = []
    for draw in range(draws):
        drawn = draw_into(scan, free, chain.network.window(scan.affine), noise, (seed, draw))
        if drawn.rows:
            final = chain.final(scan, drawn.t2star, drawn.around)
            found = found_numbers(drawn.instances, final, scan.marks, scan.affine)
            rows += [
                {"draw": draw + 1, **row, "found": row["lesion_id"] in found} for row in drawn.rows
            ]
    return rows


def free_places(scan: Background) -> Mask:
    """Where a simulated microbleed can lie: in a region, not near what is marked already."""
    inside = scan.regions > 0
    if not scan.marks.any():
        return inside
    spacing = Grid.of(scan.t2star, scan.affine).spacing
    free: Mask = ndimage.distance_transform_edt(~scan.marks, spacing) > FROM_MARKS_MM
    return free & inside


def draw_into(
    scan: Background,
    free: Mask,
    window: tuple[float, float, float],
    noise: float,
    seed: tuple[int, ...],
) -> Drawn:
    """Draw microbleeds into the cores of a few windows.

    Parameters
    ----------
    scan
        The session as it is.
    free
        Where they may lie.
    window
        Voxels that a window of the network spans.
    noise
        Standard deviation of the noise of the scan.
    seed
        Of the random numbers.
    """
    rng = np.random.default_rng(seed)
    t2star, instances = scan.t2star.copy(), np.zeros(scan.t2star.shape, np.int16)
    rows: list[dict[str, Any]] = []
    around = []
    for center, box, core in _windows(scan, free, window, rng):
        affine = (
            Grid.of(scan.t2star, scan.affine)
            .part(np.array([part.start for part in box]), np.array(instances[box].shape))
            .affine
        )
        within = np.zeros(free.shape, np.bool_)
        within[core] = free[core]
        implants = draw_implants(
            t2star[box],
            scan.regions[box],
            affine,
            SOURCES,
            rng,
            b0=scan.b0,
            te_ms=scan.te_ms,
            within=within[box],
        )
        t2star[box] = with_implants(t2star[box], implants.factor, noise, rng)
        visible = (implants.instances > 0) & (instances[box] == 0)
        last = int(instances.max())
        instances[box][visible] = implants.instances[visible] + last
        rows += [
            {**row, "lesion_id": row["lesion_id"] + last}
            for row in implants.rows
            if row["lesion_id"] is not None
        ]
        around.append(center)
    return Drawn(
        t2star=t2star,
        instances=instances,
        rows=rows,
        around=np.array(around, np.float64).reshape(-1, 3),
    )


def _windows(
    scan: Background, free: Mask, window: tuple[float, float, float], rng: np.random.Generator
) -> Iterator[tuple[tuple[float, ...], Chunk, Chunk]]:
    """Middle of each window, its box, and its core; cores do not overlap."""
    filled = [np.flatnonzero((scan.t2star > 0).any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    if not all(some.size for some in filled):
        return
    lows, highs = [int(some[0]) for some in filled], [int(some[-1]) + 1 for some in filled]
    taken = np.zeros(free.shape, np.bool_)
    for label in MIDDLES:
        places = np.flatnonzero(free & ~taken & (scan.regions == label))
        if not places.size:
            continue
        middle = np.unravel_index(int(rng.choice(places)), free.shape)
        center, box, core = [], [], []
        for low, high, at, span in zip(lows, highs, middle, window, strict=True):
            extent = min(round(min(span, high - low)), high - low)
            start = int(np.clip(round(int(at) - extent / 2), low, high - extent))
            stop = start + extent
            # What lies at an end of the image is at the end of every window.
            first = start if start == low else start + round(extent * (1 - CORE) / 2)
            last = stop if stop == high else stop - round(extent * (1 - CORE) / 2)
            center.append((start + stop - 1) / 2)
            box.append(slice(start, stop))
            core.append(slice(first, last))
        own: Chunk = (core[0], core[1], core[2])
        if (free[own] & ~taken[own]).any():
            yield tuple(center), (box[0], box[1], box[2]), own
            taken[own] = True


def found_numbers(
    instances: Instances, final: npt.NDArray[np.int32], marks: Mask, affine: Affine
) -> set[int]:
    """Numbers of the simulated microbleeds that are found: one to one, within 5 mm.

    Parameters
    ----------
    instances, final
        Visible simulated microbleeds, and what the app counts, by number.
    marks
        What it marks without them: nothing that touches it counts as found.
    affine
        From voxels to RAS mm.
    """
    drawn, counted = lesions_of(instances, affine), lesions_of(not_touching(final, marks), affine)
    pairs = match(centers_of(drawn), centers_of(counted))
    return {drawn[pair.reference].number for pair in pairs}


def not_touching(final: npt.NDArray[np.int32], marks: Mask) -> npt.NDArray[np.int32]:
    """Microbleeds by number, without those that touch what is marked already.

    Parameters
    ----------
    final, marks
        Number of the microbleed of each voxel, and what is marked, on one grid.
    """
    known = np.unique(final[marks])
    return np.where(np.isin(final, known[known > 0]), 0, final).astype(np.int32)
