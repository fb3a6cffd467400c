"""The reference of a session, and what holding lesions against it gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.bids.outputs import sidecar_of
from cmb_bidsapp.core.arrays import Affine, Image, Labels, Mask
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.core.statistics import NAN
from cmb_bidsapp.evaluation.comparison import Surroundings, compare
from cmb_bidsapp.evaluation.matching import Mark, Place, lesions_of, pieces_of, voxels_of
from cmb_bidsapp.evaluation.metrics import Overlap
from cmb_bidsapp.evaluation.places import place_of, place_on, row_of
from cmb_bidsapp.evaluation.predictions import PredictionFiles, is_soft, mask_and_numbers
from cmb_bidsapp.evaluation.presets import Preset, Rules
from cmb_bidsapp.evaluation.reading import json_of, optional_labels_on, table_of, values_of
from cmb_bidsapp.evaluation.results import Stage
from cmb_bidsapp.lesions.axes import ras_zooms
from cmb_bidsapp.preprocess.resampling import Grid


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The reference of a session.

    Attributes
    ----------
    grid
        That all images must lie on.
    voxels
        Of all lesions, as places in the image.
    proxy
        Proxy classes, where there are any.
    """

    files: PredictionFiles
    grid: Grid
    lesions: Sequence[Mark]
    voxels: npt.NDArray[np.intp]
    around: Surroundings
    proxy: Labels | None
    protocol: str

    def compare(self, found: Sequence[Mark], preset: Preset, *, extent: bool = True) -> Stage:
        """Hold predicted lesions against it.

        Parameters
        ----------
        found
            Predicted lesions, on the grid of the truth.
        preset
            What hits what, and what Dice is.
        extent
            Whether the predicted lesions' voxels are theirs; else there is no Dice.
        """
        fates = compare(self.lesions, found, self.around, preset.match)
        if extent:
            overlap = Overlap.of_places(self.voxels, voxels_of(found, self.around.shape))
        else:
            overlap = Overlap(len(self.voxels), NAN, NAN)
            fates = [replace(fate, dice=NAN) for fate in fates]
        return Stage(tuple(fates), overlap, preset.dice(overlap, fates) if extent else NAN)


def read_truth(files: PredictionFiles, rules: Rules) -> Truth:
    """Read the reference: a truth as ``simulate`` writes it, or a mask alone.

    Parameters
    ----------
    files
        The session's files, and the mask or label image among them.
    rules
        Connectivity, and what a lesion is.

    Raises
    ------
    DataError
        A file is damaged, on another grid, or contradicts another one.
    """
    values, grid = values_of(files.path)
    mask, instances = _mask_and_instances(files, values, grid)
    if instances is None or rules.preset.pieces:
        lesions = pieces_of(mask, grid.affine, rules.connectivity)
    else:
        lesions = lesions_of(instances, grid.affine)
    if rules.preset.weighted:
        lesions = [replace(one, weight=_weight(one, values)) for one in lesions]
    proxy = optional_labels_on(grid, files.proxy)
    places = _places(files, instances)

    def placed(lesion: Mark) -> Mark:
        if instances is not None and places is not None:
            return replace(lesion, place=places.get(row_of(lesion, instances), Place()))
        return lesion if proxy is None else replace(lesion, place=place_on(proxy, lesion))

    return Truth(
        files=files,
        grid=grid,
        lesions=[placed(lesion) for lesion in lesions],
        voxels=voxels_of(lesions, grid.shape),
        around=Surroundings(
            grid.shape,
            _ignored(files, grid) if rules.preset.ignores else None,
            optional_labels_on(grid, files.mimics),
        ),
        proxy=proxy,
        protocol=_protocol(files, grid.affine),
    )


def _mask_and_instances(
    files: PredictionFiles, values: Image, grid: Grid
) -> tuple[Mask, Labels | None]:
    if files.path != files.mask and not is_soft(files.path, values):
        return mask_and_numbers(files.path, values, grid)
    mask, instances = values > 0, None
    if files.path == files.mask:
        instances = optional_labels_on(grid, files.instances)
    if instances is not None and ((instances > 0) != mask).any():
        raise DataError(
            f"{files.instances} and {files.mask.name} mark different voxels; correct one, or "
            "remove the former: lesions are then the connected pieces of the mask"
        )
    return mask, instances


def _ignored(files: PredictionFiles, grid: Grid) -> Labels | None:
    return optional_labels_on(grid, files.ignored)


def _weight(lesion: Mark, values: Image) -> float:
    """The largest value of a lesion where the mask holds shares of raters; else 1."""
    most = float(values[tuple(lesion.voxels.T)].max())
    return most if most < 1 else 1.0


def _places(files: PredictionFiles, instances: Labels | None) -> dict[int, Place] | None:
    """Places by the number of the instance, as the table says; ``None`` without one."""
    if instances is None or not files.lesions.exists():
        return None
    rows = table_of(files.lesions, ("lesion_id", "region"))
    return {
        int(row["lesion_id"]): place_of(row["region"], row.get("side"), row.get("mars_region"))
        for row in rows
        if row["lesion_id"].isdecimal()
    }


def _protocol(files: PredictionFiles, affine: Affine) -> str:
    content = json_of(sidecar_of(files.t2star))
    if isinstance(content, dict) and content.get("ProtocolName"):
        return str(content["ProtocolName"])
    return voxel_text(affine)


def voxel_text(affine: Affine) -> str:
    """Voxel size along x, y and z as text.

    >>> voxel_text(np.diag([0.4286, 0.4286, 6.5, 1]))
    '0.43x0.43x6.5mm'
    """
    return "x".join(f"{round(zoom, 2):g}" for zoom in ras_zooms(affine)) + "mm"
