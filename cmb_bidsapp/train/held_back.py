"""Scans held back from a training: their candidates, to be judged again and again.

What the nnU-Net proposes does not depend on the judges. So it runs once, in the scan as it is and
in windows of it with simulated microbleeds, and the views of its candidates are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.core.arrays import Image, Points
from cmb_bidsapp.evaluation.matching import centers_of, lesions_of, match
from cmb_bidsapp.lesions.proposals import Proposals
from cmb_bidsapp.lesions.second_look import SecondLook, judge_views
from cmb_bidsapp.lesions.segment import Segmentation
from cmb_bidsapp.lesions.views import Viewer, Views
from cmb_bidsapp.sensitivity.background import Background
from cmb_bidsapp.sensitivity.measure import (
    Chain,
    Drawn,
    draw_into,
    free_places,
    not_touching,
)
from cmb_bidsapp.simulate.implants import noise_level

Found = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Candidates of one image.

    Attributes
    ----------
    views
        Of each candidate that CFPR would keep if the judges were certain of it.
    voxel
        Logarithms of the voxel sizes, as :class:`~cmb_bidsapp.lesions.views.Viewer` has them.
    mark
        Which mark each candidate makes, as a row of ``marks``.
    marks, implants
        Centers (RAS mm), shape ``(n, 3)``; simulated microbleeds that a rater would see.
    """

    views: Views
    voxel: npt.NDArray[np.float64]
    mark: npt.NDArray[np.intp]
    marks: Points
    implants: Points

    def scores(self, network: SecondLook) -> Image:
        """Probability of each mark, by a second look."""
        near, apart = self.voxel.tolist()
        highest = np.zeros(len(self.marks), np.float32)
        np.maximum.at(highest, self.mark, judge_views(network, self.views, (near, apart)))
        return highest

    def found(self, scores: Image, threshold: float) -> Found:
        """Which simulated microbleeds have a mark that reaches a threshold, one to one in 5 mm.

        Parameters
        ----------
        scores
            Of each mark, shape ``(n,)``.
        threshold
            Least score of a mark.
        """
        found = np.zeros(len(self.implants), np.bool_)
        for pair in match(self.implants, self.marks[scores >= threshold]):
            found[pair.reference] = True
        return found


def trial_of(
    scan: Background, chain: Chain, drawn: Drawn | None = None, *, spots: SecondLook | None = None
) -> Trial:
    """Run the nnU-Net in a scan, or where microbleeds were drawn into it.

    Parameters
    ----------
    scan
        Processed scan, as it is.
    chain
        With a network that has no second look, and the threshold of a lesion's extent.
    drawn
        What was drawn; marks that touch what the app has marked without it are left out.
    spots
        Says which dark spots are candidates besides; none are without it.
    """
    t2star = scan.t2star if drawn is None else drawn.t2star
    around = None if drawn is None else drawn.around
    found = chain.network(t2star, scan.t1w, scan.affine, around, scan.tissues)
    proposed = Proposals.of(t2star, found.cmb_probability, scan.voxel)
    viewer = Viewer.of(t2star, scan.voxel, scan.tissues)
    if spots is not None:
        proposed = proposed.with_spots(spots, viewer, found.labels > 0)
    certain = proposed.judged(np.ones(len(proposed.centers), np.float32))
    kept = chain.kept(scan, t2star, Segmentation(found.labels, certain))
    if drawn is not None:
        kept = not_touching(kept, scan.marks)
    lesions = lesions_of(kept, scan.affine)
    belongs = kept[tuple(proposed.centers.T)]
    return Trial(
        views=viewer.views(proposed.centers[belongs > 0]),
        voxel=np.array(viewer.log_voxel()),
        mark=np.searchsorted([lesion.number for lesion in lesions], belongs[belongs > 0]),
        marks=centers_of(lesions),
        implants=centers_of([] if drawn is None else lesions_of(drawn.instances, scan.affine)),
    )


def trials_of(
    scan: Background,
    chain: Chain,
    draws: int,
    seed: tuple[int, ...],
    spots: SecondLook | None = None,
) -> list[Trial]:
    """Candidates of a scan as it is, then of draws with simulated microbleeds.

    A draw that finds no place for any is left out.

    Parameters
    ----------
    scan
        The session as it is.
    chain
        What proposes candidates.
    draws
        How often microbleeds are drawn.
    seed
        Of the random numbers.
    spots
        Network that proposes dark spots besides; ``None``: nothing does.
    """
    free, noise = free_places(scan), noise_level(scan.t2star)
    window = chain.network.window(scan.affine)
    drawn = [draw_into(scan, free, window, noise, (*seed, draw)) for draw in range(draws)]
    shown = [None, *(one for one in drawn if one.rows)]
    return [trial_of(scan, chain, one, spots=spots) for one in shown]


def as_arrays(trials: Sequence[Trial]) -> dict[str, npt.NDArray[Any]]:
    """Trials as arrays by name, to be kept in one file."""
    return {
        f"{number}_{field.name}": getattr(trial, field.name)
        for number, trial in enumerate(trials)
        for field in fields(Trial)
    }


def from_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> list[Trial]:
    """Inverse of :func:`as_arrays`; other arrays are ignored."""
    trials: list[Trial] = []
    while f"{len(trials)}_views" in arrays:
        names = [field.name for field in fields(Trial)]
        trials.append(Trial(**{name: arrays[f"{len(trials)}_{name}"] for name in names}))
    return trials
