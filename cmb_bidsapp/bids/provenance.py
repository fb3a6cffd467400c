"""How the results of a session came about, as the sidecars of its images tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import read_sidecar, write_json
from cmb_bidsapp.bids.text import read_json


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What a report prints and a follow-up compares; empty where a sidecar does not tell.

    Attributes
    ----------
    voxel_size
        Of the T2*w, mm.
    brain_volumes
        Brain with its CSF, ml, by contrast (``T2starw``, ``T1w``).
    registration
        Of the T1w to the T2*w: ``MaskDice``, ``MutualInformation``, ``Start``, ``Attempts``.
    parcellation
        Who made it, in words.
    mirrored
        Whether the lesion network has averaged over mirrored images.
    decisions
        Fields of :class:`cmb_bidsapp.core.decisions.Decisions`.
    notes
        What a person must know, in the order of the phases.
    """

    voxel_size: tuple[float, ...] = ()
    brain_extraction: str = ""
    brain_volumes: Mapping[str, float] = field(default_factory=dict)
    registration: Mapping[str, Any] = field(default_factory=dict)
    parcellation: str = ""
    anatomy_model: str = ""
    lesion_model: str = ""
    lesion_model_sha256: str = ""
    lesion_model_license: str = ""
    mirrored: bool = False
    decisions: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether both networks have left their names."""
        return bool(self.anatomy_model and self.lesion_model)


def read_provenance(files: SessionFiles) -> Provenance:
    """Read the sidecars of a session."""
    t2star, probability = read_sidecar(files.t2star), read_sidecar(files.probability)
    mask = read_sidecar(files.mask)
    return Provenance(
        voxel_size=tuple(t2star.get("VoxelSize", ())),
        brain_extraction=t2star.get("BrainExtraction", ""),
        brain_volumes=t2star.get("BrainVolumes", {}),
        registration=t2star.get("Registration", {}),
        parcellation=read_sidecar(files.proxy).get("Parcellation", ""),
        anatomy_model=t2star.get("AnatomyModel", ""),
        lesion_model=probability.get("Model", ""),
        lesion_model_sha256=probability.get("ModelSHA256", ""),
        lesion_model_license=probability.get("ModelLicense", ""),
        mirrored=probability.get("Mirrored", False),
        decisions=mask.get("Decisions", {}),
        notes=tuple(n for one in (t2star, probability, mask) for n in one.get("Notes", ())),
    )


def read_notes(files: SessionFiles) -> tuple[str, ...]:
    """What a person must know of a session; that a sidecar is damaged is one of these things."""
    try:
        return read_provenance(files).notes
    except (OSError, ValueError) as error:
        return (str(error),)


def write_seconds(files: SessionFiles, phase: str, steps: Mapping[str, float]) -> None:
    """Keep how long each step of a phase took.

    Parameters
    ----------
    files
        The session's derivatives.
    phase
        Its name.
    steps
        Seconds by step, in order.
    """
    write_json(files.seconds, {**_seconds(files), phase: steps})


def read_seconds(files: SessionFiles) -> dict[str, float]:
    """Time of each step of a session; empty where no log tells."""
    return {step: s for steps in _seconds(files).values() for step, s in steps.items()}


def _seconds(files: SessionFiles) -> dict[str, dict[str, float]]:
    try:
        return read_json(files.seconds)
    except (OSError, ValueError):
        return {}
