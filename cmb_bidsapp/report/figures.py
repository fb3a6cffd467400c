"""Pictures for the reports, as PNG: slices in radiological convention, masks as outlines.

Colours are those of Okabe and Ito, told apart by people with any colour vision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.affines import voxel_sizes
from PIL import Image, ImageDraw
from scipy import ndimage

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import atomic
from cmb_bidsapp.labels import CMB, LEFT, MARS, MARS_LOOK, PROXY_COLORS, RIGHT
from cmb_bidsapp.preprocess.resampling import Affine

RGB = npt.NDArray[np.uint8]
Volume = npt.NDArray[np.float32]

MASK_COLOR, KEPT_COLOR, REJECTED_COLOR = "#f0e442", PROXY_COLORS[CMB], "#56b4e9"
#: Part of a filled voxel that is colour; where colours are many they must be purer.
FEW_COLORS, MANY_COLORS = 0.45, 0.6
#: Microbleeds among the regions of the MARS form, one of which has their usual colour.
ON_MARS_COLOR = "#ffffff"
#: Millimetres around a lesion that its picture shows, and pixels on a side.
CROP_MM, CROP_PIXELS = 36.0, 180
#: Slices of an overview, and the width of each in pixels.
MOSAIC, MOSAIC_WIDTH = 12, 220


class Slices:
    """A volume reoriented for display: axial slices, patient's right on the left."""

    def __init__(self, affine: Affine) -> None:
        self._orientation = nib.orientations.io_orientation(affine)
        zooms = voxel_sizes(affine)
        order = np.argsort(self._orientation[:, 0])
        self.zooms = zooms[order]

    def volume(self, data: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """RAS axes."""
        turned: npt.NDArray[Any] = nib.orientations.apply_orientation(data, self._orientation)
        return turned

    def pixels(self, plane: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """An axial plane ``(x, y)`` as an image: rows from the front, right side first."""
        return plane[::-1, ::-1].T

    def size(self, plane: npt.NDArray[Any], width: int) -> tuple[int, int]:
        """Pixel size that keeps the proportions of a plane ``(x, y)``."""
        height = width * plane.shape[1] * self.zooms[1] / (plane.shape[0] * self.zooms[0])
        return width, max(1, round(height))


def grey(plane: Volume, low: float, high: float) -> RGB:
    """Scale an image to grey levels."""
    scaled = np.clip((plane - low) / max(high - low, 1e-6), 0, 1) * 255
    return np.repeat(scaled.astype(np.uint8)[..., None], 3, axis=-1)


def _colour(code: str) -> npt.NDArray[np.uint8]:
    return np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)], np.uint8)


def outline(picture: RGB, mask: npt.NDArray[np.bool_], colour: str, width: int = 1) -> None:
    """Draw the inner edge of a mask."""
    edge = mask & ~ndimage.binary_erosion(mask, iterations=width)
    picture[edge] = _colour(colour)


def tint(picture: RGB, mask: npt.NDArray[np.bool_], colour: str, share: float) -> None:
    """Blend a colour over a mask."""
    blended = picture[mask] * (1 - share) + _colour(colour) * share
    picture[mask] = blended.astype(np.uint8)


def _fit(plane: npt.NDArray[Any], size: tuple[int, int], *, smooth: bool) -> npt.NDArray[Any]:
    filter_ = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(plane).resize(size, filter_))


def _window(image: Volume, mask: npt.NDArray[np.bool_]) -> tuple[float, float]:
    inside = image[mask]
    if inside.size == 0:
        return float(image.min()), float(image.max())
    low, high = np.percentile(inside, (1, 99.5))
    return float(min(low, 0.3 * high)), float(high)


def _save(picture: RGB, path: Path) -> Path:
    with atomic(path) as beside:
        Image.fromarray(picture).save(beside, "PNG", optimize=True)
    return path


def mosaic(
    slices: Slices,
    image: Volume,
    brain: npt.NDArray[np.bool_],
    *,
    regions: Mapping[str, npt.NDArray[np.bool_]] | None = None,
    edges: Mapping[str, npt.NDArray[np.bool_]] | None = None,
    share: float = FEW_COLORS,
) -> RGB:
    """Overview of evenly spaced axial slices through the brain.

    Parameters
    ----------
    regions, edges
        Masks by colour, shown filled and as outlines.
    share
        Part that the colour has in a filled voxel; the rest is image.
    """
    volume, inside = slices.volume(image), slices.volume(brain)
    low, high = _window(volume, inside)
    filled = np.flatnonzero(inside.any(axis=(0, 1)))
    if filled.size == 0:
        filled = np.arange(volume.shape[2])
    count = min(MOSAIC, filled.size)
    chosen = filled[np.linspace(0, filled.size - 1, count + 2)[1:-1].round().astype(int)]
    box = ndimage.find_objects(inside.any(axis=2).astype(np.uint8))
    window = box[0] if box and box[0] else (slice(None), slice(None))
    tiles = []
    for index in chosen[::-1]:
        plane = volume[(*window, index)]
        size = slices.size(plane, MOSAIC_WIDTH)
        tile = grey(_fit(slices.pixels(plane), size, smooth=True), low, high).copy()
        for masks, paint in ((regions, partial(tint, share=share)), (edges, outline)):
            for colour, mask in (masks or {}).items():
                cut = slices.volume(mask)[(*window, index)]
                paint(tile, _fit(slices.pixels(cut), size, smooth=False), colour)
        tiles.append(tile)
    while len(tiles) % 4:
        tiles.append(np.zeros_like(tiles[0]))
    lines = [np.concatenate(tiles[i : i + 4], axis=1) for i in range(0, len(tiles), 4)]
    return _with_sides(np.concatenate(lines, axis=0))


