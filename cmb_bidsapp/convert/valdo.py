"""VALDO 2021 Task 2 (microbleeds): what its folders hold, and what may be wrong with it.

The challenge (Sudre et al., Medical Image Analysis 91, 2024, 103029) gives per participant
``Task2/sub-101/sub-101_space-T2S_desc-masked_T2S.nii.gz``, the same for ``T1`` and ``T2``, and the
rated mask ``sub-101_space-T2S_CMB.nii.gz``, all on the grid of the T2*w. Participants 1xx are of
the SABRE study, 2xx of RSS, 3xx of ALFA; SABRE and ALFA were scanned at 3 T, RSS at 1.5 T by GE
(Kwon, Seo and Park, MICCAI 2024, section 3.1). The T2w is not used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.spatialimages import HeaderDataError

from cmb_bidsapp.bids.images import read_volume
from cmb_bidsapp.convert.harmonize import header_difference, lesion_instances
from cmb_bidsapp.core.arrays import Affine
from cmb_bidsapp.core.errors import DataError

#: Files of Task 2; other tasks have another space, and other people under the same numbers.
NAME = re.compile(
    r"sub-?(?P<label>[0-9A-Za-z]+)(?:_space-T2S)?(?:_desc-masked)?_(?P<kind>T1|T2S?|CMB)\.nii(?:\.gz)?"
)
#: What a participant needs; the first one's grid holds for all.
KINDS = ("T2S", "T1", "CMB")


@dataclass(frozen=True)
class Study:
    """One of the studies that gave participants."""

    name: str
    description: str
    metadata: Mapping[str, Any]


#: By the first of the three digits of a participant's number.
COHORTS = {
    "1": Study("SABRE", "Southall and Brent Revisited", {"MagneticFieldStrength": 3}),
    "2": Study("RSS", "Rotterdam Scan Study", {"MagneticFieldStrength": 1.5, "Manufacturer": "GE"}),
    "3": Study("ALFA", "Alzheimer and Families", {"MagneticFieldStrength": 3}),
}


@dataclass(frozen=True, kw_only=True)
class ValdoParticipant:
    """Images of one participant on one grid, and what was put right on the way.

    Attributes
    ----------
    t2star, t1w
        Finite values, on the grid of the T2*w.
    instances
        0 or the number of the microbleed, on the same grid.
    affine
        Voxel to world (RAS mm) of all of them.
    """

    label: str
    t2star: npt.NDArray[np.float32]
    t1w: npt.NDArray[np.float32]
    instances: npt.NDArray[np.int32]
    affine: Affine
    notes: tuple[str, ...]


def cohort_of(label: str) -> Study | None:
    """The study of a participant; ``None`` where the number does not tell.

    >>> cohort_of("204").name
    'RSS'
    """
    return COHORTS.get(label[0]) if re.fullmatch(r"\d{3}", label) else None


def find_participants(valdo_dir: Path) -> dict[str, dict[str, list[Path]]]:
    """Files of Task 2 anywhere below a folder, by participant and kind (``T2S, T1, CMB``)."""
    found: dict[str, dict[str, list[Path]]] = {}
    for folder, _, names in os.walk(valdo_dir, followlinks=True):
        for name in names:
            match = NAME.fullmatch(name)
            if match:
                kinds = found.setdefault(match["label"], {kind: [] for kind in KINDS})
                # The T2w tells that there is a participant, and is left where it is.
                kinds.setdefault(match["kind"], []).append(Path(folder) / name)
    return {label: found[label] for label in sorted(found)}


def read_participant(label: str, files: Mapping[str, Sequence[Path]]) -> ValdoParticipant:
    """Read the files of one participant and bring them onto one grid.

    Values that are not finite become 0, and headers that differ a little give way to that of the
    T2*w; both are noted.

    Parameters
    ----------
    label
        As the files have it.
    files
        By kind (``T2S``, ``T1``, ``CMB``); there should be one of each.

    Raises
    ------
    DataError
        A file is missing, there twice, unreadable, empty, or on another grid; the mask is none.
    """
    paths = {kind: _only(kind, files[kind]) for kind in KINDS}
    notes: list[str] = []
    data: dict[str, npt.NDArray[np.float32]] = {}
    t2star = read_volume(paths["T2S"])
    if cohort_of(label) is None:
        notes.append(f"{label} is no number of a known study: its field strength is not stated")
    if note := _stated_twice(paths["T2S"], t2star.data.shape):
        notes.append(note)
    for kind, path in paths.items():
        volume = t2star if kind == "T2S" else read_volume(path)
        values = volume.data
        if values.shape != t2star.data.shape:
            raise DataError(
                f"{path} has shape {values.shape}, {paths['T2S']} has {t2star.data.shape}; "
                "resample it to the T2S image"
            )
        difference = header_difference(values.shape, t2star.affine, volume.affine)
        if not difference.is_small:
            raise DataError(
                f"{path} does not lie on {paths['T2S']}: their headers differ by {difference}; "
                "resample it, or correct its header"
            )
        if not difference.is_rounding:
            notes.append(f"{kind}: header differed by {difference}; that of T2S is used")
        lacking = ~np.isfinite(values)
        if lacking.any():
            notes.append(f"{kind}: {int(lacking.sum())} voxels were not finite, now 0")
        data[kind] = np.where(lacking, np.float32(0), values)
        if kind != "CMB" and data[kind].min() == data[kind].max():
            raise DataError(f"{path} is empty: every voxel has the same value")
    try:
        instances, note = lesion_instances(data["CMB"])
    except ValueError as error:
        raise DataError(f"{paths['CMB']} is no mask of microbleeds: {error}") from error
    if note:
        notes.append(f"CMB: {note}")
    return ValdoParticipant(
        label=label,
        t2star=data["T2S"],
        t1w=data["T1"],
        instances=instances,
        affine=t2star.affine,
        notes=tuple(notes),
    )


def _only(kind: str, paths: Sequence[Path]) -> Path:
    if not paths:
        raise DataError(f"no file *_{kind}.nii.gz; fetch it")
    if len(paths) > 1:
        listed = ", ".join(str(path) for path in sorted(paths))
        raise DataError(f"{len(paths)} files for {kind}: {listed}; leave one")
    return paths[0]


def _stated_twice(path: Path, shape: tuple[int, ...]) -> str | None:
    """A note where the two affines of a NIfTI header disagree."""
    header: Any = nib.load(path).header
    try:
        sform, qform = header.get_sform(coded=True)[0], header.get_qform(coded=True)[0]
        if sform is None or qform is None:
            return None
        difference = header_difference(shape, sform, qform)
    except (HeaderDataError, ValueError):
        return "T2S: its qform is damaged; the sform is used"
    if difference.is_rounding:
        return None
    return f"T2S: its sform and qform differ by {difference}; the sform is used"
