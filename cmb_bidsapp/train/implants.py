"""Training sets out of scans that were processed: their own backgrounds, with implants."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.filters import select_participants
from cmb_bidsapp.bids.images import read_derivative, read_labels
from cmb_bidsapp.bids.outputs import write_image
from cmb_bidsapp.bids.tables import write_table
from cmb_bidsapp.core.errors import ExitCode, NoInputError
from cmb_bidsapp.core.labels import CMB
from cmb_bidsapp.lesions.candidates import CONNECTIVITY_26
from cmb_bidsapp.simulate.implants import COLUMNS, draw_implants, noise_level, with_implants

Affine = npt.NDArray[np.float64]
Image = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

log = logging.getLogger(__name__)

#: Peak probability of a place that is suspected of being a microbleed, and that of its extent.
SUSPECTED, SUSPECTED_EXTENT = 0.05, 0.03
#: Volume of a brain (ml) that gets the full number of implants; parts of brains get their share.
BRAIN_ML = 1200.0
#: Field strength (T) and echo time (ms) where the sidecar does not tell.
ASSUMED = (3.0, 20.0)


@dataclass(frozen=True)
class Background:
    """A processed scan, axes in RAS order.

    Attributes
    ----------
    t2star, t1w
        Brain-extracted images on the T2*w grid; a T1w of zeros where there is none.
    affine
        Voxel to world, mm.
    regions
        Proxy classes 1 to 3, 0 outside the brain.
    suspected
        Pieces that the present lesion model suspects, and mimics that are known.
    lesions
        Labelled microbleeds, ``None`` where nobody has labelled them.
    doubtful
        What those who labelled called neither.
    b0, te_ms
        Field strength (T) and echo time (ms).
    """

    t2star: Image
    t1w: Image
    affine: Affine
    regions: Labels
    suspected: Mask
    lesions: Mask | None
    doubtful: Mask
    b0: float
    te_ms: float


@dataclass(frozen=True)
class Draw:
    """A background with implants, as a case of a training."""

    t2star: Image
    lesions: Labels
    ignore: Labels
    mimics: Labels
    rows: list[dict[str, Any]]


def draw_case(background: Background, count: int, rng: np.random.Generator) -> Draw:
    """Implant ``count`` sources into a whole brain, fewer into a part of one.

    Where microbleeds are labelled, what is suspected elsewhere is a mimic: patches are centred on
    it. Where nobody has labelled, it may be a microbleed, and is ignored.
    """
    seen = background
    millilitres = float((seen.t2star > 0).sum() * abs(np.linalg.det(seen.affine[:3, :3])) / 1000)
    number = max(1, round(count * min(1.0, millilitres / BRAIN_ML)))
    implants = draw_implants(
        seen.t2star, seen.regions, seen.affine, number, rng, b0=seen.b0, te_ms=seen.te_ms
    )
    t2star = with_implants(seen.t2star, implants.factor, noise_level(seen.t2star), rng)
    lesions = implants.instances > 0
    if seen.lesions is not None:
        lesions |= seen.lesions
    suspected = seen.suspected & ~lesions & ~seen.doubtful
    ignore = ((implants.ignore > 0) | seen.doubtful) & ~lesions
    mimics = np.zeros(lesions.shape, np.uint8)
    if seen.lesions is None:
        ignore |= suspected
    else:
        mimics[suspected] = 1
    return Draw(t2star, lesions.astype(np.uint8), ignore.astype(np.uint8), mimics, implants.rows)


def suspected_places(probability: Image, lesions: Mask | None) -> Mask:
    """Pieces that a lesion model suspects, without those at labelled microbleeds."""
    found, _ = ndimage.label(probability >= SUSPECTED_EXTENT, CONNECTIVITY_26)
    peaks = ndimage.maximum(probability, found, np.arange(found.max() + 1))
    suspect = np.asarray(peaks) >= SUSPECTED
    suspect[0] = False
    if lesions is not None:
        suspect[np.unique(found[ndimage.binary_dilation(lesions, iterations=2)])] = False
    places: Mask = suspect[found]
    return places


def without_lesions(classes: Labels, brain: Mask) -> Labels:
    """Proxy classes of a lesion network, microbleeds given the class nearest to them."""
    known = (classes > 0) & (classes != CMB)
    if not known.any():
        return np.zeros(classes.shape, np.uint8)
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    regions: Labels = np.where(brain, np.where(known, classes, classes[tuple(nearest)]), 0)
    return regions.astype(np.uint8)


def read_background(files: SessionFiles, labelled: SessionFiles | None) -> Background:
    """Read what the app wrote about a session, and the masks of its labelled microbleeds."""
    t2star, affine = read_derivative(files.t2star)
    orientation = nib.orientations.io_orientation(affine)

    def ras(data: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        return np.ascontiguousarray(nib.orientations.apply_orientation(data, orientation))

    image = ras(t2star.astype(np.float32)).astype(np.float32)
    t1w = np.zeros_like(image)
    if files.t1w_on_t2star.exists():
        t1w = ras(read_derivative(files.t1w_on_t2star)[0]).astype(np.float32)
    source = files.proxy if files.proxy.exists() else files.network_labels
    regions = without_lesions(ras(read_labels(source)[0]).astype(np.uint8), image > 0)
    lesions, doubtful = None, np.zeros(image.shape, np.bool_)
    if labelled is not None:
        lesions = ras(read_labels(labelled.mask)[0]).astype(bool)
        if labelled.ignored.exists():
            doubtful = ras(read_labels(labelled.ignored)[0]).astype(bool)
    suspected = np.zeros(image.shape, np.bool_)
    if files.probability.exists():
        probability = ras(read_derivative(files.probability)[0]).astype(np.float32)
        suspected = suspected_places(probability, lesions)
    if labelled is not None and (mimics := _mimics(labelled)).exists():
        suspected |= ras(read_labels(mimics)[0]).astype(bool)
    b0, te_ms = _acquisition(files.t2star)
    return Background(
        t2star=image,
        t1w=t1w,
        affine=affine @ nib.orientations.inv_ornt_aff(orientation, t2star.shape),
        regions=regions,
        suspected=suspected,
        lesions=lesions,
        doubtful=doubtful,
        b0=b0,
        te_ms=te_ms,
    )


def _mimics(files: SessionFiles) -> Path:
    """Veins and calcifications that are known."""
    return files.anat("dseg", space="T2starw", desc="mimics")


def _acquisition(image: Path) -> tuple[float, float]:
    path = image.with_name(image.name.removesuffix(".nii.gz") + ".json")
    told = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    field, echo = told.get("MagneticFieldStrength"), told.get("EchoTime")
    if not (isinstance(field, int | float) and isinstance(echo, int | float)):
        log.warning("%s: no field strength or echo time; %g T, %g ms assumed", path.name, *ASSUMED)
        return ASSUMED
    return float(field), 1000 * float(echo)


def write_draw(files: SessionFiles, draw: Draw, seen: Background) -> None:
    """Write a case in the layout that ``simulate`` writes truth in."""
    images: dict[Path, npt.NDArray[Any]] = {
        files.t2star: draw.t2star,
        files.t1w_on_t2star: seen.t1w,
        files.proxy: seen.regions,
        files.ignored: draw.ignore,
        _mimics(files): draw.mimics,
    }
    for path, data in images.items():
        write_image(path, data, seen.affine)
    write_table(files.lesions, list(COLUMNS), draw.rows, COLUMNS)
    # Written last: a session with a mask is whole.
    write_image(files.mask, draw.lesions, seen.affine)


def run_implants(
    derivatives: Path,
    out: Path,
    *,
    masks: Path | None,
    draws: int,
    microbleeds: tuple[int, int],
    participants: Sequence[str] = (),
    excluded: Sequence[str] = (),
    seed: int = 0,
) -> int:
    """Write ``draws`` cases for every session of a folder of the app's outputs.

    Each draw is a session of its participant, so that folds over participants keep them together.
    Cases that are there already stay.

    Parameters
    ----------
    masks
        Derivatives with the CMB masks of labelled sessions, and masks of what is to be ignored
        (``desc-ignore``). All microbleeds of these are labelled; sessions without a mask there are
        left out. Without it nothing is taken for labelled.
    microbleeds
        Least and most sources of a draw, for a whole brain.
    participants, excluded
        Labels of those to take (all where none is given), and of those not to take.

    Raises
    ------
    NoInputError
        No session can be used.
    """
    sessions = chosen_sessions(derivatives, masks, participants=participants, excluded=excluded)
    for files, labelled in sessions:
        seen = read_background(files, labelled)
        for number in range(draws):
            case = SessionFiles(out, files.participant, f"{files.session or ''}draw{number}")
            if not case.mask.exists():
                rng = np.random.default_rng((seed, number, *files.label.encode()))
                count = int(rng.integers(microbleeds[0], microbleeds[1], endpoint=True))
                write_draw(case, draw_case(seen, count, rng), seen)
            print(case.label, flush=True)
    return ExitCode.OK


def chosen_sessions(
    derivatives: Path,
    masks: Path | None,
    *,
    participants: Sequence[str] = (),
    excluded: Sequence[str] = (),
) -> list[tuple[SessionFiles, SessionFiles | None]]:
    """Sessions of the participants asked for, each with its labels.

    Sessions without a mask in ``masks`` are named and left out; without ``masks`` nobody has
    labelled any.

    Raises
    ------
    UsageError
        Somebody named is not there, or nobody is left.
    NoInputError
        No session can be used.
    """
    sessions = processed_sessions(derivatives)
    if not sessions:
        raise NoInputError(f"{derivatives}: no session with *_desc-preproc_T2starw")
    wanted = select_participants([s.participant for s in sessions], participants, excluded)
    chosen = []
    for files in sessions:
        if files.participant not in wanted:
            continue
        labelled = SessionFiles(masks, files.participant, files.session) if masks else None
        if labelled is not None and not labelled.mask.exists():
            log.warning("%s is left out: %s does not exist", files.label, labelled.mask)
            continue
        chosen.append((files, labelled))
    if not chosen:
        raise NoInputError(f"{masks}: no mask of any session of {derivatives}")
    return chosen


def processed_sessions(derivatives: Path) -> list[SessionFiles]:
    """Sessions of an output folder that have a preprocessed T2*w, by participant and session."""
    ending = "_desc-preproc_T2starw.nii.gz"
    found = []
    for path in sorted(derivatives.glob(f"sub-*/**/*{ending}")):
        entities = dict(part.split("-", 1) for part in path.name.removesuffix(ending).split("_"))
        if entities.keys() <= {"sub", "ses"}:
            found.append(SessionFiles(derivatives, entities["sub"], entities.get("ses")))
    return found
