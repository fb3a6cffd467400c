"""What a method found in a session: the app's own output, an image, or a list of marks.

========  =========================================  ============================================
kind      files                                      lesions
========  =========================================  ============================================
app       mask, instances and lesion table           its candidates, before and after CFPR
image     mask, instances, probabilities or classes  pieces of the mask; the numbers; pieces that
                                                     reach 0.5; pieces of the class named CMB
marks     boxes or points, TSV or JSON               one a row, see :mod:`.marks`
========  =========================================  ============================================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import sidecar_of
from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.core.arrays import Affine, Image, Labels, Mask
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.evaluation.marks import read_marks
from cmb_bidsapp.evaluation.matching import Mark, by_number, lesions_of, pieces_of
from cmb_bidsapp.evaluation.places import place_of, row_of
from cmb_bidsapp.evaluation.presets import Rules
from cmb_bidsapp.evaluation.reading import decisions_of, json_of, labels_on, values_on
from cmb_bidsapp.evaluation.results import AFTER, BEFORE, GIVEN
from cmb_bidsapp.lesions.instances import (
    EXTENT,
    in_one_spot,
    numbered,
    peak_values,
    split_at_peaks,
)
from cmb_bidsapp.lesions.lesion import PhaseSign
from cmb_bidsapp.lesions.windows import voxels_in
from cmb_bidsapp.preprocess.resampling import Grid

#: Columns of the app's lesion table that are handed on as they are.
HANDED_ON = ("status", "reason", "probability_max", "cfpr_ratio")
#: How names say that something is about microbleeds.
SAYS_CMB = re.compile(r"cmb|microbleed", re.IGNORECASE)
#: An instance larger than this (ml) is none: a macrohemorrhage rarely is, a brain region is.
LARGEST_ML = 50.0


@dataclass(frozen=True, kw_only=True)
class PredictionFiles(SessionFiles):
    """A session's files, and the one among them that holds the lesions."""

    path: Path

    @property
    def is_app(self) -> bool:
        """Whether the session is output of this app, with its candidates."""
        return self.path == self.mask and (self.instances.exists() or self.lesions.exists())


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Lesions of a session as a method has them.

    Attributes
    ----------
    stages
        By stage (:data:`cmb_bidsapp.evaluation.results.BEFORE` and so on).
    extent
        Whether the lesions' voxels are theirs; points are only somewhere.
    scored
        Lesions at a threshold, before CFPR; ``None`` where there is nothing to set one on.
    instances
        Candidates of the app by number.
    signs
        Their signs in the phase by number; ``None`` where the session has no phase.
    """

    stages: Mapping[str, Sequence[Mark]]
    extent: bool = True
    scored: Callable[[float], Sequence[Mark]] | None = None
    instances: Labels | None = None
    signs: Mapping[int, PhaseSign] | None = None


def read_prediction(given: PredictionFiles, grid: Grid, rules: Rules) -> Prediction:
    """Read a session's lesions, on the grid of the reference.

    Parameters
    ----------
    given
        The session's files.
    grid
        Voxels of the reference.
    rules
        Connectivity, smallest score, and what a lesion is.

    Raises
    ------
    DataError
        A file is absent, damaged, on another grid, or not what its name says.
    """
    if given.is_app:
        return _app(given, grid, rules)
    if given.path.name.endswith((".tsv", ".json")):
        marks = read_marks(given.path, grid)
        return _by_score(marks.lesions, rules, extent=marks.extent)
    return _image(given.path, grid, rules)


def _app(files: SessionFiles, grid: Grid, rules: Rules) -> Prediction:
    instances = labels_on(grid, files.instances)
    final = labels_on(grid, files.mask) > 0
    if (final & (instances == 0)).any():
        raise DataError(
            f"{files.mask} has voxels that {files.instances.name} lacks; "
            "run the participant level again"
        )
    own = decisions_of(files.lesions, ("lesion_id", "region", *HANDED_ON))
    by_number = {lesion.number: lesion for lesion in own}

    def described(lesion: Mark) -> Mark:
        number = row_of(lesion, instances)
        if number not in by_number:
            raise DataError(
                f"{files.lesions} has no row for lesion {number} of {files.instances.name}; "
                "run the participant level again"
            )
        one = by_number[number]
        told = {column: getattr(one, column) for column in HANDED_ON}
        place = place_of(one.region, one.side, one.mars_region, border=one.border)
        return replace(lesion, place=place, told=told)

    stages = {}
    for stage, found in ((BEFORE, instances), (AFTER, np.where(final, instances, 0))):
        if rules.preset.pieces:
            lesions = pieces_of(found > 0, grid.affine, rules.connectivity)
        else:
            lesions = lesions_of(found, grid.affine)
        stages[stage] = [described(lesion) for lesion in lesions]
    scored = None
    if rules.thresholds and files.probability.exists():
        scored = _as_the_app(files, values_on(grid, files.probability), grid)
    signs = {lesion.number: lesion.phase_sign for lesion in own if lesion.phase_sign is not None}
    return Prediction(stages=stages, scored=scored, instances=instances, signs=signs or None)


def _image(path: Path, grid: Grid, rules: Rules) -> Prediction:
    values = values_on(grid, path)
    if is_soft(path, values):
        lesions = pieces_of(values >= EXTENT, grid.affine, rules.connectivity)
        return Prediction(stages={GIVEN: lesions}, scored=_by_probability(values, grid.affine))
    mask, numbers = mask_and_numbers(path, values, grid)
    if numbers is None or rules.preset.pieces:
        return Prediction(stages={GIVEN: pieces_of(mask, grid.affine, rules.connectivity)})
    scores = _scores_beside(path)
    lesions = [
        replace(lesion, score=scores.get(lesion.number, lesion.score))
        for lesion in lesions_of(numbers, grid.affine)
    ]
    return _by_score(lesions, rules)


def is_soft(path: Path, values: Image) -> bool:
    """Whether an image holds probabilities, or shares of raters: fractions up to 1.

    Parameters
    ----------
    path
        Where they are from, for messages.
    values
        Of an image, any shape, 0 or more.

    Raises
    ------
    DataError
        There are fractions above 1.
    """
    inside = values[values > 0]
    soft = bool((np.abs(inside - np.rint(inside)) > 1e-3).any())
    if soft and inside.max() > 1 + 1e-3:
        raise DataError(f"{path} holds fractions above 1: neither a mask nor probabilities")
    return soft


def mask_and_numbers(path: Path, values: Image, grid: Grid) -> tuple[Mask, Labels | None]:
    """Lesion voxels of a label image, and their numbers where it has several values.

    Parameters
    ----------
    path
        Where they are from; a table or ``dataset.json`` beside it may name the CMB class.
    values
        Of an image, shape ``(x, y, z)``, whole numbers.
    grid
        Voxels of the image.

    Raises
    ------
    DataError
        The values are classes, and nothing says which is CMB.
    """
    numbers = np.rint(values).astype(np.int32)
    wanted = class_of(path)
    if wanted is not None:
        return numbers == wanted, None
    sizes = np.bincount(numbers[numbers > 0])
    if np.count_nonzero(sizes) > 1:
        if sizes.max() * np.prod(grid.spacing) > 1000 * LARGEST_ML:
            raise DataError(
                f"{path}: value {sizes.argmax()} fills more than {LARGEST_ML:g} ml, so the values "
                "are classes, not lesions; put a table (index, name) or nnU-Net's dataset.json "
                "beside it that names the CMB class, or give a mask"
            )
        return numbers > 0, numbers
    return numbers > 0, None


def _by_score(lesions: Sequence[Mark], rules: Rules, *, extent: bool = True) -> Prediction:
    """Lesions that reach the score that counts; those without a score all do."""
    if not lesions or any(np.isnan(lesion.score) for lesion in lesions):
        return Prediction(stages={GIVEN: lesions}, extent=extent)

    def scored(threshold: float) -> list[Mark]:
        return [lesion for lesion in lesions if lesion.score >= threshold]

    return Prediction(stages={GIVEN: scored(rules.min_score)}, extent=extent, scored=scored)


def _as_the_app(
    files: SessionFiles, probability: Image, grid: Grid
) -> Callable[[float], list[Mark]]:
    """Lesions as the app would find them at a threshold (:func:`.instances.find_instances`).

    An output without its preprocessed T2*w is taken like any other map of probabilities.
    """
    if not files.t2star.exists():
        return _by_probability(probability, grid.affine)
    t2star = values_on(grid, files.t2star)

    @cache
    def pieces(
        extent: float,
    ) -> tuple[npt.NDArray[np.intp], Labels, Image, npt.NDArray[np.intp]]:
        """Their voxels, the number of each, the peaks, and pairs that are one lesion."""
        divided = split_at_peaks(probability, extent, grid.header_spacing)
        voxels = voxels_in(divided)
        peaks = peak_values(probability, divided, int(divided.max()))
        return voxels, divided[tuple(voxels.T)], peaks, in_one_spot(divided, t2star, grid)

    def scored(threshold: float) -> list[Mark]:
        voxels, piece, peaks, pairs = pieces(min(threshold, EXTENT))
        number = numbered(peaks >= threshold, pairs)[piece]
        return by_number(voxels[number > 0], number[number > 0], grid.affine)

    return scored


def _by_probability(probability: Image, affine: Affine) -> Callable[[float], list[Mark]]:
    """Connected pieces that reach a threshold; they extend to 0.5, or to it where it is lower."""
    known: dict[float, list[Mark]] = {}

    def scored(threshold: float) -> list[Mark]:
        extent = min(threshold, EXTENT)
        if extent not in known:
            known[extent] = [
                replace(lesion, score=float(probability[tuple(lesion.voxels.T)].max()))
                for lesion in pieces_of(probability >= extent, affine)
            ]
        # Compared in the precision of the map, as the app does.
        return [one for one in known[extent] if np.float32(one.score) >= np.float32(threshold)]

    return scored


def class_of(path: Path) -> int | None:
    """Value of the CMB class of a label image, as a file beside it says; else ``None``.

    Read are the label table of a BIDS dseg (``index``, ``name``) and nnU-Net's ``dataset.json``.
    """
    table = sidecar_of(path).with_suffix(".tsv")
    named: dict[str, Any] = {}
    if table.exists():
        try:
            named = {row["name"]: row["index"] for row in read_table(table, ("index", "name"))}
        except ValueError:
            named = {}
    else:
        content = json_of(path.parent / "dataset.json")
        if isinstance(content, dict) and isinstance(content.get("labels"), dict):
            named = content["labels"]
    values = [value for name, value in named.items() if SAYS_CMB.search(name)]
    # Several of that name are lesions, not classes.
    return int(values[0]) if len(values) == 1 else None


def _scores_beside(path: Path) -> dict[int, float]:
    """Scores of instances by number, as ``nndet_boxes2nii`` writes them in the JSON beside."""
    content = json_of(sidecar_of(path))
    if not isinstance(content, dict):
        return {}
    return {
        int(number): float(entry["score"])
        for number, entry in content.items()
        if number.isdecimal() and isinstance(entry, dict) and "score" in entry
    }
