"""How a T2*w image was acquired: BIDS keys in its sidecar, one word for each of them in tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.inputs import Scan, is_swi
from cmb_bidsapp.bids.outputs import read_sidecar, sidecar_of
from cmb_bidsapp.bids.sidecars import number_of
from cmb_bidsapp.bids.typed import column

#: Keys of a raw sidecar that the sidecar of the preprocessed image repeats.
ACQUISITION = (
    "InstitutionName",
    "Manufacturer",
    "ManufacturersModelName",
    "MagneticFieldStrength",
    "PulseSequenceType",
    "ScanningSequence",
    "EchoTime",
    "RepetitionTime",
    "FlipAngle",
    "SliceThickness",
    "SpacingBetweenSlices",
)


class SequenceKind(StrEnum):
    """Kind of a T2*w sequence, by the BIDS suffix, or ``swi`` whatever suffix an SWI goes by."""

    T2STARW = "T2starw"
    MEGRE = "MEGRE"
    GRE = "GRE"
    SWI = "swi"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What makes the counts of two sessions comparable; ``None`` where it is not known.

    Each field is a column of the group's tables, which its metadata describe.
    """

    sequence: SequenceKind = column(
        "swi, or the BIDS suffix of the T2*w image; unknown if not recorded, or if the suffix is "
        "not one of a T2*w image. Counts of SWI and GRE differ",
        required=True,
    )
    field_strength: float | None = column("Field strength", "T")
    echo_time: float | None = column("Echo time", "s")
    slice_distance: float | None = column("Largest voxel side", "mm")


def sequence_of(scan: Scan) -> SequenceKind:
    """Kind of a T2*w image; a suffix that only a filter file lets in is of an unknown kind."""
    if is_swi(scan):
        return SequenceKind.SWI
    suffix = scan.entities.get("suffix")
    known = {kind.value: kind for kind in SequenceKind}
    return known.get(str(suffix), SequenceKind.UNKNOWN)


def acquisition_of(scan: Scan) -> dict[str, Any]:
    """What of a raw sidecar goes into that of the preprocessed image."""
    return {key: scan.metadata[key] for key in ACQUISITION if key in scan.metadata}


def t2star_acquisition(scan: Scan, spacing: Sequence[float]) -> dict[str, Any]:
    """Keys of the sidecar of the preprocessed T2*w that :func:`read_protocol` reads, and more.

    Parameters
    ----------
    scan
        The raw T2*w image.
    spacing
        Voxel size, mm.
    """
    facts = {"SequenceKind": sequence_of(scan).value, "VoxelSize": list(map(float, spacing))}
    return {**acquisition_of(scan), **facts}


def read_protocol(files: SessionFiles) -> Protocol:
    """Read from the sidecar of the preprocessed T2*w; what is missing there is not known.

    Raises
    ------
    OSError, ValueError
        The sidecar cannot be read, or its kind of sequence is none of ours; the text names it.
    """
    sidecar = read_sidecar(files.t2star)
    try:
        return protocol_of(sidecar)
    except ValueError as error:
        raise ValueError(f"{sidecar_of(files.t2star).name}: {error}") from error


def protocol_of(sidecar: Mapping[str, Any]) -> Protocol:
    """The protocol that a sidecar tells.

    Raises
    ------
    ValueError
        Its kind of sequence is none of ours: a guess would pool scans that cannot be compared.
    """
    known = {kind.value: kind for kind in SequenceKind}
    told = sidecar.get("SequenceKind")
    sequence = SequenceKind.UNKNOWN if told is None else known.get(str(told))
    if sequence is None:
        raise ValueError(f"SequenceKind {told!r}: expected one of {', '.join(SequenceKind)}")
    sides = sidecar.get("VoxelSize")
    numbers = [number_of(side) for side in sides] if isinstance(sides, list) else []
    return Protocol(
        sequence=sequence,
        field_strength=number_of(sidecar.get("MagneticFieldStrength")),
        echo_time=number_of(sidecar.get("EchoTime")),
        slice_distance=max((side for side in numbers if side is not None), default=None),
    )
