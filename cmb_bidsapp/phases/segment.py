"""Preprocessed images -> CMB probability and predicted classes (paper, 2.1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cmb_bidsapp.bids.derivatives import SessionFiles, raw_uri
from cmb_bidsapp.bids.images import read_derivative, read_labels
from cmb_bidsapp.bids.inputs import Session
from cmb_bidsapp.bids.outputs import write_image
from cmb_bidsapp.bids.tables import write_dseg
from cmb_bidsapp.core.labels import PROXY_LOOK
from cmb_bidsapp.lesions.segment import LesionNetwork, slices_are, unfamiliar_voxels, with_regions
from cmb_bidsapp.models.registry import lesion_model_parameters, load_lesion_model
from cmb_bidsapp.phases.base import Phase, Result, Step
from cmb_bidsapp.settings import Settings

#: Lower probabilities are written as 0: their noise would fill a hundred times the disk space.
NEGLIGIBLE = 1e-3


def segment(session: Session, files: SessionFiles, settings: Settings, step: Step) -> Result:
    """Preprocessed images -> CMB probability and predicted classes (paper, 2.1)."""
    step("loading the lesion network")
    model = load_lesion_model(settings.lesions.model, settings.lesions.folds)
    network = LesionNetwork(model, settings.resources.device, mirror=settings.lesions.tta)
    step("segmentation")
    t2star, affine = read_derivative(files.t2star)
    available = {"T2starw": files.t2star}
    if session.t1w is not None:
        available["T1w"] = files.t1w_on_t2star
    used = [contrast for contrast in model.card.channels if contrast in available]
    t1w = read_derivative(available["T1w"])[0] if "T1w" in used else None
    result = network(t2star, t1w, affine)
    sources = [files.uri(available[contrast]) for contrast in used]
    sidecar = {
        "Sources": sources,
        "SpatialReference": raw_uri(settings.bids_dir, session.t2star.path),
        "Model": model.name,
        "ModelSHA256": model.sha256,
        "ModelLicense": model.card.licence,
        "Channels": used,
    }
    probability = np.where(result.cmb_probability < NEGLIGIBLE, 0, result.cmb_probability)
    write_image(files.probability, probability.astype(np.float32), affine, sidecar)
    labels, notes = result.labels, list(model.notes)
    lie, why = slices_are(affine), None
    if not model.classes.regions:
        why = "the lesion model predicts no brain regions"
    elif lie != "axial":
        # A microbleed looks the same from everywhere, a region does not.
        why = f"slices are {lie}, which the lesion model may not know (expect more errors)"
    if why:
        labels = with_regions(labels, read_labels(files.proxy)[0])
        sidecar["Sources"] = [*sources, files.uri(files.proxy)]
        notes.append(f"{why}: false-positive reduction (CFPR) uses the regions of the anatomy")
    if model.training_voxels is not None:
        notes += unfamiliar_voxels(affine, model.training_voxels)
    written = write_dseg(files.network_labels, labels, affine, PROXY_LOOK, sidecar)
    return Result(
        (files.probability, *written),
        {
            "lesion_model": model.name,
            "lesion_model_sha256": model.sha256,
            "lesion_model_licence": model.card.licence,
        },
        tuple(notes),
    )


def _segment_inputs(session: Session, files: SessionFiles, _: Settings) -> list[Path]:
    made = [files.t2star, files.proxy]
    return made + ([files.t1w_on_t2star] if session.t1w is not None else [])


def _segment_parameters(settings: Settings, session: Session) -> dict[str, Any]:
    return {
        "version": 5,
        "model": lesion_model_parameters(settings.lesions.model, settings.lesions.folds),
        "tta": settings.lesions.tta,
        "t1w": session.t1w is not None,
    }


SEGMENT = Phase("segment", segment, _segment_inputs, _segment_parameters)
