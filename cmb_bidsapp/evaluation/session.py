"""One session: its images in, numbers out; nothing of a session's images outlives it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from cmb_bidsapp.bids.derivatives import SessionFiles, ending
from cmb_bidsapp.bids.outputs import sidecar_of
from cmb_bidsapp.core.decisions import Decisions
from cmb_bidsapp.evaluation.anatomy import compare_anatomy
from cmb_bidsapp.evaluation.predictions import (
    SAYS_CMB,
    Prediction,
    PredictionFiles,
    read_prediction,
)
from cmb_bidsapp.evaluation.presets import DEFAULT_RULES, Rules
from cmb_bidsapp.evaluation.reading import json_of, labels_on
from cmb_bidsapp.evaluation.results import BEFORE, Point, SessionResult
from cmb_bidsapp.evaluation.truth import Truth, read_truth
from cmb_bidsapp.lesions.rules import decide, grounds_of, rules_of

#: Radii of the periphery (mm) that CFPR is tried with (paper, figure 4b); at 0 it keeps all.
RADII = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0)

_IMAGE, _LIST = (".nii.gz", ".nii"), (".tsv", ".json")
#: Names of what is near the lesions of a method, but not its last word on them.
_NOT_LESIONS = re.compile(
    r"_desc-(raw|ignore|mimics)_|_space-MNI|_(probseg|T1w|T2w|T2starw|FLAIR|swi|xfm)\."
    r"|_(changes|implants|mars|qc|ratings|sensitivity|summary|tracks)\.",
    re.IGNORECASE,
)
_ELSEWHERE = {"logs", "figures", "sourcedata"}


def find_sessions(
    root: Path, pattern: str = "**/*"
) -> tuple[dict[str, PredictionFiles], list[str]]:
    """Find the file with the lesions of every session below a folder.

    It is ``*_space-T2starw_label-CMB_mask.nii.gz`` where there is one, else the only mask, or
    image, or list of marks whose name says CMB or microbleed, else the only one there is. The
    session is that of the first ``sub-LABEL`` and ``ses-LABEL`` in the file's name, or of its
    folders.

    Parameters
    ----------
    root
        The folder.
    pattern
        Files to look at, as for :meth:`pathlib.Path.glob`.

    Returns
    -------
    sessions, left_out
        By label; what was left out, and why.
    """
    files: dict[str, list[PredictionFiles]] = {}
    for path in sorted(root.glob(pattern)):
        place = path.relative_to(root)
        if path.name.endswith(_IMAGE + _LIST) and not _ELSEWHERE.intersection(place.parts):
            sub, ses = (_label(key, path.name, place.as_posix()) for key in ("sub", "ses"))
            if sub is not None:
                given = PredictionFiles(out_dir=root, participant=sub, session=ses, path=path)
                files.setdefault(given.label, []).append(given)
    sessions, left_out = {}, []
    for label, found in sorted(files.items()):
        best, others = _choose(found, every=pattern != "**/*")
        if best is not None:
            sessions[label] = best
            left_out += [f"{one.path}: {best.path.name} is used" for one in others]
        elif others:
            names = ", ".join(one.path.name for one in others[:3])
            left_out.append(
                f"{label}: expected one file with lesions, found {len(others)} ({names}); select "
                "one with a pattern such as FOLDER/**/*_pred.nii.gz"
            )
    return sessions, left_out


def _label(key: str, *names: str) -> str | None:
    found = (re.search(f"{key}-([0-9A-Za-z]+)", name) for name in names)
    return next((one.group(1) for one in found if one), None)


def _choose(
    found: list[PredictionFiles], *, every: bool
) -> tuple[PredictionFiles | None, list[PredictionFiles]]:
    """The file with the lesions, and those that might have been it; ``every`` file may be."""
    stems = {one.path.name.split(".")[0] for one in found if one.path.name.endswith(_IMAGE)}
    stems |= {one.path.stem for one in found if one.path.suffix == ".tsv"}
    ours = next((one for one in found if one.path == one.mask), None)
    if ours is not None and not every:
        end = ending(lambda files: files.mask)
        return ours, [one for one in found if one.path.name.endswith(end) and one is not ours]
    possible = [
        one
        for one in found
        if (every or not _NOT_LESIONS.search(one.path.name))
        and not (one.path.suffix == ".json" and one.path.stem in stems)
    ]
    named = [one for one in possible if every or SAYS_CMB.search(one.path.name)]
    for kind in (("_mask.nii.gz", "_mask.nii"), _IMAGE, _LIST):
        of_kind = [one for one in named or possible if one.path.name.endswith(kind)]
        if of_kind:
            return (of_kind[0], []) if len(of_kind) == 1 else (None, of_kind)
    return None, []


def evaluate_session(
    predicted: SessionFiles, reference: SessionFiles, rules: Rules = DEFAULT_RULES
) -> SessionResult:
    """Hold one session of this app against its reference; see :func:`evaluate`.

    Parameters
    ----------
    predicted, reference
        Derivatives of the session, from this app or as ``simulate`` writes its truth.
    rules
        What a lesion, a hit, F1 and Dice are.
    """
    given, truth = (
        files
        if isinstance(files, PredictionFiles)
        else PredictionFiles(
            out_dir=files.out_dir,
            participant=files.participant,
            session=files.session,
            path=files.mask,
        )
        for files in (predicted, reference)
    )
    return evaluate("", given, read_truth(truth, rules), rules)


def evaluate(method: str, predicted: PredictionFiles, truth: Truth, rules: Rules) -> SessionResult:
    """Hold a method's lesions in one session against the reference.

    Parameters
    ----------
    method
        Name of what was used.
    predicted
        What it found.
    truth
        The reference.
    rules
        What a lesion, a hit, F1 and Dice are.

    Raises
    ------
    DataError
        A file is absent, damaged, on another grid, or contradicts another one.
    """
    prediction = read_prediction(predicted, truth.grid, rules)
    preset, extent = rules.preset, prediction.extent
    froc = {}
    if prediction.scored is not None:
        froc = {
            threshold: truth.compare(prediction.scored(threshold), preset, extent=extent).counts
            for threshold in rules.thresholds
        }
    dice, side_errors = compare_anatomy(predicted, truth.files, truth.grid, truth.proxy)
    return SessionResult(
        method=method,
        participant=predicted.participant,
        session=predicted.session,
        protocol=truth.protocol,
        stages={
            stage: truth.compare(lesions, preset, extent=extent)
            for stage, lesions in prediction.stages.items()
        },
        mimics_known=truth.around.mimics is not None,
        voxel_mm3=float(np.prod(truth.grid.spacing)),
        anatomy=dice,
        side_errors=side_errors,
        froc=froc,
        radii=_sweep_radii(predicted, prediction, truth, rules),
    )


def _sweep_radii(
    files: PredictionFiles, prediction: Prediction, truth: Truth, rules: Rules
) -> dict[float, Point]:
    """CFPR with other radii; all else as the run had it."""
    if prediction.instances is None or not files.network_labels.exists():
        return {}
    labels = labels_on(truth.grid, files.network_labels)
    numbers = np.unique(prediction.instances[prediction.instances > 0]).tolist()
    sidecar = json_of(sidecar_of(files.mask))
    run = sidecar.get("Decisions", {}) if isinstance(sidecar, dict) else {}
    points = {}
    for radius in RADII:
        decisions = replace(Decisions.written(run), cfpr=True, cfpr_radius=radius)
        grounds = grounds_of(
            prediction.instances, labels, truth.grid.spacing, decisions, prediction.signs
        )
        rules_then = rules_of(decisions, grounds)
        kept = {one for one in numbers if decide(one, rules_then).kept}
        found = [
            lesion
            for lesion in prediction.stages[BEFORE]
            if prediction.instances[tuple(lesion.voxels[0])] in kept
        ]
        stage = truth.compare(found, rules.preset)
        points[radius] = Point(stage.counts, stage.dice)
    return points
