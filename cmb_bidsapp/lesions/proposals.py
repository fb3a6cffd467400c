"""Candidates of a scan before and after the second look.

The segmentation network proposes some; the dark spots of the brain are the others. Real scans are
unlike those that the network was trained on, and it sees less of a microbleed there than raters
do, or nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from cmb_bidsapp.core.arrays import Image, Mask
from cmb_bidsapp.lesions.extent import HALF, depth
from cmb_bidsapp.lesions.instances import EXTENT, PEAK_MM, peak_values, split_at_peaks
from cmb_bidsapp.lesions.second_look import SecondLook, judge_views
from cmb_bidsapp.lesions.spots import dark_places, darkest, relative_brightness
from cmb_bidsapp.lesions.views import Viewer

#: A place is a candidate from this probability of the segmentation network on.
SEED = 0.1
#: A dark spot is darker than this, relative to the brain around it: raters mark what takes a
#: quarter of the signal.
DARK = 0.75
#: What the first judge gives less to at one glance is not shown to the others.
GLANCE = 0.1
#: A candidate reaches no farther (mm) from its darkest voxel in the image.
REACH_MM = 3.0
#: Spots that are looked at in one go: their views take 20 MB.
SPOTS = 512


@dataclass(frozen=True, kw_only=True)
class Proposals:
    """Candidates of a scan, to be judged.

    Attributes
    ----------
    t2star, probability
        Brain-extracted T2*w, and CMB probability of the segmentation network within the brain.
    voxel
        Voxel size, mm.
    pieces
        0, or the number of the candidate, from 1: a peak of at least :data:`SEED`, see
        :func:`~cmb_bidsapp.lesions.instances.split_at_peaks`, or the center of a dark spot.
    centers
        Darkest voxel of each, shape ``(n, 3)``.
    """

    t2star: Image
    probability: Image
    voxel: tuple[float, float, float]
    pieces: npt.NDArray[np.int32]
    centers: npt.NDArray[np.intp]

    @classmethod
    def of(cls, t2star: Image, probability: Image, voxel: Sequence[float]) -> Proposals:
        """Candidates of the segmentation network, axes in RAS order.

        Parameters
        ----------
        t2star
            Brain-extracted T2*w, 0 outside the brain, shape ``(x, y, z)``.
        probability
            That of a microbleed, by the segmentation network; same shape.
        voxel
            Voxel size in mm, ``(x, y, z)``.
        """
        # Beyond the brain mask there is nothing to look at, and everything is dark.
        within = np.where(t2star > 0, probability, 0)
        x, y, z = (float(mm) for mm in voxel)
        pieces = split_at_peaks(within, SEED, (x, y, z))
        centers = darkest(t2star, pieces, int(pieces.max()))
        return cls(
            t2star=t2star, probability=within, voxel=(x, y, z), pieces=pieces, centers=centers
        )

    def with_spots(self, network: SecondLook, viewer: Viewer, within: Mask) -> Proposals:
        """Add the dark spots that a second look calls likely.

        Of spots and candidates nearer to each other than two peaks of a cluster can be, the most
        likely spot is added, and none that is less likely than a candidate.

        Parameters
        ----------
        network
            The second look.
        viewer
            Of the scan.
        within
            Where spots are looked for.
        """
        relative = relative_brightness(self.t2star, self.voxel)
        spots = dark_places(relative, self.voxel, DARK)
        spots, sure = likely(network, viewer, spots[within[tuple(spots.T)]])
        views = viewer.views(self.centers)
        known = judge_views(network, views, viewer.log_voxel(), mirrored=False)
        centers = np.concatenate([self.centers, spots])
        # Candidates first where both are as likely: often they are the same place.
        order = np.argsort(-np.concatenate([known, sure]), kind="stable")
        near = cKDTree(centers * self.voxel).query_ball_point(centers * self.voxel, PEAK_MM)
        free = np.ones(len(centers), np.bool_)
        added = []
        for number in order.tolist():
            is_spot = number >= len(self.centers)
            if is_spot and not free[number]:
                continue
            free[near[number]] = False
            if is_spot:
                added.append(number)
        pieces = self.pieces.copy()
        pieces[tuple(centers[added].T)] = np.arange(len(added)) + len(self.centers) + 1
        return replace(self, pieces=pieces, centers=np.concatenate([self.centers, centers[added]]))

    def judged(self, sure: Image) -> Image:
        """CMB probability in which every candidate peaks at what is said of it.

        Parameters
        ----------
        sure
            Probability of each.

        Returns
        -------
        probability
            Within a candidate the network's, scaled, or what the depth of the dark spot says (see
            :func:`with_dark_spots`); elsewhere 0.
        """
        if not len(self.centers):
            return np.zeros_like(self.probability)
        peaks = peak_values(self.probability, self.pieces, len(self.centers))
        # A dark spot may lie where the network sees nothing.
        scale = np.concatenate([[0], sure / np.maximum(peaks, SEED)]).astype(np.float32)
        again = np.minimum(self.probability * scale[self.pieces], 1).astype(np.float32)
        return with_dark_spots(again, self.pieces, self.t2star, self.centers, sure, self.voxel)


def likely(
    network: SecondLook, viewer: Viewer, spots: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.intp], Image]:
    """Those of many places that a second look calls likely, and how likely they are.

    Most places are dismissed at one glance of the first judge.

    Parameters
    ----------
    network
        Whose first judge glances at all places.
    viewer
        Of the scan.
    spots
        Voxels of the scan (RAS axes), shape ``(n, 3)``.

    Returns
    -------
    chosen, sure
        Those that are likely, shape ``(m, 3)``, and the probability of each.
    """
    chosen, sure = [np.zeros((0, 3), np.intp)], [np.zeros(0, np.float32)]
    first = SecondLook([network.members[0]])
    for number in range(0, len(spots), SPOTS):
        part = spots[number : number + SPOTS]
        views = viewer.views(part)
        glanced = judge_views(first, views, viewer.log_voxel(), mirrored=False) > GLANCE
        judged = judge_views(network, views[glanced], viewer.log_voxel(), mirrored=False)
        chosen.append(part[glanced][judged > EXTENT])
        sure.append(judged[judged > EXTENT])
    return np.concatenate(chosen), np.concatenate(sure)


def look_again(
    network: SecondLook,
    t2star: Image,
    probability: Image,
    voxel: Sequence[float],
    within: Mask | None = None,
    tissues: npt.NDArray[np.uint8] | None = None,
) -> Image:
    """CMB probability in which every candidate peaks at what the second look says.

    The segmentation network's own probability does not rank candidates, because it is as certain
    of veins as of microbleeds in scans unlike those it was trained on. There it sees less of a
    microbleed than raters do, too: a candidate has the network's shape and the dark spot in the
    image.

    Parameters
    ----------
    network
        The second look.
    t2star, probability
        Brain-extracted T2*w and CMB probability of the segmentation network, RAS axes.
    voxel
        Voxel size, mm.
    within
        Where any dark spot is a candidate as well; nowhere without it.
    tissues
        Numbered as in :data:`~cmb_bidsapp.lesions.tissues.TISSUES`; without them judges go by
        brightness alone.

    Returns
    -------
    probability
        See :meth:`Proposals.judged`.
    """
    found = Proposals.of(t2star, probability, voxel)
    viewer = Viewer.of(t2star, voxel, tissues)
    if within is not None:
        found = found.with_spots(network, viewer, within)
    return found.judged(judge_views(network, viewer.views(found.centers), viewer.log_voxel()))


def with_dark_spots(
    probability: Image,
    pieces: npt.NDArray[np.integer],
    t2star: Image,
    centers: npt.NDArray[np.integer],
    sure: Image,
    voxel: Sequence[float],
) -> Image:
    """CMB probability in which likely candidates reach at least as far as their dark spot.

    Parameters
    ----------
    probability, pieces
        Of the CMB class; 0, or the number of the candidate.
    t2star
        Brain-extracted T2*w.
    centers, sure
        Darkest voxel of each candidate, shape ``(n, 3)``, and how probable it is.
    voxel
        Voxel size, mm.

    Returns
    -------
    probability
        Rises from :data:`~cmb_bidsapp.lesions.instances.EXTENT` at the border of a spot, half way
        to its surroundings, to that of the candidate; never lower than before. Candidates below
        that probability stay as they are, and none reaches into another.
    """
    found = probability.copy()
    for number in np.flatnonzero(sure > EXTENT):
        window, share = depth(t2star, voxel, centers[number].tolist(), REACH_MM)
        free = (share > 0) & np.isin(pieces[window], (0, number + 1))
        rise = EXTENT + (sure[number] - EXTENT) * (share - HALF) / (1 - HALF)
        found[window] = np.where(free, np.maximum(found[window], rise), found[window])
    return found
