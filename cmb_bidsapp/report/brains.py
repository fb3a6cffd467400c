"""The packaged brain as a picture: seen from outside, or cut, with the regions of the MARS form.

Pictures have the shape ``(across, up)`` and lie in MNI152 (RAS mm), whatever way a view is turned:
it is the axes of a figure that run the other way where a view is mirrored. Right is on the left
of the picture wherever both sides show (radiological convention).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import nibabel as nib
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cmb_bidsapp.anatomy.atlas import load_atlas
from cmb_bidsapp.anatomy.mars import mars_labels
from cmb_bidsapp.anatomy.parcellation import Parcellation
from cmb_bidsapp.core.arrays import Affine, Image, Regions
from cmb_bidsapp.core.labels import to_structures
from cmb_bidsapp.preprocess.resampling import Grid

#: Pixels of a picture along a voxel of the atlas (1 mm), so that borders are smooth.
FINER = 4
#: Smoothing of the brain's surface, voxels: it takes off the steps and leaves the gyri.
SURFACE_SIGMA = 1.2
#: Where the light is, seen by the viewer: to the right, up, and toward the viewer.
LIGHT = (-0.35, 0.45, 0.82)

Voxels = TypeVar("Voxels", bound=npt.NDArray[Any])
Extent = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class View:
    """A way to look at the brain.

    Attributes
    ----------
    title
        What is seen.
    ends
        What the left and the right end of the picture are.
    axis
        World axis of the line of sight.
    upwards
        Whether the line of sight leads to higher coordinates.
    mirrored
        Whether the picture runs from high coordinates (left) to low ones (right).
    """

    title: str
    ends: tuple[str, str]
    axis: int
    upwards: bool
    mirrored: bool

    def plane(self, affine: Affine, shape: tuple[int, ...]) -> Extent:
        """Outer edges of a volume in this view: left, right, bottom and top before mirroring, mm.

        Parameters
        ----------
        affine, shape
            Of the volume; its axes run along the world's (RAS).
        """
        sizes = np.diag(affine)[:3]
        low = affine[:3, 3] - sizes / 2
        high = low + sizes * shape
        across, up = (axis for axis in range(3) if axis != self.axis)
        return float(low[across]), float(high[across]), float(low[up]), float(high[up])

    def half(self, volume: Voxels, affine: Affine) -> Voxels:
        """What is turned to the viewer: from a side that half, else all.

        Parameters
        ----------
        volume, affine
            Axes along RAS.
        """
        if self.axis != 0:
            return volume
        x = affine[0, 0] * np.arange(volume.shape[0]) + affine[0, 3]
        turned: Voxels = volume[x <= 0 if self.upwards else x >= 0]
        return turned

    def first(self, solid: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
        """Index along the line of sight at which it meets a solid; the length where it does not."""
        turned = solid if self.upwards else np.flip(solid, self.axis)
        return np.where(turned.any(self.axis), turned.argmax(self.axis), solid.shape[self.axis])

    def at(self, volume: npt.NDArray[np.generic], index: npt.NDArray[np.intp]) -> Image:
        """Values at such indices; beyond the volume those of its last plane.

        Parameters
        ----------
        volume
            Axes along RAS.
        index
            Along the line of sight, shape ``(across, up)``.
        """
        turned = volume if self.upwards else np.flip(volume, self.axis)
        inside = np.clip(index, 0, volume.shape[self.axis] - 1)
        picked = np.take_along_axis(turned, np.expand_dims(inside, self.axis), self.axis)
        found: Image = picked.squeeze(self.axis)
        return found


#: Each half from its own side, then both from the front and from below.
RIGHT = View(
    title="Right half, from the right",
    ends=("back", "front"),
    axis=0,
    upwards=False,
    mirrored=False,
)
LEFT = View(
    title="Left half, from the left", ends=("front", "back"), axis=0, upwards=True, mirrored=True
)
FRONT = View(title="From the front", ends=("R", "L"), axis=1, upwards=False, mirrored=True)
BELOW = View(title="From below", ends=("R", "L"), axis=2, upwards=True, mirrored=True)
VIEWS = (RIGHT, LEFT, FRONT, BELOW)


@cache
def _atlas() -> tuple[npt.NDArray[np.int32], Affine]:
    """FreeSurfer ids of the packaged atlas along RAS axes, and their affine."""
    atlas = load_atlas()
    image = nib.as_closest_canonical(nib.Nifti1Image(atlas.data, atlas.affine))
    return np.asarray(image.dataobj), np.asarray(image.affine, np.float64)


@cache
def mars_map() -> tuple[Regions, Affine]:
    """MARS regions of the packaged atlas in MNI152, 1 mm, RAS axes; takes a few seconds once.

    Returns
    -------
    mars, affine
        As :func:`cmb_bidsapp.anatomy.mars.mars_labels`: 100 (left) or 200 (right) + the region.
    """
    dseg, affine = _atlas()
    return mars_labels(Parcellation(dseg=dseg, grid=Grid.of(dseg, affine))), affine


@dataclass(frozen=True)
class Surface:
    """The brain from outside.

    Attributes
    ----------
    light
        Brightness, 0 to 1, shape ``(across, up)``.
    cover
        Share of each pixel that is brain, 0 to 1.
    extent
        Edges of the picture before mirroring, mm; see :meth:`View.plane`.
    """

    light: Image
    cover: Image
    extent: Extent


@cache
def surface(view: View) -> Surface:
    """The packaged brain's surface, lit from the upper left."""
    dseg, affine = _atlas()
    tissue = (to_structures(dseg) > 0).astype(np.float32)
    solid = view.half(ndimage.gaussian_filter(tissue, SURFACE_SIGMA), affine)
    hit = view.first(solid > 0.5)
    # The surface lies between the voxel that is met and the one before.
    inside, before = view.at(solid, hit), view.at(solid, hit - 1)
    depth = hit - (inside - 0.5) / np.maximum(inside - before, 1e-3)
    across, up = np.gradient(depth.astype(np.float32))
    if view.mirrored:
        across = -across
    lit = (LIGHT[0] * across + LIGHT[1] * up + LIGHT[2]) / np.sqrt(1 + across**2 + up**2)
    cover = np.clip(2 * _finer(solid.max(axis=view.axis)) - 0.5, 0, 1)
    return Surface(_finer(np.clip(lit, 0, 1)), cover, view.plane(affine, dseg.shape))


