"""Steps of the phase ``decide`` that read the phase image of a session, and write what it shows.

A phase image is an extra: one that cannot be used is told, and the session goes on without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmb_bidsapp.bids.derivatives import SessionFiles, raw_uri
from cmb_bidsapp.bids.images import read_labels, read_volume
from cmb_bidsapp.bids.inputs import Scan, Session
from cmb_bidsapp.bids.outputs import remove, write_image
from cmb_bidsapp.core.arrays import Affine, Image, Volume
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.lesions.convention import find_convention
from cmb_bidsapp.lesions.phase import Convention, PhaseImage, to_radians
from cmb_bidsapp.lesions.tissues import structures_on
from cmb_bidsapp.preprocess.resampling import Grid
from cmb_bidsapp.preprocess.swi import SMOOTH_MM, homodyne, susceptibility_weighted
from cmb_bidsapp.settings import Settings

#: How the phase goes with the field, by the sign of a convention.
IN_WORDS: Mapping[int, str] = {1: "rises with the field", -1: "falls with the field"}


@dataclass(frozen=True)
class UsablePhase:
    """A phase image that can be used, and what was found about its sign."""

    image: PhaseImage
    convention: Convention


def phase_facts(scan: Scan) -> dict[str, Any]:
    """What results depend on besides the content of a phase image."""
    return {"units": scan.metadata.get("Units"), "problem": scan.problem}


def read_phase(
    session: Session, files: SessionFiles, t2star: Image, affine: Affine, notes: list[str]
) -> UsablePhase | None:
    """Read and filter the phase image of a session.

    Parameters
    ----------
    session
        Session whose phase image is read, where it has one.
    files
        The session's derivatives: structures help to find the sign.
    t2star, affine
        Preprocessed T2*w, which it must have the grid of.
    notes
        Gets why it cannot be used, or that its sign is not sure.

    Returns
    -------
    phase
        Filtered phase and its sign convention; ``None`` where there is no phase that can be used.
    """
    scan = session.phase
    if scan is None:
        return None
    try:
        if scan.problem:
            raise DataError(scan.problem)
        read = read_volume(scan.path)
        if not Grid.of(read.data, read.affine).is_same_as(Grid.of(t2star, affine)):
            raise DataError("its grid is not that of the T2*w")
        radians = to_radians(read.data, str(scan.metadata.get("Units", "")))
    except (DataError, OSError, ValueError) as error:
        notes.append(f"{scan.path.name}: phase not used: {error}")
        return None
    image = PhaseImage(t2star, homodyne(t2star, radians, affine), affine)
    structures = structures_on(read_labels(files.structures), Volume(t2star, affine))
    convention = find_convention(image, structures)
    if not convention.sign:
        notes.append(
            f"{scan.path.name}: no phase sign assigned, because the scanner's sign convention is "
            f"uncertain: of {convention.pieces} dark structures {convention.agreeing:.0%} agree, "
            f"and the correlation with the iron of the nuclei is {convention.nuclei:.2f}"
        )
    return UsablePhase(image, convention)


def write_phase(
    phase: UsablePhase | None, session: Session, files: SessionFiles, settings: Settings
) -> list[Path]:
    """Write the filtered phase and the susceptibility-weighted image; earlier ones go.

    Parameters
    ----------
    phase
        ``None`` where there is none that can be used.
    session
        Its raw images, for the sidecars.
    files
        The session's derivatives.
    settings
        Where the dataset lies.
    """
    for earlier in (files.phase, files.swi):
        remove(earlier)
    if phase is None or session.phase is None:
        return []
    raw = raw_uri(settings.bids_dir, session.phase.path)
    about = {
        "Sources": [raw, files.uri(files.t2star)],
        "SpatialReference": raw_uri(settings.bids_dir, session.t2star.path),
        "SkullStripped": True,
    }
    found = phase.convention
    sign = {
        "PhaseConvention": IN_WORDS.get(found.sign, "not sure"),
        "PhaseStructures": found.pieces,
        "PhaseStructuresAgreeing": found.agreeing,
        "PhaseNucleiCorrelation": found.nuclei,
    }
    filtered = {
        "Units": "rad",
        "PhaseFilter": f"homodyne, Gaussian of {SMOOTH_MM:g} mm (standard deviation) in plane",
    }
    image = phase.image
    write_image(files.phase, image.passed, image.affine, {**about, **filtered, **sign})
    if not found.sign:
        return [files.phase]
    weighted = susceptibility_weighted(image.magnitude, image.passed, found.sign)
    write_image(files.swi, weighted, image.affine, {**about, **sign})
    return [files.phase, files.swi]
