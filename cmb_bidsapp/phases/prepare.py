"""Steps of the phase that takes raw images to brains on one grid (paper, 3.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cmb_bidsapp.anatomy.parcellation import Parcellation
from cmb_bidsapp.anatomy.quality import (
    Measure,
    brain_measures,
    contrast_measures,
    impossible,
    region_measures,
    registration_measures,
    share_shown,
)
from cmb_bidsapp.anatomy.recognition import certainty, fluid_brightness, why_not
from cmb_bidsapp.bids.derivatives import SessionFiles, raw_uri
from cmb_bidsapp.bids.images import read_image
from cmb_bidsapp.bids.inputs import Scan, Session
from cmb_bidsapp.bids.outputs import atomic, write_image
from cmb_bidsapp.bids.protocol import acquisition_of, sequence_of, t2star_acquisition
from cmb_bidsapp.bids.tables import write_dseg
from cmb_bidsapp.core.arrays import Affine, Volume
from cmb_bidsapp.core.contrast import Contrast
from cmb_bidsapp.core.errors import RefusedScanError
from cmb_bidsapp.core.labels import structure_look
from cmb_bidsapp.models.registry import load_bundle, load_card
from cmb_bidsapp.phases.base import PreparedHead, Step
from cmb_bidsapp.phases.regions import reused_files
from cmb_bidsapp.preprocess.ants import write_linear
from cmb_bidsapp.preprocess.bias import correct_bias
from cmb_bidsapp.preprocess.brain import BrainImage, choose_brain_extraction, run_synthstrip
from cmb_bidsapp.preprocess.registration import Registration, register_rigid
from cmb_bidsapp.preprocess.resampling import Grid, resample
from cmb_bidsapp.settings import Settings

if TYPE_CHECKING:  # torch
    from cmb_bidsapp.anatomy.network import AnatomyNetwork


def refuse_unusable(session: Session) -> None:
    """Stop before anything is read, where names or headers have told that it cannot be used.

    Raises
    ------
    RefusedScanError
        Why it cannot.
    """
    if session.problem:
        raise RefusedScanError(session.problem)


def load_network(settings: Settings) -> AnatomyNetwork:
    """The anatomy network that the settings name, ready for both images."""
    # torch: the parent process, which only compares stamps, does without it.
    from cmb_bidsapp.anatomy.network import AnatomyNetwork

    return AnatomyNetwork(load_bundle(settings.anatomy.model), settings.resources.device)


def strip(
    scan: Scan, contrast: Contrast, network: AnatomyNetwork, settings: Settings, step: Step
) -> PreparedHead:
    """Read an image, find its brain, correct its bias.

    Parameters
    ----------
    scan
        The raw image.
    contrast
        What it is weighted with.
    network
        Sees brain and regions, whichever program finds the brain.
    settings
        Which program finds the brain.
    step
        Is told what begins.
    """
    backend = choose_brain_extraction(settings.anatomy.brain_extraction)
    step(f"brain extraction of {contrast}")
    read = read_image(scan.path)
    anatomy = network(read, contrast)
    if backend == "synthstrip":
        brain = run_synthstrip(read)
    else:
        brain = anatomy.brain_mask(Grid.of(read.data, read.affine))
    if not brain.any():
        raise RefusedScanError(
            f"{scan.path}: no brain was found; check that it shows a head and that its affine is "
            "correct"
        )
    head = BrainImage(read.data, read.affine, brain)
    why = why_not(head, contrast, network, anatomy=anatomy)
    if why:
        raise RefusedScanError(
            f"{scan.path} {why}; look at it and convert it again, or leave it out"
        )
    step(f"bias correction of {contrast}")
    uri = raw_uri(settings.bids_dir, scan.path)
    about = {
        "Sources": [uri],
        "SpatialReference": uri,
        "BrainExtraction": backend,
        "AnatomyModel": network.model,
    }
    return PreparedHead(
        data=correct_bias(head) * brain,
        affine=head.affine,
        brain=brain,
        anatomy=anatomy,
        about=about,
    )


def register(t2star: PreparedHead, t1w: PreparedHead, seed: int) -> Registration:
    """Find where the T1w lies on the T2*w.

    Parameters
    ----------
    t2star, t1w
        Each on its own grid.
    seed
        Of the sampling.
    """
    return register_rigid(t2star, t1w, seed=seed)


def measure_anatomy(
    t2star: PreparedHead,
    t1w: PreparedHead | None,
    registration: Registration | None,
    labeled: Parcellation,
) -> list[Measure]:
    """Numbers of masks, registration and regions, with their limits.

    Parameters
    ----------
    t2star, t1w
        Each on its own grid; ``None`` without a T1w.
    registration
        Of the T1w to the T2*w; ``None`` without a T1w.
    labeled
        Regions of the T1w, or of the T2*w without one.
    """
    sure = certainty(t2star.anatomy)
    measures = brain_measures(Contrast.T2STARW, t2star.brain, t2star.grid.spacing, sure)
    if t1w is not None and registration is not None:
        head = Volume(t1w.brain, t1w.affine)
        shown = share_shown(head, t2star.grid, pull=registration.pull)
        sure = certainty(t1w.anatomy)
        measures += brain_measures(Contrast.T1W, t1w.brain, t1w.grid.spacing, sure)
        brightness = fluid_brightness(t1w, t1w.anatomy)
        name = t1w.about["Sources"][0]
        measures += contrast_measures(registration.correlation, brightness, name)
        measures += registration_measures(
            registration.mask_dice, registration.mutual_information, shown
        )
    return measures + region_measures(labeled, (t1w or t2star).brain_ml)


def refuse_impossible(session: Session, measures: Sequence[Measure]) -> None:
    """Stop where the regions cannot be those of a person: their counts would mean nothing.

    Parameters
    ----------
    session
        For the name of its image.
    measures
        As :func:`measure_anatomy` returns them.

    Raises
    ------
    RefusedScanError
        What no person has.
    """
    found = impossible(measures)
    if found:
        raise RefusedScanError(
            f"{session.t2star.path}: the anatomy failed, {'; '.join(found)}; look at the images, "
            "or give a parcellation with -d"
        )


def write_heads(
    session: Session,
    t2star: PreparedHead,
    t1w: PreparedHead | None,
    registration: Registration | None,
    files: SessionFiles,
    notes: Sequence[str],
) -> list[Path]:
    """Write the images with their masks and the transform.

    The sidecar of the T2*w is the record of the session: how it was acquired, and how this phase
    went.

    Parameters
    ----------
    session
        How its images were acquired.
    t2star, t1w
        Each on its own grid; ``None`` without a T1w.
    registration
        Of the T1w to the T2*w; ``None`` without a T1w.
    files
        The session's derivatives.
    notes
        What a person must know.
    """
    facts: dict[str, Any] = {
        **t2star_acquisition(session.t2star, t2star.grid.header_spacing),
        "BrainVolumes": {"T2starw": t2star.brain_ml, **({"T1w": t1w.brain_ml} if t1w else {})},
        "Notes": list(notes),
    }
    written = []
    if session.t1w is not None and t1w is not None and registration is not None:
        facts["Registration"] = {
            "MaskDice": registration.mask_dice,
            "MutualInformation": registration.mutual_information,
            "Start": registration.start,
            "Attempts": registration.attempts,
        }
        written += _write_head(files.t1w, files.t1w_brain, t1w, acquisition_of(session.t1w))
        written += _write_moved(t2star, t1w, registration.pull, files)
    written += _write_structures(t2star, files)
    return [*_write_head(files.t2star, files.t2star_brain, t2star, facts), *written]


def _write_structures(t2star: PreparedHead, files: SessionFiles) -> list[Path]:
    """Write what the second look goes by: the T2*w's own structures, whatever labeled the T1w."""
    seen = t2star.anatomy
    about = {**t2star.about, "Resolution": "2 mm isotropic"}
    return write_dseg(files.structures, seen.structures, seen.grid.affine, structure_look(), about)


