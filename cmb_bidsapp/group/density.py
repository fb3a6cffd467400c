"""Where a cohort's microbleeds lie: a map of their density in MNI152, one scan at a time."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cmb_bidsapp.anatomy.atlas import load_atlas
from cmb_bidsapp.anatomy.standard import voxels_at
from cmb_bidsapp.anatomy.templates import Space, find_template
from cmb_bidsapp.bids.outputs import write_image
from cmb_bidsapp.core.arrays import Image, Points, Volume
from cmb_bidsapp.core.labels import STANDARD_SPACE
from cmb_bidsapp.lesions.lesion import Lesion
from cmb_bidsapp.preprocess.resampling import Grid
from cmb_bidsapp.preprocess.shares import share_in_voxels

#: The space and the voxels of the map.
SPACE = Space(STANDARD_SPACE, 2)
#: Width at half height of the Gaussian that smooths the map, mm.
FWHM_MM = 8.0
#: A center so far beyond the brain counts at its edge: no head fits MNI152 exactly.
REACH_MM = FWHM_MM / 2

UNIT = "microbleeds per scan and ml"


def centers_of(lesions: Iterable[Lesion]) -> Points:
    """Centers of lesions in MNI152 (RAS mm), shape ``(n, 3)``; NaN where they are not known."""
    places = [lesion.standard_point for lesion in lesions]
    return np.array(places, np.float64).reshape(-1, 3)


@cache
def grid() -> Grid:
    """Voxels of the map: those of the 2 mm images of MNI152NLin6Asym."""
    return find_template(SPACE).grid


@cache
def brain() -> npt.NDArray[np.bool_]:
    """The brain on the map's grid: the packaged atlas with sulci, ventricles and 2 mm around it."""
    atlas = load_atlas()
    tissue = share_in_voxels(atlas.data > 0, atlas.affine, grid()) >= 0.5
    # Grown by 8 mm and shrunk by 6: that closes the sulci.
    closed = ndimage.binary_erosion(ndimage.binary_dilation(tissue, iterations=4), iterations=3)
    found: npt.NDArray[np.bool_] = ndimage.binary_fill_holes(closed)
    return found


@cache
def _nearest() -> tuple[Image, npt.NDArray[np.int32]]:
    """Distance (mm) of every voxel from the brain, and its nearest voxel."""
    distance, index = ndimage.distance_transform_edt(~brain(), grid().spacing, return_indices=True)
    return distance, index


class Density:
    """Microbleeds per scan and milliliter of brain, in MNI152NLin6Asym.

    Each lesion is its center, spread by a Gaussian of :data:`FWHM_MM` that ends at the edge of
    the brain: what would lie beyond is shared among the voxels within. So the sum over the map,
    times the volume of a voxel (0.008 ml), is the mean number of placed lesions of a scan.
    Every scan counts alike: who adds them decides whether a participant has one or several.
    Memory does not grow with their number.

    Attributes
    ----------
    scans
        How many were added, those without lesions among them.
    placed
        Lesions in the map.
    outside
        Lesions farther than :data:`REACH_MM` from the brain; not in the map.
    unplaced
        Lesions whose place in MNI152 is not known; not in the map.
    """

    def __init__(self) -> None:
        self.scans = self.placed = self.outside = self.unplaced = 0
        self._counts = np.zeros(grid().shape, np.uint32)

    def add(self, centers: Points) -> None:
        """Add one scan.

        Parameters
        ----------
        centers
            Its counted lesions in MNI152NLin6Asym (RAS mm), shape ``(n, 3)``, where ``n`` may be
            0; NaN where not known.
        """
        known = centers[np.isfinite(centers).all(axis=1)]
        voxels = np.rint(voxels_at(known, grid().affine)).astype(int)
        inside = (voxels >= 0) & (voxels < np.array([grid().shape]).T)
        place = tuple(voxels[:, inside.all(axis=0)])
        distance, nearest = _nearest()
        voxels = nearest[:, *place][:, distance[place] <= REACH_MM]
        # Lesions may share a voxel.
        np.add.at(self._counts, tuple(voxels), 1)
        self.scans += 1
        self.placed += voxels.shape[1]
        self.outside += len(known) - voxels.shape[1]
        self.unplaced += len(centers) - len(known)

    def image(self) -> Volume[np.float32]:
        """Make the map.

        Returns
        -------
        density
            Shape ``(91, 109, 91)``, in :data:`UNIT`, 0 outside the brain; all 0 without scans.
        """
        inside = brain()
        share = _smooth(inside.astype(np.float64))
        # Divided before it is spread, so that what a lesion has within the brain comes to 1.
        weights = np.divide(self._counts, share, out=np.zeros_like(share), where=inside)
        milliliters = float(np.prod(grid().spacing)) / 1000 * max(self.scans, 1)
        density = np.where(inside, _smooth(weights), 0) / milliliters
        return Volume(density.astype(np.float32), grid().affine)


def _smooth(volume: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    sigma = FWHM_MM / math.sqrt(8 * math.log(2)) / np.array(grid().spacing)
    smoothed: npt.NDArray[np.float64] = ndimage.gaussian_filter(volume, sigma, mode="constant")
    return smoothed


def write_density(density: Density, path: Path) -> None:
    """Write the map as a NIfTI with its sidecar; both say what is in it and what is not.

    Parameters
    ----------
    density
        Map of a pool.
    path
        NIfTI file to write; the sidecar lies beside it.
    """
    sidecar = {
        "Description": "Density of microbleeds: their centers, smoothed within the brain, divided "
        "by the number of scans. Its sum times the voxel volume (ml) is the mean number per scan",
        "SpatialReference": str(SPACE),
        "Resolution": f"res-{SPACE.resolution} of the template",
        "Units": UNIT,
        "SmoothingFWHM": FWHM_MM,
        "Scans": density.scans,
        "Lesions": density.placed,
        "LesionsOutsideBrain": density.outside,
        "LesionsWithoutPlace": density.unplaced,
    }
    image = density.image()
    write_image(path, image.data, image.affine, sidecar)
