"""Slices as pictures: radiological convention, true proportions, masks painted over gray."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.affines import voxel_sizes
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont
from scipy import ndimage

from cmb_bidsapp.bids.outputs import atomic
from cmb_bidsapp.core.arrays import Affine, Image, Mask

RGB = npt.NDArray[np.uint8]
Gray = npt.NDArray[np.uint8]
#: A part of a picture: left, upper, right, lower edge, in pixels and their fractions.
Box = tuple[float, float, float, float]

#: WebP quality, and effort of the encoder (0 to 6).
QUALITY, EFFORT = 78, 2
#: Black after each picture that is joined with others: rows, columns, colors.
GUTTER_PIXELS = 2
GUTTER = ((0, GUTTER_PIXELS), (0, GUTTER_PIXELS), (0, 0))
#: White of a T1w above its brightest voxels: white matter, at nearly the same level, stays gray.
T1W_HEADROOM = 1.15
#: Axis that each plane leaves out.
PLANES = {"axial": 2, "coronal": 1, "sagittal": 0}


class Slices:
    """A volume reoriented for display.

    Attributes
    ----------
    zooms
        Voxel size in mm, in the order right, front, up.
    """

    def __init__(self, affine: Affine) -> None:
        self._affine = affine
        self._orientation = nib.orientations.io_orientation(affine)
        self.zooms = voxel_sizes(affine)[np.argsort(self._orientation[:, 0])]

    def volume(self, data: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """RAS axes."""
        turned: npt.NDArray[Any] = nib.orientations.apply_orientation(data, self._orientation)
        return turned

    def affine(self, shape: Sequence[int], box: Sequence[slice]) -> Affine:
        """Voxel to world of a part of what :meth:`volume` makes of an image of a shape.

        Parameters
        ----------
        shape
            That of the whole image.
        box
            The part, one slice for each axis.
        """
        turned = self._affine @ nib.orientations.inv_ornt_aff(self._orientation, shape)
        placed: Affine = turned @ nib.affines.from_matvec(np.eye(3), [s.start for s in box])
        return placed


def box_around(mask: Mask) -> tuple[slice, ...]:
    """Smallest part of an image that holds a mask; all of it where the mask is empty."""
    box = []
    for axis, size in enumerate(mask.shape):
        filled = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        box.append(slice(int(filled[0]), int(filled[-1]) + 1) if filled.size else slice(0, size))
    return tuple(box)


def plane(volume: npt.NDArray[Any], axis: int, index: int) -> npt.NDArray[Any]:
    """Cut a RAS volume; rows from the front or top, columns from the right or front.

    Parameters
    ----------
    volume
        Shape ``(x, y, z)``, axes in RAS order.
    axis
        The one that is cut: 0 sagittal, 1 coronal, 2 axial.
    index
        Where, in voxels.
    """
    cut: npt.NDArray[Any] = volume[(slice(None),) * axis + (index,)][::-1, ::-1].T
    return cut


def gray(image: Image, window: tuple[float, float]) -> Gray:
    """Scale an image to gray levels.

    Parameters
    ----------
    image
        Signal, any shape.
    window
        Signal that is black, and that is white.
    """
    low, high = window
    scaled = np.clip((image - low) / max(high - low, 1e-6), 0, 1) * 255
    return scaled.astype(np.uint8)


def window(image: Image, mask: Mask, headroom: float = 1.0) -> tuple[float, float]:
    """Signal that is shown black and white: of the brain, or of everything where there is none.

    Parameters
    ----------
    image, mask
        Signal, and the brain, on one grid.
    headroom
        White, as a multiple of the brightest signal of the brain.
    """
    inside = image[mask]
    if inside.size == 0:
        return float(image.min()), float(image.max())
    low, high = np.percentile(inside, (1, 99.5))
    return float(min(low, 0.3 * high)), float(headroom * high)


def fit(
    picture: npt.NDArray[Any], size: tuple[int, int], box: Box | None = None, *, smooth: bool
) -> npt.NDArray[Any]:
    """Resize a picture or a part of it, ``(width, height)``; labels stay labels if not smooth.

    Parameters
    ----------
    picture
        Shape ``(rows, columns)``, with or without colors.
    size
        Width and height that are wanted, pixels.
    box
        The part that is shown; all of it by default.
    smooth
        Whether values between pixels are interpolated.
    """
    way = Picture.Resampling.BICUBIC if smooth else Picture.Resampling.NEAREST
    return np.asarray(Picture.fromarray(np.ascontiguousarray(picture)).resize(size, way, box))


def gray_to_rgb(shade: Gray) -> RGB:
    """A gray picture to paint on."""
    return np.repeat(shade[..., None], 3, axis=-1)


def color(code: str) -> npt.NDArray[np.uint8]:
    """Red, green and blue of ``#rrggbb``."""
    return np.frombuffer(bytes.fromhex(code[1:]), np.uint8)


def edge(mask: Mask, width: int = 1) -> Mask:
    """Inner edge of a mask.

    Parameters
    ----------
    mask
        Shape ``(rows, columns)``.
    width
        Pixels.
    """
    inner: Mask = mask & ~ndimage.binary_erosion(mask, iterations=width)
    return inner


def ring(mask: Mask, width: int = 2) -> Mask:
    """Outer edge of a mask: what it surrounds stays visible.

    Parameters
    ----------
    mask, width
        See :func:`edge`.
    """
    outer: Mask = ndimage.binary_dilation(mask, iterations=width) & ~mask
    return outer


def tiled(rows: Sequence[Sequence[RGB]]) -> RGB:
    """Join pictures of one size, rows of equal length, with a thin black line between."""
    lines = [np.concatenate([np.pad(p, GUTTER) for p in row], axis=1) for row in rows]
    return np.concatenate(lines, axis=0)


def dashed(mask: Mask, length: int = 4) -> Mask:
    """Every other piece of a mask along its diagonals.

    Parameters
    ----------
    mask
        Shape ``(rows, columns)``.
    length
        Of a dash, pixels.
    """
    rows, columns = np.indices(mask.shape)
    dashes: Mask = mask & ((rows + columns) // length % 2 == 0)
    return dashes


def tint(picture: RGB, mask: Mask, code: str, share: float = 1.0) -> None:
    """Blend a color over a mask.

    Parameters
    ----------
    picture, mask
        Picture that is changed, shape ``(rows, columns, 3)``, and its pixels that are.
    code
        Color, ``#rrggbb``.
    share
        Of the color; the rest is what was there.
    """
    picture[mask] = (picture[mask] * (1 - share) + color(code) * share).astype(np.uint8)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def write(picture: RGB, words: dict[tuple[int, int], str], size: int = 13) -> RGB:
    """Write words, light on a dark rim, each from its upper left corner ``(x, y)``.

    Parameters
    ----------
    picture
        Shape ``(rows, columns, 3)``, 0 to 255; it stays as it is.
    words
        By corner, in pixels.
    size
        Of the letters, in pixels.
    """
    canvas = Picture.fromarray(picture)
    draw = ImageDraw.Draw(canvas)
    for place, text in words.items():
        draw.text(
            place, text, fill="#e8e8e8", font=_font(size), stroke_width=2, stroke_fill="#000000"
        )
    return np.asarray(canvas)


def save(picture: RGB, path: Path) -> Path:
    """Write a picture in the format that its name tells; returns the path.

    Parameters
    ----------
    picture
        Colors, shape ``(rows, columns, 3)``.
    path
        File to write.
    """
    with atomic(path) as beside:
        Picture.fromarray(picture).save(beside, quality=QUALITY, method=EFFORT)
    return path
