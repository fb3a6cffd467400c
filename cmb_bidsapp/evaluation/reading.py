"""Reading derivatives: on one grid, with the columns that are needed, or a clear error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import nibabel as nib
import numpy as np
import numpy.typing as npt

from cmb_bidsapp.bids.images import read_derivative, read_labels
from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.bids.text import load_json
from cmb_bidsapp.core.arrays import Image, Labels, Volume
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.lesions.lesion import Lesion
from cmb_bidsapp.lesions.table import read_lesions
from cmb_bidsapp.preprocess.resampling import Grid

Kind = TypeVar("Kind", np.int32, np.float32)
AnyRow = TypeVar("AnyRow")


def labels_of(path: Path) -> tuple[Labels, Grid]:
    """Labels of a file, and their grid.

    Raises
    ------
    DataError
        The file is absent, damaged, or no volume.
    """
    return _read(path, read_labels)


def values_of(path: Path) -> tuple[Image, Grid]:
    """Values of a file, and their grid; errors as of :func:`labels_of`."""
    return _read(path, read_derivative)


def labels_on(grid: Grid, path: Path) -> Labels:
    """Labels of a file, its axes turned to those of a grid, int32.

    Parameters
    ----------
    grid
        Where they must lie.
    path
        NIfTI file.
    """
    return _turned(path, *labels_of(path), grid)


def optional_labels_on(grid: Grid, path: Path) -> Labels | None:
    """Labels of a file as of :func:`labels_on`; ``None`` where there is no such file.

    Parameters
    ----------
    grid
        Where they must lie.
    path
        NIfTI file.
    """
    return labels_on(grid, path) if path.exists() else None


def values_on(grid: Grid, path: Path) -> Image:
    """Values of a file, its axes turned to those of a grid, float32.

    Parameters
    ----------
    grid
        Where they must lie.
    path
        NIfTI file.
    """
    return _turned(path, *values_of(path), grid)


def table_of(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a table, all cells as text.

    Parameters
    ----------
    path
        TSV file.
    columns
        Those that it must have.
    """
    return _rows_of(path, columns, read_table)


def decisions_of(path: Path, columns: Sequence[str]) -> list[Lesion]:
    """Lesions of a lesion table of the app.

    Parameters
    ----------
    path
        TSV file.
    columns
        Those that it must have.
    """
    return _rows_of(path, columns, read_lesions)


def _rows_of(
    path: Path, columns: Sequence[str], read: Callable[[Path, Sequence[str]], list[AnyRow]]
) -> list[AnyRow]:
    _need(path)
    try:
        return read(path, columns)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}") from error


def json_of(path: Path) -> Any:
    """Content of a JSON file; ``None`` where there is none."""
    if not path.exists():
        return None
    try:
        return load_json(path)
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error}); write it again") from error


def _read(path: Path, read: Callable[[Path], Volume[Kind]]) -> tuple[npt.NDArray[Kind], Grid]:
    _need(path)
    volume = read(path)
    data = volume.data
    if data.ndim == 4 and data.shape[3] == 1:
        data = data[..., 0]
    if data.ndim != 3:
        raise DataError(f"{path} has shape {data.shape}; one 3D volume is needed")
    return data, Grid.of(data, volume.affine)


def _need(path: Path) -> None:
    if not path.exists():
        raise DataError(f"{path} does not exist; it belongs to the CMB mask beside it")


def _turned(path: Path, data: npt.NDArray[Kind], own: Grid, grid: Grid) -> npt.NDArray[Kind]:
    """The same voxels in the order of ``grid``: tools write images back with other axes."""
    axes, wanted = (nib.orientations.io_orientation(g.affine) for g in (own, grid))
    if not np.array_equal(axes, wanted):
        turn = nib.orientations.ornt_transform(axes, wanted)
        affine = own.affine @ nib.orientations.inv_ornt_aff(turn, own.shape)
        data = nib.orientations.apply_orientation(data, turn)
        own = Grid.of(data, affine)
    if not own.is_same_as(grid):
        sizes = (" x ".join(map(str, g.shape)) for g in (own, grid))
        raise DataError(
            "{} ({} voxels) does not lie on the grid of the reference ({}); "
            "resample one to the other".format(path, *sizes)
        )
    return data