def _write_head(
    image: Path, mask: Path, head: PreparedHead, facts: Mapping[str, Any]
) -> list[Path]:
    about = {**head.about, "SkullStripped": True, **facts}
    write_image(image, head.data, head.affine, about)
    write_image(mask, head.brain.astype(np.uint8), head.affine, {**head.about, "Type": "Brain"})
    return [image, mask]


def _write_moved(
    t2star: PreparedHead, t1w: PreparedHead, pull: Affine, files: SessionFiles
) -> list[Path]:
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


def prepare_inputs(session: Session, _: SessionFiles, settings: Settings) -> list[Path]:
    """The scans, and what other apps have made of them; nothing of a session that is refused.

    Parameters
    ----------
    session
        Raw images of the session.
    settings
        Settings of the run; they name derivatives to use again.
    """
    if session.problem:
        # Nothing of it is read, not even for a checksum: it may be a pipe.
        return []
    scans = [scan.path for scan in session.scans.values()]
    return scans + reused_files(settings, session)


def prepare_parameters(settings: Settings, session: Session) -> dict[str, Any]:
    """Everything but inputs and code that the results depend on.

    Parameters
    ----------
    settings
        Settings of the run.
    session
        Raw images of the session, and what is known of their acquisition.
    """
    extraction = choose_brain_extraction(settings.anatomy.brain_extraction)
    return {
        "brain_extraction": extraction,
        "parcellation": settings.anatomy.parcellation,
        "proxy_rules": settings.anatomy.proxy_rules,
        "model": load_card(settings.anatomy.model).files,
        "seed": settings.seed,
        "sequence": sequence_of(session.t2star),
        "acquisition": [acquisition_of(scan) for scan in session.scans.values()],
        # What was accepted once may be refused now.
        **({"problem": session.problem} if session.problem else {}),
    }
