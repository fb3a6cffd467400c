"""Raw images -> preprocessed images, brain masks, transform, regions (paper, 3.2 and 2.1)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cmb_bidsapp.anatomy.quality import (
    brain_measures,
    region_measures,
    registration_measures,
    share_shown,
    warnings,
)
from cmb_bidsapp.bids.derivatives import SessionFiles, raw_uri
from cmb_bidsapp.bids.images import read_image
from cmb_bidsapp.bids.inputs import Scan, Session
from cmb_bidsapp.bids.outputs import atomic, write_image
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.models.registry import load_bundle, load_card
from cmb_bidsapp.phases.base import Head, Phase, Result, Step
from cmb_bidsapp.phases.regions import (
    find_or_make,
    label_head,
    reused_files,
    write_quality,
    write_regions,
)
from cmb_bidsapp.preprocess.ants import write_linear
from cmb_bidsapp.preprocess.bias import correct_bias
from cmb_bidsapp.preprocess.brain import choose_brain_extraction, run_synthstrip
from cmb_bidsapp.preprocess.registration import Registration, register_rigid
from cmb_bidsapp.preprocess.resampling import IDENTITY, Affine, Grid, resample
from cmb_bidsapp.settings import Settings

if TYPE_CHECKING:  # torch
    from cmb_bidsapp.anatomy.network import AnatomyNetwork, Contrast


def prepare(session: Session, files: SessionFiles, settings: Settings, step: Step) -> Result:
    """Raw images -> preprocessed images, brain masks, transform, proxy labels (paper, 3.2)."""
    # torch: the parent process, which only compares stamps, does without it.
    from cmb_bidsapp.anatomy.network import AnatomyNetwork

    if session.problem:
        raise DataError(session.problem)
    notes: list[str] = []
    # First of all: a program or licence that is not there must not be missed after minutes.
    parcellation = find_or_make(session, settings, step, notes)
    step("loading the anatomy network")
    bundle = load_bundle(settings.anatomy.model)
    network = AnatomyNetwork(bundle, settings.resources.device)
    head = t2star = _strip(session.t2star, "T2starw", network, settings, step)
    outputs = _write_head(files.t2star, files.t2star_brain, t2star)
    info: dict[str, Any] = {
        "brain_extraction": t2star.about["BrainExtraction"],
        "anatomy_model": bundle.name,
        "t2star_brain_ml": t2star.brain_ml,
    }
    pull, space = IDENTITY, "T2starw"
    measures = brain_measures("T2starw", t2star.brain, t2star.grid.spacing)
    if session.t1w is not None:
        head, space = _strip(session.t1w, "T1w", network, settings, step), "T1w"
        outputs += _write_head(files.t1w, files.t1w_brain, head)
        info["t1w_brain_ml"] = head.brain_ml
        step("registration of T1w to T2*w")
        found = _register(t2star, head, settings.seed)
        pull = found.pull
        outputs += _write_moved(t2star, head, pull, files)
        measured = {key: value for key, value in vars(found).items() if key != "pull"}
        info["registration"] = {**measured, "good": found.good}
        shown = share_shown(head.brain, head.affine, t2star.grid, pull=pull)
        measures += brain_measures("T1w", head.brain, head.grid.spacing)
        measures += registration_measures(found.mask_dice, found.mutual_information, shown)
    labelled = label_head(head, parcellation, settings, step, notes)
    info["parcellation"] = labelled.source
    step("proxy and MARS labels")
    path = files.parcellation(space)
    outputs += write_regions(labelled, head, t2star, pull, path, files, settings)
    measures += region_measures(labelled)
    outputs += write_quality(measures, files)
    return Result(tuple(outputs), info, (*notes, *warnings(measures)))


def _strip(
    scan: Scan, contrast: Contrast, network: AnatomyNetwork, settings: Settings, step: Step
) -> Head:
    """Read an image, find its brain, correct its bias."""
    backend = choose_brain_extraction(settings.anatomy.brain_extraction)
    step(f"brain extraction of {contrast}")
    data, affine = read_image(scan.path)
    anatomy = network(data, affine, contrast)
    if backend == "synthstrip":
        brain = run_synthstrip(data, affine)
    else:
        brain = anatomy.brain_mask(Grid.of(data, affine))
    if not brain.any():
        raise DataError(f"{scan.path}: no brain was found; is it a head, and its affine right?")
    step(f"bias correction of {contrast}")
    uri = raw_uri(settings.bids_dir, scan.path)
    about = {"Sources": [uri], "SpatialReference": uri, "BrainExtraction": backend}
    return Head(correct_bias(data, affine, brain) * brain, affine, brain, anatomy, about)


def _write_head(image: Path, mask: Path, head: Head) -> list[Path]:
    write_image(image, head.data, head.affine, {**head.about, "SkullStripped": True})
    write_image(mask, head.brain.astype(np.uint8), head.affine, {**head.about, "Type": "Brain"})
    return [image, mask]


def _register(t2star: Head, t1w: Head, seed: int) -> Registration:
    fixed = t2star.data, t2star.affine, t2star.brain
    return register_rigid(*fixed, t1w.data, t1w.affine, t1w.brain, seed=seed)


def _write_moved(t2star: Head, t1w: Head, pull: Affine, files: SessionFiles) -> list[Path]:
    """Write the transform, and the T1w on the T2*w grid."""
    with atomic(files.transform) as beside:
        write_linear(pull, beside)
    moved = resample(t1w.data, t1w.affine, t2star.grid, pull=pull) * t2star.brain
    about = {
        **t2star.about,
        "Sources": [*t1w.about["Sources"], files.uri(files.transform)],
        "SkullStripped": True,
    }
    write_image(files.t1w_on_t2star, moved, t2star.affine, about)
    return [files.transform, files.t1w_on_t2star]


def _prepare_inputs(session: Session, _: SessionFiles, settings: Settings) -> list[Path]:
    if session.problem:
        # Nothing of it is read, not even for a checksum: it may be a pipe.
        return []
    scans = [scan.path for scan in (session.t2star, session.t1w) if scan is not None]
    return scans + reused_files(settings, session)


def _prepare_parameters(settings: Settings, session: Session) -> dict[str, Any]:
    extraction = choose_brain_extraction(settings.anatomy.brain_extraction)
    return {
        "version": 5,
        "brain_extraction": extraction,
        "parcellation": settings.anatomy.parcellation,
        "proxy_rules": settings.anatomy.proxy_rules,
        "model": load_card(settings.anatomy.model).files,
        "seed": settings.seed,
        # What was accepted once may be refused now.
        **({"problem": session.problem} if session.problem else {}),
    }


PREPARE = Phase("prepare", prepare, _prepare_inputs, _prepare_parameters)
