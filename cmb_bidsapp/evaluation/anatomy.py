"""How well the anatomy of a session agrees: Dice of its structures, and left against right."""

from __future__ import annotations

import numpy as np

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.core.labels import MARS, PROXY
from cmb_bidsapp.core.statistics import NAN, ratio
from cmb_bidsapp.evaluation.metrics import Overlap
from cmb_bidsapp.evaluation.reading import Labels, labels_of, labels_on
from cmb_bidsapp.evaluation.results import REGIONS, mars_column
from cmb_bidsapp.preprocess.resampling import Grid


def compare_anatomy(
    predicted: SessionFiles, reference: SessionFiles, grid: Grid, proxy: Labels | None
) -> tuple[dict[str, float], float]:
    """Compare what both sides have; what one lacks is left out.

    Parameters
    ----------
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
    overlaps = overlaps_of(reference % 100, predicted % 100)
    return {
        mars_column(name): overlaps[number].dice
        for name, number in MARS.items()
        if number in overlaps and overlaps[number].reference
    }


def overlaps_of(reference: Labels, predicted: Labels) -> dict[int, Overlap]:
    """Overlap of every label but 0 that occurs in two images of one grid, in one pass."""
    inside = (reference > 0) | (predicted > 0)
    own, found = reference[inside], predicted[inside]
    size = int(max(own.max(initial=0), found.max(initial=0))) + 1
    table = np.bincount(own * size + found, minlength=size * size).reshape(size, size)
    sums = table.sum(axis=1).tolist(), table.sum(axis=0).tolist(), table.diagonal().tolist()
    return {
        label: Overlap(*counts)
        for label, counts in enumerate(zip(*sums, strict=True))
        if label and any(counts)
    }


def side_errors(reference: Labels, predicted: Labels) -> float:
    """Share of the voxels that both MARS maps label, whatever the region, on different sides.

    NaN where they have no voxel in common.
    """
    both = (reference > 0) & (predicted > 0)
    differ = both & (reference // 100 != predicted // 100)
    return ratio(int(np.count_nonzero(differ)), int(np.count_nonzero(both)))
