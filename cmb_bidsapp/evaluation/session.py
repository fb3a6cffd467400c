"""One session: its images in, numbers out; nothing of a session's images outlives it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import sidecar_of
from cmb_bidsapp.evaluation.comparison import compare
from cmb_bidsapp.evaluation.matching import lesions_of
from cmb_bidsapp.evaluation.metrics import Counts, Overlap
from cmb_bidsapp.evaluation.reading import (
    Labels,
    labels_of,
    labels_on,
    optional_labels_on,
    probability_on,
    table_of,
)
from cmb_bidsapp.evaluation.results import AFTER, BEFORE, REGIONS, SessionResult, Stage
from cmb_bidsapp.labels import PROXY
from cmb_bidsapp.lesions.candidates import CONNECTIVITY_26, find_instances
from cmb_bidsapp.lesions.segment import ras_zooms
from cmb_bidsapp.preprocess.resampling import Affine, Grid
from cmb_bidsapp.runtime.errors import DataError


def find_sessions(root: Path) -> tuple[dict[str, SessionFiles], list[Path]]:
    """Sessions with a CMB mask by label, and masks that are named in another way."""
    sessions, strange = {}, []
    for path in sorted(root.glob("sub-*/**/*_space-T2starw_label-CMB_mask.nii.gz")):
        named = re.match(r"sub-([^_]+)(?:_ses-([^_]+))?_", path.name)
        files = SessionFiles(root, named.group(1), named.group(2)) if named else None
        if files is None or files.mask != path:
            strange.append(path)
        else:
            sessions[files.label] = files
    return sessions, strange


def evaluate_session(
    predicted: SessionFiles, reference: SessionFiles, thresholds: Sequence[float] = ()
) -> SessionResult:
    """Hold one session of this app against its reference.

    Parameters
    ----------
    predicted
        Output of the app.
    reference
        Truth as ``simulate`` writes it, or a CMB mask alone; what is absent is left out.
    thresholds
        Probabilities of the sweep.

    Raises
    ------
    DataError
        A file is absent, damaged, on another grid, or contradicts another one.
    """
    mask, grid = labels_of(reference.mask)
    truth = _reference_instances(reference, mask > 0, grid)
    proxy = optional_labels_on(grid, reference.proxy)
    ignore = optional_labels_on(
        grid, reference.anat("mask", space="T2starw", label="CMB", desc="ignore")
    )
    mimics = optional_labels_on(grid, reference.anat("dseg", space="T2starw", desc="mimics"))
    instances = labels_on(grid, predicted.instances)
    final = labels_on(grid, predicted.mask) > 0
    if (final & (instances == 0)).any():
        raise DataError(
            f"{predicted.mask} has voxels that {predicted.instances.name} lacks; "
            "run the participant level again"
        )
    candidates = _candidates(predicted, instances)
    reference_regions = _reference_regions(reference, truth, proxy, grid.affine)
    predicted_regions = {number: row["region"] for number, row in candidates.items()}
    stages = {}
    for name, found in ((BEFORE, instances), (AFTER, np.where(final, instances, 0))):
        fates = compare(
            truth,
            found,
            grid.affine,
            ignore=ignore,
            mimics=mimics,
            reference_regions=reference_regions,
            predicted_regions=predicted_regions,
        )
        stages[name] = Stage(tuple(fates), Overlap.of(truth > 0, found > 0))
    sweep = {}
    if thresholds and predicted.probability.exists():
        probability = probability_on(grid, predicted.probability)
        sweep = sweep_thresholds(probability, thresholds, truth, grid.affine, ignore)
    return SessionResult(
        predicted.participant,
        predicted.session,
        _protocol(reference, grid.affine),
        stages,
        candidates,
        mimics is not None,
        _anatomy(predicted, reference, grid, proxy),
        sweep,
    )


def sweep_thresholds(
    probability: npt.NDArray[np.float32],
    thresholds: Sequence[float],
    truth: Labels,
    affine: Affine,
    ignore: Labels | None = None,
) -> dict[float, Counts]:
    """Count lesions, before CFPR, as the app would find them at each threshold."""
    return {
        threshold: Counts.of(
            compare(truth, find_instances(probability, threshold), affine, ignore=ignore)
        )
        for threshold in thresholds
    }


def _reference_instances(files: SessionFiles, mask: npt.NDArray[np.bool_], grid: Grid) -> Labels:
    instances = optional_labels_on(grid, files.instances)
    if instances is None:
        pieces: Labels = ndimage.label(mask, CONNECTIVITY_26)[0].astype(np.int32)
        return pieces
    if ((instances > 0) != mask).any():
        raise DataError(
            f"{files.instances} and {files.mask.name} mark different voxels; correct one, or "
            "remove the former: lesions are then the connected pieces of the mask"
        )
    return instances


def _reference_regions(
    files: SessionFiles, truth: Labels, proxy: Labels | None, affine: Affine
) -> dict[int, str]:
    """Region of each lesion as the table says, else the one most of its voxels lie in."""
    if files.lesions.exists() and files.instances.exists():
        rows = table_of(files.lesions, ("lesion_id", "region"))
        named = {int(r["lesion_id"]): r["region"] for r in rows if r["lesion_id"].isdecimal()}
        return {number: region for number, region in named.items() if region in REGIONS}
    if proxy is None:
        return {}
    regions = {}
    for lesion in lesions_of(truth, affine):
        below = proxy[tuple(lesion.voxels.T)]
        votes = {name: int((below == PROXY[name]).sum()) for name in REGIONS}
        if any(votes.values()):
            regions[lesion.number] = max(votes, key=lambda name: votes[name])
    return regions


def _candidates(files: SessionFiles, instances: Labels) -> dict[int, dict[str, str]]:
    columns = ("status", "reason", "region", "probability_max", "cfpr_ratio")
    rows = table_of(files.lesions, ("lesion_id", *columns))
    try:
        candidates = {int(row["lesion_id"]): {c: row[c] for c in columns} for row in rows}
    except ValueError as error:
        raise DataError(f"{files.lesions}: lesion_id must be a number ({error})") from error
    absent = set(np.unique(instances).tolist()) - {0} - set(candidates)
    if absent:
        raise DataError(
            f"{files.lesions} has no row for lesion {min(absent)} of {files.instances.name}; "
            "run the participant level again"
        )
    return candidates


def _anatomy(
    predicted: SessionFiles, reference: SessionFiles, grid: Grid, proxy: Labels | None
) -> dict[str, float]:
    dice = {}
    if predicted.t2star_brain.exists() and reference.t2star_brain.exists():
        own, found = (labels_on(grid, f.t2star_brain) > 0 for f in (reference, predicted))
        dice["brain_t2starw"] = Overlap.of(own, found).dice
    if predicted.t1w_brain.exists() and reference.t1w_brain.exists():
        head, t1w_grid = labels_of(reference.t1w_brain)
        found = labels_on(t1w_grid, predicted.t1w_brain) > 0
        dice["brain_t1w"] = Overlap.of(head > 0, found).dice
    for kind, path in (("proxy", predicted.proxy), ("nnunet", predicted.network_labels)):
        if proxy is not None and path.exists():
            labels = labels_on(grid, path)
            for name in REGIONS:
                overlap = Overlap.of(proxy == PROXY[name], labels == PROXY[name])
                dice[f"{kind}_{name}"] = overlap.dice
    return dice


def _protocol(files: SessionFiles, affine: Affine) -> str:
    sidecar = sidecar_of(files.t2star)
    if sidecar.exists():
        try:
            content = json.loads(sidecar.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"{sidecar} is not JSON ({error}); write it again") from error
        if isinstance(content, dict) and content.get("ProtocolName"):
            return str(content["ProtocolName"])
    return voxel_text(affine)


def voxel_text(affine: Affine) -> str:
    """Voxel size along x, y and z as text.

    >>> voxel_text(np.diag([0.4286, 0.4286, 6.5, 1]))
    '0.43x0.43x6.5mm'
    """
    return "x".join(f"{round(zoom, 2):g}" for zoom in ras_zooms(affine)) + "mm"