@cache
def outside(view: View) -> tuple[Regions, Extent]:
    """MARS regions that are met first, 0 beside the brain, and the edges of the picture."""
    whole, affine = mars_map()
    mars = view.half(whole, affine)
    hit = view.first(mars > 0)
    met = np.where(hit < mars.shape[view.axis], view.at(mars, hit), 0).astype(np.uint8)
    return _finer_labels(met), view.plane(affine, whole.shape)


@cache
def section(view: View, place: float) -> tuple[Regions, Extent]:
    """MARS regions in a plane across the line of sight, and its edges (mm).

    Parameters
    ----------
    view
        From where the brain is seen.
    place
        Where the plane lies on the line of sight (mm).
    """
    mars, affine = mars_map()
    index = round((place - affine[view.axis, 3]) / affine[view.axis, view.axis])
    return _finer_labels(mars.take(index, view.axis)), view.plane(affine, mars.shape)


def through(density: Image, affine: Affine, view: View) -> Image:
    """Highest value along each line of sight; from a side, of the half that is turned to it.

    Parameters
    ----------
    density, affine
        Axes along RAS.
    view
        From where the brain is seen.
    """
    found: Image = view.half(density, affine).max(axis=view.axis)
    return found


def _finer(picture: Image) -> Image:
    """Linearly between the pixels; the edges stay where they are."""
    found: Image = ndimage.zoom(picture, FINER, order=1, mode="nearest", grid_mode=True)
    return found


def _finer_labels(picture: Regions) -> Regions:
    """With borders between pixels, as smooth as they are."""
    values = np.unique(picture)
    shares = [
        _finer(ndimage.gaussian_filter((picture == value).astype(np.float32), 0.7))
        for value in values
    ]
    found: Regions = values[np.argmax(shares, axis=0)]
    return found
