"""Probability and classes -> candidates, CFPR, grades, masks, lesion table, figures."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from cmb_bidsapp.anatomy.standard import read_field
from cmb_bidsapp.anatomy.templates import Space
from cmb_bidsapp.bids.derivatives import SessionFiles, raw_uri
from cmb_bidsapp.bids.images import read_derivative, read_labels
from cmb_bidsapp.bids.inputs import Session, is_swi
from cmb_bidsapp.bids.outputs import write_image
from cmb_bidsapp.bids.tables import read_table, write_table
from cmb_bidsapp.clinical.mars import FORM_COLUMNS, fill, form_rows
from cmb_bidsapp.clinical.summary import SUMMARY_COLUMNS, summarise
from cmb_bidsapp.lesions.candidates import find_instances, measure
from cmb_bidsapp.lesions.cfpr import judge
from cmb_bidsapp.lesions.table import COLUMNS, rows
from cmb_bidsapp.models.registry import calibration_of
from cmb_bidsapp.phases.base import Phase, Result, Step
from cmb_bidsapp.phases.spaces import write_in_space
from cmb_bidsapp.preprocess.resampling import Grid
from cmb_bidsapp.report.closeups import Periphery
from cmb_bidsapp.report.figures import session_figures
from cmb_bidsapp.settings import Decisions, Settings


def finish(session: Session, files: SessionFiles, settings: Settings, step: Step) -> Result:
    """Probability and classes -> candidates, CFPR, grades, masks, lesion table, figures."""
    rule = settings.decisions
    step("candidates")
    probability, affine = read_derivative(files.probability)
    spacing = _as_in_the_header(Grid.of(probability, affine).spacing)
    t2star, _ = read_derivative(files.t2star)
    labels, _ = read_labels(files.network_labels)
    mars, _ = read_labels(files.mars)
    instances = find_instances(probability, rule.threshold)
    candidates = measure(instances, probability, t2star, mars, affine)
    centres = np.array([(found.x, found.y, found.z) for found in candidates]).reshape(-1, 3)
    step("false-positive reduction (CFPR)")
    verdicts = judge(
        instances,
        labels,
        spacing,
        mode=rule.cfpr_mode,
        radius=rule.cfpr_radius,
        min_ratio=rule.cfpr_ratio,
    )
    lesions = rows(
        candidates,
        verdicts,
        cfpr=rule.cfpr,
        min_diameter=rule.min_size,
        calibration=calibration_of(settings.lesions.model),
        standard=read_field(files.to_standard)(centres),
    )
    kept = [row["lesion_id"] for row in lesions if row["status"] == "kept"]
    final = np.isin(instances, kept)

    step("writing results")
    source = {
        "Sources": [files.uri(files.probability), files.uri(files.network_labels)],
        "SpatialReference": raw_uri(settings.bids_dir, session.t2star.path),
        "Decisions": dataclasses.asdict(rule),
    }
    lesion_mask = {**source, "Type": "Lesion"}
    write_image(files.raw_mask, (instances > 0).astype(np.uint8), affine, lesion_mask)
    write_image(files.mask, final.astype(np.uint8), affine, lesion_mask)
    write_image(files.instances, instances, affine, source)
    write_table(files.lesions, list(COLUMNS), lesions, COLUMNS)
    written = read_table(files.lesions)
    write_table(files.mars_form, list(FORM_COLUMNS), form_rows(fill(written)), FORM_COLUMNS)
    summary = summarise(written, settings.clinical.baseline_limit)
    write_table(files.summary, list(SUMMARY_COLUMNS), [summary], SUMMARY_COLUMNS)
    elsewhere = []
    for space in map(Space.parse, settings.output_spaces):
        step(f"images in {space}")
        elsewhere += write_in_space(files, space, with_t1w=session.t1w is not None)
    step("figures")
    figures = session_figures(files, lesions, Periphery(rule.cfpr_mode, rule.cfpr_radius))
    tables = (files.lesions, files.mars_form, files.summary)
    return Result(
        (files.raw_mask, files.mask, files.instances, *tables, *elsewhere, *figures),
        {
            "candidates": len(lesions),
            "kept": len(kept),
            "cfpr": _cfpr_in_words(rule),
            # Counts of SWI and GRE must not be pooled, whatever suffix an SWI goes by.
            "sequence": "swi" if is_swi(session.t2star) else session.t2star.entities["suffix"],
            "field_t": session.t2star.metadata.get("MagneticFieldStrength"),
            "echo_s": session.t2star.metadata.get("EchoTime"),
            "voxel_mm": list(spacing),
        },
    )


def _as_in_the_header(spacing: tuple[float, float, float]) -> tuple[float, float, float]:
    """Voxel size (mm) in single precision, as NIfTI holds it and other programs read it."""
    x, y, z = (float(np.float32(step)) for step in spacing)
    return x, y, z


def _cfpr_in_words(rule: Decisions) -> str:
    if not rule.cfpr:
        return "off"
    return (
        f"{rule.cfpr_mode} mode, at least {rule.cfpr_ratio:g} of the voxels within "
        f"{rule.cfpr_radius:g} mm are brain"
    )


def _finish_inputs(session: Session, files: SessionFiles, settings: Settings) -> list[Path]:
    made = [files.t2star, files.t2star_brain, files.proxy, files.mars]
    made += [files.probability, files.network_labels, files.to_standard]
    if session.t1w is not None:
        made.append(files.t1w_on_t2star)
    if settings.output_spaces:
        made += [files.from_standard, *([files.t1w, files.transform] if session.t1w else [])]
    return made


def _finish_parameters(settings: Settings, session: Session) -> dict[str, Any]:
    metadata = {k: session.t2star.metadata.get(k) for k in ("MagneticFieldStrength", "EchoTime")}
    spaces = list(settings.output_spaces)
    return {
        "version": 8,
        "spaces": spaces,
        "calibration": calibration_of(settings.lesions.model),
        **dataclasses.asdict(settings.decisions),
        **dataclasses.asdict(settings.clinical),
        **metadata,
    }


FINISH = Phase("finish", finish, _finish_inputs, _finish_parameters)
