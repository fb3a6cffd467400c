"""Probability and classes -> candidates, CFPR, grades, masks, lesion table, figures."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from cmb_bidsapp.bids.derivatives import SessionFiles, raw_uri
from cmb_bidsapp.bids.images import read_derivative, read_labels
from cmb_bidsapp.bids.inputs import Session
from cmb_bidsapp.bids.outputs import write_image, write_table
from cmb_bidsapp.phases.base import Phase, Result, Step
from cmb_bidsapp.preprocess.resampling import Grid
from cmb_bidsapp.settings import Settings


def finish(session: Session, files: SessionFiles, settings: Settings, step: Step) -> Result:
    """Probability and classes -> candidates, CFPR, grades, masks, lesion table, figures."""
    from cmb_bidsapp.lesions.candidates import find_instances, measure
    from cmb_bidsapp.lesions.cfpr import judge
    from cmb_bidsapp.lesions.table import COLUMNS, rows
    from cmb_bidsapp.report.figures import session_figures

    rule = settings.decisions
    step("candidates")
    probability, affine = read_derivative(files.probability)
    spacing = Grid.of(probability, affine).spacing
    t2star, _ = read_derivative(files.t2star)
    labels, _ = read_labels(files.network_labels)
    mars, _ = read_labels(files.mars)
    instances = find_instances(probability, rule.threshold)
    candidates = measure(instances, probability, t2star, mars, affine)
    step("false-positive reduction (CFPR)")
    verdicts = judge(instances, labels, spacing, radius=rule.cfpr_radius, min_ratio=rule.cfpr_ratio)
    lesions = rows(candidates, verdicts, cfpr=rule.cfpr, min_diameter=rule.min_size)
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
    step("figures")
    figures = session_figures(files, lesions)
    return Result(
        (files.raw_mask, files.mask, files.instances, files.lesions, *figures),
        {
            "candidates": len(lesions),
            "kept": len(kept),
            "sequence": session.t2star.entities.get("suffix"),
            "field_t": session.t2star.metadata.get("MagneticFieldStrength"),
            "echo_s": session.t2star.metadata.get("EchoTime"),
            "voxel_mm": list(spacing),
        },
    )


def _finish_inputs(session: Session, files: SessionFiles, _: Settings) -> list[Path]:
    made = [files.t2star, files.t2star_brain, files.proxy, files.mars]
    made += [files.probability, files.network_labels]
    return made + ([files.t1w_on_t2star] if session.t1w is not None else [])


def _finish_parameters(settings: Settings, session: Session) -> dict[str, Any]:
    metadata = {k: session.t2star.metadata.get(k) for k in ("MagneticFieldStrength", "EchoTime")}
    return {"version": 5, **dataclasses.asdict(settings.decisions), **metadata}


FINISH = Phase("finish", finish, _finish_inputs, _finish_parameters)
