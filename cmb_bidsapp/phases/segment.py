"""Preprocessed images -> CMB probability and predicted classes (paper, 2.1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cmb_bidsapp.bids.derivatives import SessionFiles, raw_uri
from cmb_bidsapp.bids.images import read_derivative
from cmb_bidsapp.bids.inputs import Session
from cmb_bidsapp.bids.outputs import write_dseg, write_image
from cmb_bidsapp.labels import PROXY_LOOK
from cmb_bidsapp.models.registry import load_bundle, load_card
from cmb_bidsapp.phases.base import Phase, Result, Step
from cmb_bidsapp.settings import Settings


def segment(session: Session, files: SessionFiles, settings: Settings, step: Step) -> Result:
    """Preprocessed images -> CMB probability and predicted classes (paper, 2.1)."""
    from cmb_bidsapp.lesions.segment import LesionNetwork, unfamiliar_voxels

    step("loading the lesion network")
    bundle = load_bundle(settings.lesions.model)
    network = LesionNetwork(bundle, settings.resources.device, mirror=settings.lesions.tta)
    step("segmentation")
    t2star, affine = read_derivative(files.t2star)
    t1w = read_derivative(files.t1w_on_t2star)[0] if session.t1w is not None else None
    result = network(t2star, t1w, affine)
    sidecar = {
        "Sources": [files.uri(files.t2star)]
        + ([files.uri(files.t1w_on_t2star)] if session.t1w is not None else []),
        "SpatialReference": raw_uri(settings.bids_dir, session.t2star.path),
        "Model": bundle.name,
        "ModelSHA256": bundle.sha256,
        "Channels": ["T2starw", "T1w"] if session.t1w is not None else ["T2starw"],
    }
    write_image(files.probability, result.cmb_probability, affine, sidecar)
    written = write_dseg(files.network_labels, result.labels, affine, PROXY_LOOK, sidecar)
    return Result(
        (files.probability, *written),
        {"lesion_model": bundle.name, "lesion_model_sha256": bundle.sha256},
        tuple(unfamiliar_voxels(affine, bundle.json("dataset.json"))),
    )


def _segment_inputs(session: Session, files: SessionFiles) -> list[Path]:
    return [files.t2star] + ([files.t1w_on_t2star] if session.t1w is not None else [])


def _segment_parameters(settings: Settings, session: Session) -> dict[str, Any]:
    return {
        "version": 2,
        "model": load_card(settings.lesions.model)["files"],
        "tta": settings.lesions.tta,
        "t1w": session.t1w is not None,
    }


SEGMENT = Phase("segment", segment, _segment_inputs, _segment_parameters)
