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
from cmb_bidsapp.evaluation.anatomy import compare_anatomy
from cmb_bidsapp.evaluation.comparison import compare
from cmb_bidsapp.evaluation.metrics import Counts, Overlap
from cmb_bidsapp.evaluation.places import place_of, reference_places
from cmb_bidsapp.evaluation.reading import (
    Labels,
    labels_of,
    labels_on,
    optional_labels_on,
    probability_on,
    table_of,
)
from cmb_bidsapp.evaluation.results import AFTER, BEFORE, SessionResult, Stage
from cmb_bidsapp.lesions.candidates import CONNECTIVITY_26, find_instances
from cmb_bidsapp.lesions.segment import ras_zooms
from cmb_bidsapp.preprocess.resampling import Affine, Grid
from cmb_bidsapp.runtime.errors import DataError

#: Columns of the app's lesion table that are handed on as they are.
_HANDED_ON = ("status", "reason", "probability_max", "cfpr_ratio")


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
    rows = _lesion_rows(predicted, instances)
    own_places = reference_places(reference, truth, proxy, grid.affine)
    found_places = {number: place_of(row) for number, row in rows.items()}
    stages = {}
    for name, found in ((BEFORE, instances), (AFTER, np.where(final, instances, 0))):
        fates = compare(
            truth,
            found,
            grid.affine,
            ignore=ignore,
            mimics=mimics,
            reference_places=own_places,
            predicted_places=found_places,
        )
        stages[name] = Stage(tuple(fates), Overlap.of(truth > 0, found > 0))
    sweep = {}
    if thresholds and predicted.probability.exists():
        probability = probability_on(grid, predicted.probability)
        sweep = sweep_thresholds(probability, thresholds, truth, grid.affine, ignore)
    anatomy, side_errors = compare_anatomy(predicted, reference, grid, proxy)
    return SessionResult(
        predicted.participant,
        predicted.session,
        _protocol(reference, grid.affine),
        stages,
        {number: {key: row[key] for key in _HANDED_ON} for number, row in rows.items()},
        mimics is not None,
        anatomy,
        side_errors,
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


def _lesion_rows(files: SessionFiles, instances: Labels) -> dict[int, dict[str, str]]:
    """Rows of the app's lesion table by the number of the lesion."""
    table = table_of(files.lesions, ("lesion_id", "region", *_HANDED_ON))
    try:
        rows = {int(row["lesion_id"]): row for row in table}
    except ValueError as error:
        raise DataError(f"{files.lesions}: lesion_id must be a number ({error})") from error
    absent = set(np.unique(instances).tolist()) - {0} - set(rows)
    if absent:
        raise DataError(
            f"{files.lesions} has no row for lesion {min(absent)} of {files.instances.name}; "
            "run the participant level again"
        )
    return rows


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
