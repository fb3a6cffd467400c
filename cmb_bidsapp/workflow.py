"""The page: what happens to a session, in which order, from which files to which files.

``prepare``, ``segment`` and ``finish`` are the phases of a session. Each reads files, writes
derivatives and returns what it wrote and what is worth knowing; stamps decide whether it runs.
``participant`` and ``group`` are the two levels of the app.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cmb_bidsapp.bids.derivatives import SessionFiles, raw_uri
from cmb_bidsapp.bids.images import read_derivative, read_image, read_labels, spacing_of
from cmb_bidsapp.bids.inputs import Session
from cmb_bidsapp.bids.outputs import atomic, write_image, write_table
from cmb_bidsapp.labels import CMB, PROXY_COLORS, PROXY_NAMES, table
from cmb_bidsapp.models.registry import load_bundle, load_card
from cmb_bidsapp.preprocess.ants import write_linear
from cmb_bidsapp.preprocess.bias import correct_bias
from cmb_bidsapp.preprocess.brain import choose_brain_extraction, run_synthstrip
from cmb_bidsapp.preprocess.registration import register_rigid
from cmb_bidsapp.preprocess.resampling import IDENTITY, Grid, resample, resample_labels
from cmb_bidsapp.runtime.errors import DataError
from cmb_bidsapp.settings import Settings

Step = Callable[[str], None]


@dataclass(frozen=True)
class Result:
    """What a phase wrote, and facts for the report."""

    outputs: tuple[Path, ...]
    info: dict[str, Any]


def prepare(session: Session, files: SessionFiles, settings: Settings, step: Step) -> Result:
    """Raw images -> preprocessed images, brain masks, transform, proxy labels (paper, 3.2)."""
    from cmb_bidsapp.anatomy.atlas import parcellate
    from cmb_bidsapp.anatomy.network import AnatomyNetwork
    from cmb_bidsapp.anatomy.proxy import proxy_labels

    step("loading the anatomy network")
    backend = choose_brain_extraction(settings.anatomy.brain_extraction)
    bundle = load_bundle(settings.anatomy.model)
    network = AnatomyNetwork(bundle, settings.resources.device)

    def extract(data: Any, affine: Any, path: Path) -> tuple[Any, Any]:
        seen = network(data, affine)
        own = backend != "synthstrip"
        brain = seen.brain_mask(Grid.of(data, affine)) if own else run_synthstrip(data, affine)
        if not brain.any():
            raise DataError(f"{path}: no brain was found; is it a head, and its affine right?")
        return seen, brain

    step("brain extraction of T2*w")
    t2star, affine = read_image(session.t2star.path)
    grid = Grid.of(t2star, affine)
    seen, brain = extract(t2star, affine, session.t2star.path)
    step("bias correction of T2*w")
    t2star = correct_bias(t2star, affine, brain) * brain

    source = raw_uri(settings.bids_dir, session.t2star.path)
    made = {"Sources": [source], "SpatialReference": source}
    stripped = {**made, "SkullStripped": True, "BrainExtraction": backend}
    write_image(files.t2star, t2star, affine, stripped)
    write_image(files.t2star_brain, brain.astype(np.uint8), affine, {**made, "Type": "Brain"})
    outputs = [files.t2star, files.t2star_brain]
    info: dict[str, Any] = {
        "brain_extraction": backend,
        "anatomy_model": bundle.name,
        "t2star_brain_ml": float(brain.sum() * np.prod(grid.spacing) / 1000),
    }
    pull, space = IDENTITY, "T2starw"
    if session.t1w is not None:
        space = "T1w"
        step("brain extraction of T1w")
        t1w, t1w_affine = read_image(session.t1w.path)
        seen, t1w_brain = extract(t1w, t1w_affine, session.t1w.path)
        step("bias correction of T1w")
        t1w = correct_bias(t1w, t1w_affine, t1w_brain) * t1w_brain
        step("registration of T1w to T2*w")
        found = register_rigid(
            t2star, affine, brain, t1w, t1w_affine, t1w_brain, seed=settings.seed
        )
        pull = found.pull
        t1w_source = raw_uri(settings.bids_dir, session.t1w.path)
        native = {"Sources": [t1w_source], "SpatialReference": t1w_source}
        moved = {**stripped, "Sources": [t1w_source, files.uri(files.transform)]}
        with atomic(files.transform) as beside:
            write_linear(pull, beside)
        write_image(files.t1w, t1w, t1w_affine, {**stripped, **native})
        write_image(
            files.t1w_brain, t1w_brain.astype(np.uint8), t1w_affine, {**native, "Type": "Brain"}
        )
        on_t2star = resample(t1w, t1w_affine, grid, pull=pull) * brain
        write_image(files.t1w_on_t2star, on_t2star, affine, moved)
        outputs += [files.t1w, files.t1w_brain, files.t1w_on_t2star, files.transform]
        info["t1w_brain_ml"] = float(t1w_brain.sum() * np.prod(spacing_of(t1w_affine)) / 1000)
        info["registration"] = {
            **{k: v for k, v in vars(found).items() if k != "pull"},
            "good": found.good,
        }

    step("parcellation (deformable atlas)")
    parcellation = parcellate(seen, seed=settings.seed)
    step("proxy labels")
    proxy = proxy_labels(parcellation.dseg, parcellation.grid.spacing)
    on_grid = resample_labels(
        proxy, parcellation.grid.affine, grid, pull=pull, values=list(PROXY_NAMES)
    )
    dseg_path = files.parcellation(space)
    anatomical = session.t1w.path if session.t1w else session.t2star.path
    write_image(
        dseg_path,
        parcellation.dseg,
        parcellation.grid.affine,
        {
            "Sources": [raw_uri(settings.bids_dir, anatomical)],
            "SpatialReference": raw_uri(settings.bids_dir, anatomical),
            "Resolution": "1 mm isotropic, around the brain",
            "Parcellation": "atlas",
        },
    )
    dseg_lut = _write_lut(
        dseg_path,
        {i: (table()[i].name, table()[i].color) for i in np.unique(parcellation.dseg)[1:]},
    )
    write_image(
        files.proxy,
        on_grid * (brain > 0),
        affine,
        {**made, "Sources": [files.uri(dseg_path)], "ProxyRules": "paper, putamen deep"},
    )
    proxy_lut = _write_lut(
        files.proxy, {i: (n, PROXY_COLORS[i]) for i, n in PROXY_NAMES.items() if i}
    )
    outputs += [dseg_path, dseg_lut, files.proxy, proxy_lut]
    return Result(tuple(outputs), info)


def segment(session: Session, files: SessionFiles, settings: Settings, step: Step) -> Result:
    """Preprocessed images -> CMB probability and predicted classes (paper, 2.1)."""
    from cmb_bidsapp.lesions.segment import LesionNetwork

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
    write_image(files.network_labels, result.labels, affine, sidecar)
    names = {**PROXY_NAMES, CMB: "CMB"}
    lut = _write_lut(files.network_labels, {i: (n, PROXY_COLORS[i]) for i, n in names.items() if i})
    return Result(
        (files.probability, files.network_labels, lut),
        {"lesion_model": bundle.name, "lesion_model_sha256": bundle.sha256},
    )


def finish(session: Session, files: SessionFiles, settings: Settings, step: Step) -> Result:
    """Probability and classes -> candidates, CFPR, grades, masks, lesion table, figures."""
    from cmb_bidsapp.lesions.candidates import find_instances, measure
    from cmb_bidsapp.lesions.cfpr import judge
    from cmb_bidsapp.lesions.table import COLUMNS, rows
    from cmb_bidsapp.report.figures import session_figures

    rule = settings.decisions
    step("candidates")
    probability, affine = read_derivative(files.probability)
    t2star, _ = read_derivative(files.t2star)
    labels, _ = read_labels(files.network_labels)
    proxy, _ = read_labels(files.proxy)
    instances = find_instances(probability, rule.threshold)
    candidates = measure(instances, probability, t2star, proxy, affine)
    step("false-positive reduction (CFPR)")
    verdicts = judge(
        instances, labels, spacing_of(affine), radius=rule.cfpr_radius, min_ratio=rule.cfpr_ratio
    )
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
            "voxel_mm": list(spacing_of(affine)),
        },
    )


@dataclass(frozen=True)
class Phase:
    """A phase with what its result depends on."""

    name: str
    run: Callable[[Session, SessionFiles, Settings, Step], Result]
    inputs: Callable[[Session, SessionFiles], list[Path]]
    parameters: Callable[[Settings, Session], dict[str, Any]]


def _prepare_inputs(session: Session, _: SessionFiles) -> list[Path]:
    return [scan.path for scan in (session.t2star, session.t1w) if scan is not None]


def _segment_inputs(session: Session, files: SessionFiles) -> list[Path]:
    return [files.t2star] + ([files.t1w_on_t2star] if session.t1w is not None else [])


def _finish_inputs(session: Session, files: SessionFiles) -> list[Path]:
    made = [files.t2star_brain, files.proxy, files.probability, files.network_labels]
    return _segment_inputs(session, files) + made


def _prepare_parameters(settings: Settings, _: Session) -> dict[str, Any]:
    extraction = choose_brain_extraction(settings.anatomy.brain_extraction)
    return {
        "version": 1,
        "brain_extraction": extraction,
        "parcellation": settings.anatomy.parcellation,
        "model": load_card(settings.anatomy.model)["files"],
        "seed": settings.seed,
    }


def _segment_parameters(settings: Settings, session: Session) -> dict[str, Any]:
    return {
        "version": 1,
        "model": load_card(settings.lesions.model)["files"],
        "tta": settings.lesions.tta,
        "t1w": session.t1w is not None,
    }


def _finish_parameters(settings: Settings, session: Session) -> dict[str, Any]:
    metadata = {k: session.t2star.metadata.get(k) for k in ("MagneticFieldStrength", "EchoTime")}
    return {"version": 1, **dataclasses.asdict(settings.decisions), **metadata}


#: The phases of a session, in order. Raise a version when a phase's results change.
PHASES = (
    Phase("prepare", prepare, _prepare_inputs, _prepare_parameters),
    Phase("segment", segment, _segment_inputs, _segment_parameters),
    Phase("finish", finish, _finish_inputs, _finish_parameters),
)


def _write_lut(dseg: Path, labels: Mapping[int, tuple[str, str]]) -> Path:
    """Write the label table beside a dseg."""
    path = dseg.with_name(dseg.name.replace(".nii.gz", ".tsv"))
    rows = [
        {"index": int(index), "name": name, "color": color}
        for index, (name, color) in labels.items()
    ]
    write_table(path, ("index", "name", "color"), rows)
    return path