def _with_sides(picture: RGB) -> RGB:
    canvas = Image.fromarray(picture)
    draw = ImageDraw.Draw(canvas)
    draw.text((4, 2), "R", fill="white")
    draw.text((canvas.width - 10, 2), "L", fill="white")
    return np.asarray(canvas)


def lesion_picture(
    slices: Slices,
    t2star: Volume,
    t1w: Volume | None,
    mask: npt.NDArray[np.bool_],
    window: tuple[float, float],
    colour: str,
) -> RGB:
    """T2*w plain, T2*w with the outline, and T1w around one lesion (volumes in RAS)."""
    voxels = np.argwhere(mask)
    areas = np.bincount(voxels[:, 2])
    level = int(areas.argmax())
    centre = voxels[voxels[:, 2] == level].mean(axis=0)
    half = np.ceil(CROP_MM / 2 / slices.zooms[:2]).astype(int)
    # Padding, so that a lesion at the edge of the image stays in the middle of its picture.
    pad = [(h, h) for h in half]
    low = np.round(centre[:2]).astype(int)
    crop = tuple(slice(a, a + 2 * h + 1) for a, h in zip(low, half, strict=True))

    def cut(volume: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return slices.pixels(np.pad(volume[:, :, level], pad)[crop])

    size = (CROP_PIXELS, CROP_PIXELS)
    plain = grey(_fit(cut(t2star), size, smooth=True), *window)
    marked = plain.copy()
    shape = _fit(cut(mask), size, smooth=False)
    ring = ndimage.binary_dilation(shape, iterations=2) & ~shape
    marked[ring] = _colour(colour)
    panels = [plain, marked]
    if t1w is not None:
        panels.append(grey(_fit(cut(t1w), size, smooth=True), *_window(t1w, t1w > 0)))
    return np.concatenate(panels, axis=1)


def session_figures(files: SessionFiles, lesions: Sequence[Mapping[str, Any]]) -> list[Path]:
    """Draw and write every figure of a session; returns their paths."""
    image = nib.load(files.t2star)
    affine = np.asarray(image.affine)
    slices = Slices(affine)
    t2star = np.asarray(image.dataobj, dtype=np.float32)
    brain = np.asarray(nib.load(files.t2star_brain).dataobj) > 0
    proxy = np.asarray(nib.load(files.proxy).dataobj)
    mars = np.asarray(nib.load(files.mars).dataobj)
    t1w = None
    if files.t1w_on_t2star.exists():
        t1w = np.asarray(nib.load(files.t1w_on_t2star).dataobj, dtype=np.float32)
    instances = np.asarray(nib.load(files.instances).dataobj)
    classes = {PROXY_COLORS[v]: proxy == v for v in (1, 2, 3)}
    places = {
        MARS_LOOK[LEFT + n][1]: (mars == LEFT + n) | (mars == RIGHT + n) for n in MARS.values()
    }
    tissue = {PROXY_COLORS[1]: proxy > 0}
    kept = np.isin(instances, [row["lesion_id"] for row in lesions if row["status"] == "kept"])
    draw = partial(mosaic, slices, t2star, brain)
    overviews = {
        "brain": draw(edges={MASK_COLOR: brain}),
        "proxy": draw(regions=classes, edges={KEPT_COLOR: kept}),
        "mars": draw(regions=places, edges={ON_MARS_COLOR: kept}, share=MANY_COLORS),
        "registrationT2starw": draw(edges=tissue),
    }
    if t1w is not None:
        overviews["registrationT1w"] = mosaic(slices, t1w, brain, edges=tissue)
    written = [_save(picture, files.figure(name)) for name, picture in overviews.items()]
    turned = slices.volume(t2star)
    turned_t1w = slices.volume(t1w) if t1w is not None else None
    numbers = slices.volume(instances)
    window = _window(turned, slices.volume(brain))
    for row in lesions:
        colour = KEPT_COLOR if row["status"] == "kept" else REJECTED_COLOR
        mask = numbers == row["lesion_id"]
        picture = lesion_picture(slices, turned, turned_t1w, mask, window, colour)
        written.append(_save(picture, files.figure(f"lesion{row['lesion_id']:03d}")))
    return written
