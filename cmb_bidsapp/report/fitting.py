"""Volumes that a page takes in: those of all its sessions, as coarse as they need to be."""

from __future__ import annotations

import gzip
import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import nibabel as nib
import numpy as np
import numpy.typing as npt

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.core.arrays import Volume
from cmb_bidsapp.preprocess.resampling import along_axes
from cmb_bidsapp.report.viewer import IMAGES, LABELS, nifti, packed, volume_file

#: Coarsest voxel in plane (mm) at which microbleeds can be looked at, and how much coarser an image
#: gets at a time.
COARSEST_MM, COARSER = 1.6, 1.1
#: The image that has to be there, and what images are called.
MAIN = IMAGES[0]
WORDS = {"T2starw": "T2*w", "T1w": "T1w"}


@dataclass(frozen=True)
class Volumes:
    """What a page holds of a session's volumes.

    Attributes
    ----------
    packed
        NIfTI by name, compressed with gzip, in base64; empty where nothing fits or is there.
    note
        What was done so that they fit; empty where nothing was.
    """

    packed: Mapping[str, str]
    note: str

    @property
    def size(self) -> int:
        """Characters."""
        return sum(map(len, self.packed.values()))


NO_VOLUMES = Volumes({}, "")


def fitted(sessions: Sequence[SessionFiles], room: int) -> list[Volumes]:
    """Take in the volumes of sessions.

    Microbleeds are looked at on T2*w: T1w get what the T2*w of all sessions leave. Images of one
    contrast get coarser together, so that sessions can be compared; labels are small and stay.

    Parameters
    ----------
    sessions
        Their derivatives, in the order of time.
    room
        Characters that all of them may take in the page.
    """
    found = [_read(files) for files in sessions]
    taken: list[dict[str, bytes]] = [{} for _ in found]
    notes: list[list[str]] = [[] for _ in found]
    for name in IMAGES:
        labels = LABELS if name == MAIN else ()
        wanted = {k: one for k, one in enumerate(found) if {name, *labels} <= set(one)}
        left = room - sum(map(_length, taken))
        beside = {k: _length({label: one[label] for label in labels}) for k, one in wanted.items()}
        fitting = _together({k: one[name] for k, one in wanted.items()}, beside, left)
        for k, one in wanted.items():
            if k in fitting:
                content, step = fitting[k]
                taken[k] |= {name: content} | {label: one[label] for label in labels}
                notes[k] += [f"the {WORDS[name]} is downsampled to {step:.2g} mm"] if step else []
            elif name == MAIN:
                notes[k].append("the volumes are omitted")
                found[k] = {}
            else:
                notes[k].append(f"the volume of the {WORDS[name]} is omitted")
    return [
        Volumes({name: packed(gz) for name, gz in own.items()}, "; ".join(said))
        for own, said in zip(taken, notes, strict=True)
    ]


def _read(files: SessionFiles) -> dict[str, bytes]:
    """Volumes of a session by name; none where it lacks one that the viewer cannot do without."""
    paths = {name: volume_file(files, name) for name in (*IMAGES, *LABELS)}
    content = {name: path.read_bytes() for name, path in paths.items() if path.is_file()}
    return content if {MAIN, *LABELS} <= set(content) else {}


def _together(
    images: Mapping[int, bytes], beside: Mapping[int, int], room: int
) -> dict[int, tuple[bytes, float]]:
    """Images at the finest resolution at which all fit, and their voxel (mm) if it is coarser.

    If they do not fit at last, the first session comes before the others, and of those the latest.
    """
    if not images:
        return {}
    opened = {k: _open(content) for k, content in images.items()}
    finest = min(float(nib.affines.voxel_sizes(one.affine).min()) for one in opened.values())
    number = max(0, math.ceil(math.log(COARSEST_MM / finest, COARSER)))
    steps = [0.0, *(COARSEST_MM / COARSER**k for k in reversed(range(number)))]

    @cache
    def at(step: float) -> dict[int, tuple[bytes, float]]:
        made = {k: averaged(one, step) for k, one in opened.items()}
        return {
            k: (images[k], 0.0) if one is opened[k] else (nifti(one), step)
            for k, one in made.items()
        }

    def needed(step: float) -> int:
        return sum(_length({"": content}) + beside[k] for k, (content, _) in at(step).items())

    place = bisect_left(steps, True, key=lambda step: needed(step) <= room)
    made = at(steps[min(place, len(steps) - 1)])
    first, *later = made
    fitting = {}
    for k in (first, *reversed(later)):
        size = _length({"": made[k][0]}) + beside[k]
        if size <= room:
            fitting[k] = made[k]
            room -= size
    return fitting


def averaged(image: Volume[np.uint8], step: float) -> Volume[np.uint8]:
    """Average an image over longer voxels along the axes that are finer than ``step`` (mm).

    Parameters
    ----------
    image
        Shades of gray.
    step
        Side (mm) that voxels are to have, about; longer ones stay.
    """
    shades, sizes = image.data, nib.affines.voxel_sizes(image.affine)
    shape = [
        max(1, round(n * min(1.0, s / step))) if step else n
        for n, s in zip(shades.shape, sizes, strict=True)
    ]
    if tuple(shape) == shades.shape:
        return image
    weights = [_shares(n, m) for n, m in zip(shades.shape, shape, strict=True)]
    mean = along_axes(shades.astype(np.float32), weights)
    longer = np.array(shades.shape) / shape
    turn = np.diag([*longer, 1.0])
    turn[:3, 3] = (longer - 1) / 2
    return Volume(np.rint(mean).astype(np.uint8), image.affine @ turn)


def _shares(voxels: int, wanted: int) -> npt.NDArray[np.float32]:
    """Part that each voxel has in each longer one that is wanted."""
    edges = np.linspace(0, voxels, wanted + 1)
    ends = np.minimum(edges[1:, None], np.arange(1, voxels + 1))
    starts = np.maximum(edges[:-1, None], np.arange(voxels))
    shares: npt.NDArray[np.float64] = np.maximum(ends - starts, 0) * wanted / voxels
    return shares.astype(np.float32)


def _length(content: Mapping[str, bytes]) -> int:
    return sum(4 * ((len(gz) + 2) // 3) for gz in content.values())


def _open(content: bytes) -> Volume[np.uint8]:
    image = nib.Nifti1Image.from_bytes(gzip.decompress(content))
    return Volume(np.asarray(image.dataobj), np.asarray(image.affine))
