"""Steps of the phase that measures what is found of simulated microbleeds in a session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.images import load_header
from cmb_bidsapp.bids.inputs import Session
from cmb_bidsapp.bids.outputs import read_sidecar, sidecar_of
from cmb_bidsapp.core.decisions import Decisions
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.lesions.axes import slices_are
from cmb_bidsapp.lesions.segment import LesionNetwork, why_not_its_regions
from cmb_bidsapp.models.nnunet import LesionModel
from cmb_bidsapp.models.registry import lesion_model_parameters
from cmb_bidsapp.sensitivity.background import Background, read_background
from cmb_bidsapp.sensitivity.measure import Chain
from cmb_bidsapp.settings import Settings


def decisions_of(files: SessionFiles) -> Decisions:
    """How a session's candidates were decided on.

    Raises
    ------
    DataError
        Its sidecar does not tell.
    """
    plain = read_sidecar(files.mask).get("Decisions", {})
    if not plain:
        raise DataError(
            f"{files.mask}: no Decisions in its sidecar; run the participant level again"
        )
    return Decisions.written(plain)


def read_scan(files: SessionFiles) -> Background:
    """Read a session to draw microbleeds into.

    Raises
    ------
    DataError
        Its slices are not axial: simulated microbleeds are drawn for such only.
    """
    lie = slices_are(load_header(files.t2star)[0].affine)
    if lie != "axial":
        raise DataError(
            f"{files.t2star}: slices are {lie}; sensitivity is measured in axial ones only"
        )
    return read_background(files, None)


def chain_of(
    model: LesionModel, scan: Background, files: SessionFiles, settings: Settings
) -> Chain:
    """The decisions as the session's results were made with.

    Parameters
    ----------
    model
        The one that made the results.
    scan
        Its slices say whose regions CFPR goes by.
    files
        The session's derivatives; sidecars tell what was decided by.
    settings
        On which device the network runs.
    """
    mirrored = bool(read_sidecar(files.probability).get("Mirrored", True))
    return Chain(
        network=LesionNetwork(model, settings.resources.device, mirror=mirrored),
        own_regions=why_not_its_regions(model.classes, scan.affine) is None,
        decisions=decisions_of(files),
    )


def sensitivity_inputs(_session: Session, files: SessionFiles, _: Settings) -> list[Path]:
    """What a session's results are, and the images they were made of."""
    made = [
        files.t2star,
        files.structures,
        files.proxy,
        files.probability,
        files.raw_mask,
        files.mask,
    ]
    made += [sidecar_of(path) for path in (files.t2star, files.probability, files.mask)]
    return made + ([files.t1w_on_t2star] if files.t1w_on_t2star.exists() else [])


def sensitivity_parameters(settings: Settings, _: Session) -> dict[str, Any]:
    """Everything but inputs and code that the results depend on."""
    return {
        "model": lesion_model_parameters(settings.lesions.model, settings.lesions.folds),
        "draws": settings.sensitivity,
        "seed": settings.seed,
    }
