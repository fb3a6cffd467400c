"""Steps of the phase that decides what is a microbleed, and writes masks and tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.anatomy.standard import read_field
from cmb_bidsapp.bids.derivatives import SessionFiles, raw_uri
from cmb_bidsapp.bids.images import read_derivative, read_labels
from cmb_bidsapp.bids.inputs import Session
from cmb_bidsapp.bids.outputs import remove, sidecar_of, write_image
from cmb_bidsapp.bids.provenance import read_notes
from cmb_bidsapp.bids.tables import write_table
from cmb_bidsapp.clinical.mars import FORM_COLUMNS, fill, form_rows
from cmb_bidsapp.clinical.summary import SUMMARY_COLUMNS, summarize
from cmb_bidsapp.core.arrays import Affine, Image, Points
from cmb_bidsapp.lesions.candidates import Candidate
from cmb_bidsapp.lesions.lesion import Lesion
from cmb_bidsapp.lesions.segment import second_look_of
from cmb_bidsapp.lesions.table import write_lesions
from cmb_bidsapp.models.registry import calibration_of, load_second_look
from cmb_bidsapp.phases.phase import phase_facts
from cmb_bidsapp.preprocess.resampling import Grid
from cmb_bidsapp.settings import Settings

if TYPE_CHECKING:  # torch
    from cmb_bidsapp.lesions.second_look import Namer


@dataclass(frozen=True, eq=False, kw_only=True)
class Segmented:
    """What the network has found, with the image and its regions, on the T2*w grid."""

    probability: Image
    classes: npt.NDArray[np.integer[Any]]
    t2star: Image
    mars: npt.NDArray[np.integer[Any]]
    affine: Affine

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size, mm, as other programs read it."""
        return Grid.of(self.probability, self.affine).header_spacing


def read_segmented(files: SessionFiles) -> Segmented:
    """Read what the phases before have written."""
    probability = read_derivative(files.probability)
    return Segmented(
        probability=probability.data,
        classes=read_labels(files.network_labels).data,
        t2star=read_derivative(files.t2star).data,
        mars=read_labels(files.mars).data,
        affine=probability.affine,
    )


def namer_of(settings: Settings) -> Namer | None:
    """The network that says what candidates resemble, where the model has one."""
    second_look = second_look_of(load_second_look(settings.lesions.model))
    return None if second_look is None else second_look.namer


def in_mni152(candidates: Sequence[Candidate], files: SessionFiles) -> Points:
    """Centers of candidates in MNI152 (mm), shape ``(n, 3)``.

    Parameters
    ----------
    candidates
        With their centers (RAS mm).
    files
        The session's derivatives, among them its way to MNI152.
    """
    centers = np.array([(one.x, one.y, one.z) for one in candidates]).reshape(-1, 3)
    return read_field(files.to_standard)(centers)


def write_decisions(
    lesions: Sequence[Lesion],
    instances: npt.NDArray[np.int32],
    affine: Affine,
    session: Session,
    files: SessionFiles,
    settings: Settings,
    told: Sequence[str],
) -> list[Path]:
    """Write masks before and after decisions, the table of lesions, MARS form, clinical summary.

    A measurement of what earlier decisions found is removed: it says nothing of these.

    Parameters
    ----------
    lesions
        Candidates, kept and rejected.
    instances
        Number of the candidate that each voxel is of, 0 elsewhere; grid of the T2*w.
    affine
        Voxel to world (RAS mm).
    session
        Raw images of the session, and notes on their choice.
    files
        Paths of the session's derivatives.
    settings
        Settings of the run.
    told
        What a person must know of how it was decided.

    Returns
    -------
    paths
        Images and tables that were written, without their sidecars.
    """
    for table in (files.implants, files.sensitivity):
        remove(table)
    kept = [one.number for one in lesions if one.kept]
    source = {
        "Sources": [files.uri(files.probability), files.uri(files.network_labels)],
        "SpatialReference": raw_uri(settings.bids_dir, session.t2star.path),
        "Decisions": decisions_in(session, settings),
        **({"Notes": list(told)} if told else {}),
    }
    lesion_mask = {**source, "Type": "Lesion"}
    write_image(files.raw_mask, (instances > 0).astype(np.uint8), affine, lesion_mask)
    write_image(files.mask, np.isin(instances, kept).astype(np.uint8), affine, lesion_mask)
    write_image(files.instances, instances, affine, source)
    write_lesions(files.lesions, lesions)
    write_table(files.mars_form, list(FORM_COLUMNS), form_rows(fill(lesions)), FORM_COLUMNS)
    notes = (*session.notes, *read_notes(files))
    summary = summarize(lesions, settings.clinical.baseline_limit, notes)
    write_table(files.summary, list(SUMMARY_COLUMNS), [vars(summary)], SUMMARY_COLUMNS)
    tables = [files.lesions, files.mars_form, files.summary]
    return [files.raw_mask, files.mask, files.instances, *tables]


def decisions_in(session: Session, settings: Settings) -> dict[str, Any]:
    """What decides in a session: the rule of the phase where there is one.

    Parameters
    ----------
    session
        Session; it tells whether there is a phase image.
    settings
        Settings of the run.
    """
    rules = dataclasses.asdict(settings.decisions)
    if session.phase is None:
        del rules["phase_rule"]
    return rules


def decide_inputs(session: Session, files: SessionFiles, settings: Settings) -> list[Path]:
    """Everything the phases before it have written.

    Parameters
    ----------
    session
        Raw images of the session.
    files
        Paths of the session's derivatives.
    settings
        Settings of the run; they name the spaces of the outputs.
    """
    made = [files.t2star, files.t2star_brain, files.proxy, files.mars]
    made += [files.probability, files.network_labels, files.to_standard]
    # What they tell stands beside the count.
    made += [sidecar_of(files.t2star), sidecar_of(files.probability)]
    if session.phase is not None and session.phase.problem is None:
        made += [session.phase.path, files.structures]
    if session.t1w is not None:
        made.append(files.t1w_on_t2star)
    if settings.output_spaces:
        made += [files.from_standard, *([files.t1w, files.transform] if session.t1w else [])]
    return made


def decide_parameters(settings: Settings, session: Session) -> dict[str, Any]:
    """Everything but inputs and code that the results depend on.

    Parameters
    ----------
    settings
        Settings of the run.
    session
        Raw images of the session, and notes on their choice.
    """
    spaces = list(settings.output_spaces)
    return {
        "notes": list(session.notes),
        "spaces": spaces,
        "calibration": calibration_of(settings.lesions.model),
        **({"phase": phase_facts(session.phase)} if session.phase is not None else {}),
        **decisions_in(session, settings),
        **dataclasses.asdict(settings.clinical),
    }
