"""Where a lesion lies: what the tables of both sides say of it, or the regions below it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.core.labels import MARS_LOOK, PROXY
from cmb_bidsapp.evaluation.matching import Mark, Place
from cmb_bidsapp.evaluation.results import REGIONS
from cmb_bidsapp.lesions.lesion import UNASSIGNED

_MARS_NAMES = frozenset(name for name, _ in MARS_LOOK.values())
_NOT_TOLD = (None, "n/a")


def place_of(
    region: str | None, side: str | None, mars_region: str | None, *, border: bool | None = None
) -> Place:
    """Place of a lesion from what a table says of it.

    Parameters
    ----------
    region
        Proxy class; any other word is none.
    side, mars_region
        Side and MARS region, as the table spells them; ``None`` where it has no such column.
    border
        Whether another region is near.
    """
    known = region if region in REGIONS else UNASSIGNED
    return Place(known, _mars_region(side, mars_region), border)


def place_on(proxy: npt.NDArray[np.integer], lesion: Mark) -> Place:
    """Place of a lesion from the proxy classes below it: that of most voxels, if any.

    Parameters
    ----------
    proxy
        Proxy classes, shape ``(x, y, z)``.
    lesion
        Of an image on the same grid.
    """
    below = proxy[tuple(lesion.voxels.T)]
    votes = {name: int((below == PROXY[name]).sum()) for name in REGIONS}
    return Place(max(votes, key=lambda name: votes[name])) if any(votes.values()) else Place()


def row_of(lesion: Mark, instances: npt.NDArray[np.integer]) -> int:
    """Number that most voxels of a lesion have in an instance image: that of its table row.

    Parameters
    ----------
    lesion
        Its voxels.
    instances
        Number of the lesion in each voxel, 0 elsewhere, on the same grid.
    """
    return int(np.bincount(instances[tuple(lesion.voxels.T)]).argmax())


def _mars_region(side: str | None, region: str | None) -> str | None:
    if side in _NOT_TOLD or region in _NOT_TOLD:
        return None
    name = f"{side}-{region}"
    return name if name in _MARS_NAMES else UNASSIGNED
