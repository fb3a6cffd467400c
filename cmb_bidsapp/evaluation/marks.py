"""Boxes and points of detectors, as TSV or JSON, as lesions on an image.

A table (or a JSON list of objects) has one mark a row, told by one of these sets of columns:

======================================  ==================================================
``x, y, z`` [``, diameter``]            center [and diameter] in world coordinates (RAS mm)
``x_min, y_min, z_min, x_max, ...``     box in world coordinates (RAS mm)
``i, j, k``                             center in voxels of the image, from 0
``i_min, j_min, k_min, i_max, ...``     box in voxels; both ends belong to it
======================================  ==================================================

and ``score`` (0 to 1) where the tool has one. The JSON of nnDetection is read as it is: that of
``nndet_boxes2nii``, or its predictions (``pred_boxes``, ``pred_scores``). Its boxes are ``(axis 0
min, axis 1 min, axis 0 max, axis 1 max, axis 2 min, axis 2 max)`` of the array that SimpleITK
makes, whose axes are those of the NIfTI in reverse, and end one voxel outside the lesion.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.core.statistics import NAN
from cmb_bidsapp.evaluation.matching import Mark
from cmb_bidsapp.evaluation.reading import json_of
from cmb_bidsapp.preprocess.resampling import Grid

Vector = npt.NDArray[np.float64]
Cells = Mapping[str, float]

POINT_MM, POINT_VOXEL = ("x", "y", "z"), ("i", "j", "k")
BOX_MM, BOX_VOXEL = (
    tuple(f"{axis}_{end}" for end in ("min", "max") for axis in axes)
    for axes in (POINT_MM, POINT_VOXEL)
)
#: Sets of columns that tell where a mark is, the fullest first.
LAYOUTS = (BOX_VOXEL, BOX_MM, POINT_VOXEL, POINT_MM)
#: Where the values of an nnDetection box belong.
_NNDETECTION = ("k_min", "j_min", "k_max", "j_max", "i_min", "i_max")
#: Ends that lie on a voxel's center, whatever the rounding.
_EDGE = 1e-6


@dataclass(frozen=True)
class Marks:
    """Lesions of a list of marks.

    Attributes
    ----------
    extent
        Whether every mark tells how large it is; else a lesion is the voxel that a mark lies in.
    """

    lesions: list[Mark]
    extent: bool


def read_marks(path: Path, grid: Grid) -> Marks:
    """Read marks as lesions on a grid, in the order of the list.

    Parameters
    ----------
    path
        A TSV or JSON file; :mod:`cmb_bidsapp.evaluation.marks` says what may be in it.
    grid
        Voxels of the image that was marked.

    Raises
    ------
    DataError
        The file is no such list, or a mark lies outside the image.
    """
    rows = _rows_of_json(path) if path.suffix == ".json" else _rows_of_table(path)
    lesions = [_lesion(row, number, grid, path) for number, row in enumerate(rows, 1)]
    sized = all(not set(BOX_MM + BOX_VOXEL).isdisjoint(row) or row.get("diameter") for row in rows)
    return Marks(lesions, sized)


def _rows_of_table(path: Path) -> list[Cells]:
    try:
        rows = read_table(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}") from error
    return [_numbers(row, path, number) for number, row in enumerate(rows, 1)]


def _rows_of_json(path: Path) -> list[Cells]:
    content = json_of(path)
    if isinstance(content, dict) and "pred_boxes" in content:
        boxes, scores = content["pred_boxes"], content.get("pred_scores")
        if scores is not None and len(scores) != len(boxes):
            raise DataError(f"{path}: pred_boxes and pred_scores differ in number; write it again")
        entries = [{"box": box} for box in boxes]
        for entry, score in zip(entries, scores or (), strict=False):
            entry["score"] = score
    elif isinstance(content, dict):
        entries = list(content.values())
    else:
        entries = content
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise DataError(f"{path} is no list of marks; see docs/evaluation.md for what is read")
    return [_numbers(_unboxed(entry, path), path, n) for n, entry in enumerate(entries, 1)]


def _unboxed(entry: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """An entry with the values of its nnDetection box by name."""
    if "box" not in entry:
        return entry
    box = entry["box"]
    if not isinstance(box, Sequence) or len(box) != len(_NNDETECTION):
        raise DataError(f"{path}: expected a box of six values, got {box}")
    values = dict(zip(_NNDETECTION, box, strict=True))
    open_ends = {
        name: float(value) + (2 if name.endswith("min") else -2) * _EDGE
        for name, value in values.items()
    }
    return {**entry, **open_ends}


def _numbers(row: Mapping[str, Any], path: Path, number: int) -> Cells:
    """The columns of a mark that are used, as numbers."""
    layout = next((names for names in LAYOUTS if set(names) <= set(row)), None)
    if layout is None:
        raise DataError(
            f"{path}: mark {number} needs {', '.join(POINT_MM)} (mm), {', '.join(POINT_VOXEL)} "
            f"(voxels), or the ends of a box ({BOX_MM[0]} ..., {BOX_VOXEL[0]} ...)"
        )
    optional = [n for n in ("diameter", "score") if row.get(n) not in (None, "", "n/a")]
    try:
        values = {name: float(row[name]) for name in (*layout, *optional)}
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: mark {number}: {error}") from error
    if not all(map(math.isfinite, values.values())):
        raise DataError(f"{path}: mark {number} has a value that is not finite")
    return values


def _lesion(row: Cells, number: int, grid: Grid, path: Path) -> Mark:
    if "i_min" in row:
        low, high = _corners(row, BOX_VOXEL)
        center = _world(grid, (low + high) / 2)
        voxels = _window(grid, low - _EDGE, high + _EDGE)
    elif "x_min" in row:
        low, high = _corners(row, BOX_MM)
        center = (low + high) / 2
        around = _around(grid, low, high)
        world = _world(grid, around)
        inside = ((world >= low - _EDGE) & (world <= high + _EDGE)).all(axis=1)
        voxels = around[inside]
    elif "i" in row:
        center = _world(grid, np.array([row[name] for name in POINT_VOXEL]))
        voxels = np.zeros((0, 3), np.intp)
    else:
        center = np.array([row[name] for name in POINT_MM])
        radius = row.get("diameter", 0.0) / 2
        around = _around(grid, center - radius, center + radius)
        inside = np.linalg.norm(_world(grid, around) - center, axis=1) <= radius + _EDGE
        voxels = around[inside]
    if not len(voxels):
        # Smaller than a voxel, or between two: the one it lies in.
        voxels = np.round(_voxel(grid, center)).astype(np.intp)[None]
        if not ((voxels >= 0) & (voxels < grid.shape)).all():
            where = ", ".join(f"{value:.1f}" for value in center)
            raise DataError(
                f"{path}: mark {number} at ({where}) mm lies outside the image; world coordinates "
                "are RAS mm, those of voxels begin at 0"
            )
    x, y, z = center.tolist()
    return Mark(number=number, center=(x, y, z), voxels=voxels, score=row.get("score", NAN))


def _corners(row: Cells, names: Sequence[str]) -> tuple[Vector, Vector]:
    ends = np.array([row[name] for name in names]).reshape(2, 3)
    return ends.min(axis=0), ends.max(axis=0)


def _world(grid: Grid, voxels: npt.NDArray[Any]) -> Vector:
    return np.asarray(voxels @ grid.affine[:3, :3].T + grid.affine[:3, 3], np.float64)


def _voxel(grid: Grid, world: Vector) -> Vector:
    inverse = np.linalg.inv(grid.affine)
    return np.asarray(world @ inverse[:3, :3].T + inverse[:3, 3], np.float64)


def _around(grid: Grid, low: Vector, high: Vector) -> npt.NDArray[np.intp]:
    """Voxels of the image in the window that holds a box of the world (mm)."""
    corners = np.array([*itertools.product(*zip(low, high, strict=True))])
    there = _voxel(grid, corners)
    return _window(grid, there.min(axis=0) - 1, there.max(axis=0) + 1)


def _window(grid: Grid, low: Vector, high: Vector) -> npt.NDArray[np.intp]:
    """Voxels of the image from ``low`` to ``high``, shape ``(n, 3)``."""
    first = np.maximum(np.ceil(low), 0).astype(np.intp)
    last = np.minimum(np.floor(high), np.array(grid.shape) - 1).astype(np.intp)
    ranges = [np.arange(a, b + 1) for a, b in zip(first, last, strict=True)]
    return np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.intp)
