"""How well the anatomy of a session agrees: Dice of its structures, and left against right."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.core.arrays import Labels
from cmb_bidsapp.core.labels import MARS, PROXY
from cmb_bidsapp.core.statistics import NAN, ratio
from cmb_bidsapp.evaluation.metrics import Overlap
from cmb_bidsapp.evaluation.reading import labels_of, labels_on
from cmb_bidsapp.evaluation.results import REGIONS, mars_column
from cmb_bidsapp.preprocess.resampling import Grid


def compare_anatomy(
    predicted: SessionFiles, reference: SessionFiles, grid: Grid, proxy: Labels | None
) -> tuple[dict[str, float], float]:
    """Compare what both sides have; what one lacks is left out.

    Parameters
    ----------
    predicted, reference
        Derivatives of one session from the two sides.
    grid
        Where all images must lie.
    proxy
        Proxy classes of the reference, on ``grid``.

    Returns
    -------
    dice, side_errors
        Dice by structure (:data:`cmb_bidsapp.evaluation.results.ANATOMY`); see
        :func:`side_errors`, NaN without two MARS maps.
    """
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
            overlaps = overlaps_of(proxy, labels_on(grid, path))
            for name in REGIONS:
                dice[f"{kind}_{name}"] = overlaps.get(PROXY[name], Overlap()).dice
    if not (predicted.mars.exists() and reference.mars.exists()):
        return dice, NAN
    maps = labels_on(grid, reference.mars), labels_on(grid, predicted.mars)
    return dice | mars_dice(*maps), side_errors(*maps)


def mars_dice(reference: Labels, predicted: Labels) -> dict[str, float]:
    """Dice of each MARS region, both sides together, by column.

    Only of regions that the reference holds: a map whose cortex has no names knows no lobes
    (its lobar tissue has no number of :data:`cmb_bidsapp.core.labels.MARS`), and says nothing
    of them.

    Parameters
    ----------
    reference, predicted
        MARS maps (100 left, 200 right, + the number of the region) on one grid.
    """
    pairs = _pairs_of(reference, predicted)
    region = np.arange(len(pairs)) % 100
    both_sides = np.zeros((100, 100), pairs.dtype)
    np.add.at(both_sides, (region[:, None], region), pairs)
    overlaps = _overlaps(both_sides)
    return {
        mars_column(name): overlaps[number].dice
        for name, number in MARS.items()
        if number in overlaps and overlaps[number].reference
    }


def overlaps_of(reference: Labels, predicted: Labels) -> dict[int, Overlap]:
    """Overlap of every label but 0 that occurs in two images of one grid, in one pass.

    Parameters
    ----------
    reference, predicted
        Label images of one shape.
    """
    return _overlaps(_pairs_of(reference, predicted))


def _pairs_of(reference: Labels, predicted: Labels) -> npt.NDArray[np.intp]:
    """Voxels by their label on either side, shape ``(labels, labels)``; where both are 0, none."""
    # Both as they lie in memory.
    order: Literal["C", "F"] = "F" if reference.flags.f_contiguous else "C"
    own, found = reference.ravel(order), predicted.ravel(order)
    inside = np.flatnonzero((own | found).astype(np.bool_))
    own, found = own[inside], found[inside]
    size = int(max(own.max(initial=0), found.max(initial=0))) + 1
    return np.bincount(own * size + found, minlength=size * size).reshape(size, size)


def _overlaps(pairs: npt.NDArray[np.intp]) -> dict[int, Overlap]:
    """Overlap of every label but 0 that occurs."""
    sums = pairs.sum(axis=1).tolist(), pairs.sum(axis=0).tolist(), pairs.diagonal().tolist()
    return {
        label: Overlap(*counts)
        for label, counts in enumerate(zip(*sums, strict=True))
        if label and any(counts)
    }


def side_errors(reference: Labels, predicted: Labels) -> float:
    """Share of the voxels that both MARS maps label, whatever the region, on different sides.

    NaN where they have no voxel in common.

    Parameters
    ----------
    reference, predicted
        MARS maps of one shape; their hundreds say the side.
    """
    both = (reference > 0) & (predicted > 0)
    differ = both & (reference // 100 != predicted // 100)
    return ratio(int(np.count_nonzero(differ)), int(np.count_nonzero(both)))
