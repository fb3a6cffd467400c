"""Steps of the phase that runs the lesion network (paper, 2.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cmb_bidsapp.bids.derivatives import SessionFiles, raw_uri
from cmb_bidsapp.bids.images import read_derivative, read_labels
from cmb_bidsapp.bids.inputs import Session
from cmb_bidsapp.bids.outputs import write_image
from cmb_bidsapp.bids.tables import write_dseg
from cmb_bidsapp.core.arrays import Affine, Image, Regions
from cmb_bidsapp.core.contrast import Contrast
from cmb_bidsapp.core.labels import PROXY_LOOK
from cmb_bidsapp.lesions.axes import unfamiliar_voxels
from cmb_bidsapp.lesions.segment import Segmentation, why_not_its_regions, with_regions
from cmb_bidsapp.lesions.tissues import tissues_on
from cmb_bidsapp.models.nnunet import LesionModel
from cmb_bidsapp.models.registry import lesion_model_parameters
from cmb_bidsapp.phases.base import Result
from cmb_bidsapp.settings import Settings

#: Lower probabilities are written as 0: their noise would fill a hundred times the disk space.
NEGLIGIBLE = 1e-3


@dataclass(frozen=True, eq=False, kw_only=True)
class Channels:
    """What a lesion model is given on the T2*w grid, and the files of the images by contrast."""

    t2star: Image
    t1w: Image | None
    tissues: Regions
    affine: Affine
    used: Mapping[str, Path]


def read_channels(model: LesionModel, session: Session, files: SessionFiles) -> Channels:
    """Read the T2*w with its tissues, and the T1w where there is one and the model takes it.

    Parameters
    ----------
    model
        Which contrasts it takes.
    session
        Whether it has a T1w.
    files
        The session's derivatives.
    """
    t2star = read_derivative(files.t2star)
    on_grid = {Contrast.T2STARW: files.t2star, Contrast.T1W: files.t1w_on_t2star}
    available = {str(contrast): on_grid[contrast] for contrast in session.scans}
    used = {name: available[name] for name in model.card.channels if name in available}
    t1w = read_derivative(used[Contrast.T1W]).data if Contrast.T1W in used else None
    return Channels(
        t2star=t2star.data,
        t1w=t1w,
        tissues=tissues_on(read_labels(files.structures), t2star),
        affine=t2star.affine,
        used=used,
    )


def write_segmentation(
    found: Segmentation,
    model: LesionModel,
    images: Channels,
    session: Session,
    files: SessionFiles,
    settings: Settings,
) -> Result:
    """Write probability and classes: those of the anatomy where the model's are not used.

    Parameters
    ----------
    found
        Probability and classes on the T2*w grid.
    model
        What made them.
    images
        What they were made of.
    session
        Its raw images, for the sidecars.
    files
        The session's derivatives.
    settings
        Device and averaging, for the sidecars.
    """
    # torch: the parent process, which only compares stamps, does without it.
    from cmb_bidsapp.models.device import arithmetic_of

    sources = [files.uri(path) for path in (*images.used.values(), files.structures)]
    labels, notes = found.labels, list(model.notes)
    why = why_not_its_regions(model.classes, images.affine)
    if why:
        labels = with_regions(labels, read_labels(files.proxy).data)
        notes.append(f"{why}; CFPR uses the regions of the anatomy instead")
    if model.training_voxels is not None:
        notes += unfamiliar_voxels(images.affine, model.training_voxels)
    sidecar = {
        "Sources": sources,
        "SpatialReference": raw_uri(settings.bids_dir, session.t2star.path),
        "Model": model.name,
        "ModelSHA256": model.sha256,
        "ModelLicense": model.card.license,
        "Channels": list(images.used),
        "Mirrored": settings.lesions.tta and bool(model.card.mirror_axes),
        "Device": settings.resources.device,
        "Arithmetic": arithmetic_of(settings.resources.device),
    }
    probability = np.where(found.cmb_probability < NEGLIGIBLE, 0, found.cmb_probability)
    about = {**sidecar, "Notes": notes}
    write_image(files.probability, probability.astype(np.float32), images.affine, about)
    if why:
        sidecar["Sources"] = [*sources, files.uri(files.proxy)]
    written = write_dseg(files.network_labels, labels, images.affine, PROXY_LOOK, sidecar)
    return Result((files.probability, *written), tuple(notes))


def segment_inputs(session: Session, files: SessionFiles, _: Settings) -> list[Path]:
    """Images on the T2*w grid, their structures, and their regions.

    Parameters
    ----------
    session
        Session; it tells whether there is a T1w.
    files
        Paths of the session's derivatives.
    """
    made = [files.t2star, files.structures, files.proxy]
    return made + ([files.t1w_on_t2star] if session.t1w is not None else [])


def segment_parameters(settings: Settings, session: Session) -> dict[str, Any]:
    """Everything but inputs and code that the results depend on.

    Parameters
    ----------
    settings
        Settings of the run.
    session
        Session; it tells whether there is a T1w.
    """
    return {
        "model": lesion_model_parameters(settings.lesions.model, settings.lesions.folds),
        "tta": settings.lesions.tta,
        "t1w": session.t1w is not None,
    }
