"""Reading derivatives: on one grid, with the columns that are needed, or a clear error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.bids.images import UNREADABLE, read_derivative, read_labels
from cmb_bidsapp.bids.outputs import read_table
from cmb_bidsapp.preprocess.resampling import Affine, Grid
from cmb_bidsapp.runtime.errors import DataError

Labels = npt.NDArray[np.int32]
Image = TypeVar("Image", Labels, npt.NDArray[np.float32])


def labels_of(path: Path) -> tuple[Labels, Grid]:
    """Labels of a file, and their grid.

    Raises
    ------
    DataError
        The file is absent, damaged, or no volume.
    """
    return _read(path, read_labels)


def labels_on(grid: Grid, path: Path) -> Labels:
    """Labels of a file that must lie on ``grid``."""
    labels, own = labels_of(path)
    _check(path, own, grid)
    return labels


def optional_labels_on(grid: Grid, path: Path) -> Labels | None:
    """Labels of a file that must lie on ``grid``; ``None`` where there is no such file."""
    return labels_on(grid, path) if path.exists() else None


def probability_on(grid: Grid, path: Path) -> npt.NDArray[np.float32]:
    """Probability map that must lie on ``grid``."""
    probability, own = _read(path, read_derivative)
    _check(path, own, grid)
    return probability


def table_of(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a table that must have the columns."""
    _need(path)
    try:
        return read_table(path, columns)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}") from error


def _read(path: Path, read: Callable[[Path], tuple[Image, Affine]]) -> tuple[Image, Grid]:
    _need(path)
    try:
        data, affine = read(path)
    except UNREADABLE as error:
        raise DataError(f"{path} cannot be read ({error}); write or copy it again") from error
    if data.ndim != 3:
        raise DataError(f"{path} has shape {data.shape}; one 3D volume is needed")
    return data, Grid.of(data, affine)


def _need(path: Path) -> None:
    if not path.exists():
        raise DataError(f"{path} does not exist; it belongs to the CMB mask beside it")


def _check(path: Path, own: Grid, grid: Grid) -> None:
    if not own.is_same_as(grid):
        sizes = (" x ".join(map(str, g.shape)) for g in (own, grid))
        raise DataError(
            "{} ({} voxels) does not lie on the grid of the reference ({}); "
            "resample one to the other".format(path, *sizes)
        )
