"""The volume viewer of a report: NiiVue from the installed ``ipyniivue``, and what it shows.

``ipyniivue`` (of which no Python is imported) holds one script with all of NiiVue; as it hands out
a notebook widget only, a line at its end hands out the class as well. Volumes are written beside
the figures when a session is finished: gray levels, regions and outlines as 8-bit NIfTI, cut to the
brain.
"""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import atomic
from cmb_bidsapp.core.arrays import Affine, Image, Mask, Volume
from cmb_bidsapp.lesions.cfpr import THICK_SLICE_MM
from cmb_bidsapp.lesions.windows import windows
from cmb_bidsapp.report.painting import T1W_HEADROOM, gray

PACKAGE = "ipyniivue"
#: Where the script makes its viewer; the group is the name of the class.
_MADE = re.compile(r'"Creating new Niivue instance"\);.{0,300}?=new ([\w$]+)\(', re.DOTALL)

#: Images by the name of their file; the first is below the others.
IMAGES = ("T2starw", "T1w")
LABELS = ("regions", "outlines")
#: Values of ``outlines``.
KEPT, REJECTED = 1, 2
#: Value and color of the ring that the page draws around a lesion that a reader added.
ADDED, ADDED_COLOR = 3, "#009e73"
#: Part of the brain's voxels that are not brighter than white.
WHITE = 99.9
#: A T1w has seldom smaller voxels (mm): what is finer is interpolated.
T1W_MM = 0.9


@dataclass(frozen=True)
class Script:
    """NiiVue as text to be inlined.

    Attributes
    ----------
    packed
        The module, compressed with gzip, in base64. Its export ``Niivue`` is the class.
    license
        Under which it is passed on.
    version
        Of the package it comes from.
    """

    packed: str
    license: str
    version: str


@cache
def script() -> Script:
    """Read the viewer from the installed package.

    Raises
    ------
    LookupError
        It is not there, or not as it is known here; the text says which.
    """
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise LookupError(f"{PACKAGE} is not installed")
    path = Path(spec.origin).parent / "static" / "widget.js"
    if not path.is_file():
        raise LookupError(f"{PACKAGE} has no {path.name}")
    terms, version = _license()
    whole = with_export(path.read_text(encoding="utf-8"))
    return Script(packed(gzip.compress(whole.encode(), mtime=0)), terms, version)


def with_export(code: str) -> str:
    """Let the script of ``ipyniivue`` export the class of NiiVue.

    Raises
    ------
    LookupError
        The script does not make its viewer as it is known here.
    """
    names = set(_MADE.findall(code))
    if len(names) == 1:
        (name,) = map(re.escape, names)
        if re.search(rf"(?<![\w$])({name}\s*=\s*class|class\s+{name})(?![\w$])", code):
            return f"{code}\nexport {{ {names.pop()} as Niivue }};\n"
    raise LookupError(f"this version of {PACKAGE} does not expose the NiiVue class")


def _license() -> tuple[str, str]:
    try:
        found = distribution(PACKAGE)
    except PackageNotFoundError as error:
        raise LookupError(f"{PACKAGE} is not installed") from error
    for file in found.files or ():
        if file.name == "LICENSE":
            return file.read_text(encoding="utf-8"), found.version
    raise LookupError(f"{PACKAGE} has no license file, which the report must include")


def packed(content: bytes) -> str:
    """Base64, as it stands in a page."""
    return base64.b64encode(content).decode("ascii")


def volume_file(files: SessionFiles, name: str) -> Path:
    """Where a volume of the viewer lies.

    Parameters
    ----------
    files
        Paths of the session's derivatives.
    name
        One of :data:`IMAGES` or :data:`LABELS`.
    """
    return files.figure(f"viewer{name}", ".nii.gz")


def write_volumes(
    files: SessionFiles,
    images: Mapping[str, Image],
    brain: Mask,
    regions: npt.NDArray[np.integer],
    numbers: npt.NDArray[np.integer],
    kept: Mask,
    affine: Affine,
) -> list[Path]:
    """Write what the viewer shows of a session.

    Parameters
    ----------
    files
        Paths of the session's derivatives.
    images
        ``T2starw`` and, where there is one, ``T1w``, cut to the brain as all the rest is.
    brain
        Brain mask.
    regions
        MARS regions with their side.
    numbers, kept
        0 or the number of the candidate; voxels of those that are kept.
    affine
        Voxel to world (RAS mm).
    """
    written = []
    steps = nib.affines.voxel_sizes(affine)
    for name in IMAGES:
        if name in images:
            inside = images[name][brain]
            white = float(np.percentile(inside, WHITE)) if inside.size else 1.0
            white *= T1W_HEADROOM if name == "T1w" else 1.0
            shades = Volume(gray(images[name], (0.0, white)), affine)
            target = max(T1W_MM, float(steps.min())) if name == "T1w" else 0.0
            written.append(_write(volume_file(files, name), coarser(shades, target)))
    outlines = _outlines(numbers, kept, steps)
    for name, labels in zip(LABELS, (regions, outlines), strict=True):
        written.append(_write(volume_file(files, name), Volume(labels.astype(np.uint8), affine)))
    return written


def _outlines(
    numbers: npt.NDArray[np.integer], kept: Mask, steps: npt.NDArray[np.floating]
) -> npt.NDArray[np.uint8]:
    """Voxels that touch a candidate; of thick slices only those within the slice."""
    cross = ndimage.generate_binary_structure(3, 2)
    for axis in np.flatnonzero(steps > THICK_SLICE_MM):
        cross &= np.moveaxis(np.arange(3)[:, None, None] == 1, 0, axis)
    outlines = np.zeros(numbers.shape, np.uint8)
    for _, window, own in windows(numbers, (1, 1, 1)):
        ring = ndimage.binary_dilation(own, cross) & (numbers[window] == 0)
        outlines[window][ring] = KEPT if kept[window][own].any() else REJECTED
    return outlines


def coarser(image: Volume[np.uint8], step: float) -> Volume[np.uint8]:
    """Average blocks of voxels along the axes that are finer than ``step`` (mm).

    Parameters
    ----------
    image
        Shades of gray.
    step
        Side (mm) that voxels are to have, about; longer ones stay.
    """
    import SimpleITK

    shades, sizes = image.data, nib.affines.voxel_sizes(image.affine)
    factors = [min(n, max(1, round(step / s))) for n, s in zip(shades.shape, sizes, strict=True)]
    if max(factors) == 1:
        return image
    whole = [n // f * f for n, f in zip(shades.shape, factors, strict=True)]
    cut = shades[tuple(slice(0, n) for n in whole)]
    shrunk = SimpleITK.GetArrayFromImage(
        SimpleITK.BinShrink(SimpleITK.GetImageFromArray(cut), factors[::-1])
    )
    turn = np.diag([*factors, 1.0])
    turn[:3, 3] = (np.array(factors) - 1) / 2
    return Volume(shrunk, image.affine @ turn)


def _write(path: Path, volume: Volume[np.uint8]) -> Path:
    with atomic(path) as beside:
        beside.write_bytes(nifti(volume))
    return path


def nifti(volume: Volume[np.uint8]) -> bytes:
    """A volume as a compressed file."""
    image = nib.Nifti1Image(volume.data, volume.affine)
    image.header.set_xyzt_units("mm")
    return gzip.compress(image.to_bytes(), 6, mtime=0)
