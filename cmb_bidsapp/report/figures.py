"""Pictures of a session for the reports, as WebP: overviews in axial slices, every candidate.

Colors are those of Okabe and Ito, told apart by people with any color vision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.images import open_image
from cmb_bidsapp.core.arrays import Mask
from cmb_bidsapp.core.labels import CMB, LEFT, MARS, MARS_LOOK, PROXY_COLORS
from cmb_bidsapp.lesions.lesion import Lesion
from cmb_bidsapp.report.closeups import Periphery, Scene, closeups
from cmb_bidsapp.report.painting import (
    RGB,
    T1W_HEADROOM,
    Gray,
    Slices,
    box_around,
    edge,
    fit,
    gray,
    gray_to_rgb,
    plane,
    ring,
    save,
    tiled,
    tint,
    window,
    write,
)
from cmb_bidsapp.report.viewer import write_volumes

MASK_COLOR, KEPT_COLOR, REJECTED_COLOR = "#f0e442", PROXY_COLORS[CMB], "#56b4e9"
#: Part of a filled voxel that is color; where colors are many they must be purer.
FEW_COLORS, MANY_COLORS = 0.45, 0.6
#: Microbleeds among the regions of the MARS form, one of which has their usual color.
ON_MARS_COLOR = "#ffffff"
#: Filtered phase (rad) that is black, and white.
PHASE_SHOWN = (-1.5, 1.5)
#: Slices of an overview, of each line of it, and the width of each in pixels.
MOSAIC, LINE, MOSAIC_WIDTH = 12, 4, 240
#: Candidates that get a picture, kept ones and likely ones first: figures take seconds, not hours.
PICTURED = 100
OVERVIEWS = ("brain", "registrationT2starw", "registrationT1w", "proxy", "mars")


def closeup_name(lesion: int) -> str:
    """Name of the figure of a candidate."""
    return f"lesion{lesion:03d}"


def chosen_slices(brain: Mask, lesions: Mask) -> list[int]:
    """Axial slices of an overview (RAS), from the top: spread evenly, on microbleeds if it can be.

    Each shows the slice of its share of the brain that has most of microbleeds, or the middle one.

    Parameters
    ----------
    brain, lesions
        Shape ``(x, y, z)``, axes in RAS order.
    """
    filled = np.flatnonzero(brain.any(axis=(0, 1)))
    if filled.size == 0:
        filled = np.arange(brain.shape[2])
    voxels = lesions.sum(axis=(0, 1))
    chosen = []
    for share in np.array_split(filled, min(MOSAIC, filled.size)):
        # Of equals the one nearest to the middle.
        off = np.abs(share - share[len(share) // 2])
        chosen.append(int(share[np.lexsort((off, -voxels[share]))[0]]))
    return chosen[::-1]


def mosaic(
    shades: Gray,
    zooms: Sequence[float],
    slices: Sequence[int],
    *,
    regions: Mapping[str, Mask] | None = None,
    edges: Mapping[str, Mask] | None = None,
    rings: Mapping[str, Mask] | None = None,
    share: float = FEW_COLORS,
) -> RGB:
    """Overview of axial slices, four in a line.

    Parameters
    ----------
    shades, zooms
        Gray levels with RAS axes, cut to the brain; voxel size, mm.
    slices
        Positions on the third axis of the slices, in the order in which they are shown.
    regions, edges, rings
        Masks by color, shown filled, and with a line along their inner and their outer edge.
    share
        Part that the color has in a filled voxel; the rest is image.
    """
    wide, high = (n * step for n, step in zip(shades.shape[:2], zooms, strict=False))
    size = MOSAIC_WIDTH, max(1, round(MOSAIC_WIDTH * high / wide))
    layers: list[tuple[Mapping[str, Mask] | None, Callable[[Mask], Mask], float]] = [
        (regions, np.asarray, share),
        (edges, edge, 1.0),
        (rings, partial(ring, width=3), 1.0),
    ]
    tiles = []
    for index in slices:
        tile = gray_to_rgb(fit(plane(shades, 2, index), size, smooth=True))
        for masks, shape, strength in layers:
            for color, mask in (masks or {}).items():
                cut = fit(plane(mask, 2, index), size, smooth=False)
                tint(tile, shape(cut), color, strength)
        tiles.append(tile)
    while len(tiles) % LINE:
        tiles.append(np.zeros_like(tiles[0]))
    picture = tiled([tiles[i : i + LINE] for i in range(0, len(tiles), LINE)])
    return write(picture, {(6, 4): "R", (picture.shape[1] - 16, 4): "L"})


def session_figures(files: SessionFiles, lesions: Sequence[Lesion], cfpr: Periphery) -> list[Path]:
    """Draw and write every figure of a session; returns their paths.

    Parameters
    ----------
    files
        Paths of the session's derivatives.
    lesions
        Kept and rejected.
    cfpr
        Periphery that is drawn around each candidate.
    """
    image = open_image(files.t2star)
    slices = Slices(np.asarray(image.affine))
    zooms = tuple(slices.zooms.tolist())

    def read(path: Path) -> npt.NDArray[Any]:
        return slices.volume(np.asarray(open_image(path).dataobj))

    brain, numbers = read(files.t2star_brain) > 0, read(files.instances)
    box = box_around(brain | (numbers > 0))
    brain, numbers = brain[box], numbers[box]
    paths = {"T2starw": files.t2star, "T1w": files.t1w_on_t2star}
    images = {
        name: read(path)[box].astype(np.float32) for name, path in paths.items() if path.exists()
    }
    headroom = {"T2starw": 1.0, "T1w": T1W_HEADROOM}
    shades = {
        name: gray(data, window(data, brain, headroom[name])) for name, data in images.items()
    }
    t2star = shades["T2starw"]
    proxy, mars = read(files.proxy)[box], read(files.mars)[box]
    kept = np.isin(numbers, [one.number for one in lesions if one.kept])
    draw = partial(mosaic, zooms=zooms, slices=chosen_slices(brain, kept))
    classes = {PROXY_COLORS[value]: proxy == value for value in (1, 2, 3)}
    places = {MARS_LOOK[LEFT + n][1]: mars % LEFT == n for n in MARS.values()}
    overviews = {
        "brain": draw(t2star, edges={MASK_COLOR: brain}),
        "proxy": draw(t2star, regions=classes, rings={KEPT_COLOR: kept}),
        "mars": draw(t2star, regions=places, rings={ON_MARS_COLOR: kept}, share=MANY_COLORS),
        **{
            f"registration{name}": draw(data, edges={PROXY_COLORS[1]: proxy > 0})
            for name, data in shades.items()
        },
    }
    # Shown as the T2*w is: what is darker in the weighted image was darkened by the phase.
    windows = {files.phase: PHASE_SHOWN, files.swi: window(images["T2starw"], brain)}
    phase, swi = (
        gray(read(path)[box].astype(np.float32), shown) if path.exists() else None
        for path, shown in windows.items()
    )
    classified = read(files.network_labels)[box]
    scene = Scene(
        t2star=t2star,
        t1w=shades.get("T1w"),
        numbers=numbers,
        labels=classified,
        zooms=zooms,
        phase=phase,
        swi=swi,
    )
    _forget(files)
    written = [save(picture, files.figure(name)) for name, picture in overviews.items()]
    for number, picture in closeups(scene, cfpr, _colors(lesions)):
        written.append(save(picture, files.figure(closeup_name(number))))
    affine = slices.affine(image.shape, box)
    return written + write_volumes(files, images, brain, mars, numbers, kept, affine)


def _forget(files: SessionFiles) -> None:
    """Remove the figures of an earlier run: its candidates had other numbers."""
    some = files.figure("")
    for old in some.parent.glob(f"{some.stem}*"):
        old.unlink()


def best_first(lesions: Sequence[Lesion]) -> list[Lesion]:
    """Kept lesions before rejected ones, each by falling probability."""
    return sorted(lesions, key=lambda one: (not one.kept, -(one.probability_max or 0)))


def _colors(lesions: Sequence[Lesion]) -> dict[int, str]:
    """Outline of the candidates that get a picture."""
    return {
        one.number: KEPT_COLOR if one.kept else REJECTED_COLOR
        for one in best_first(lesions)[:PICTURED]
    }
