"""What candidates resemble if they are no microbleeds: a vessel, iron, calcium or an edge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.core.arrays import Affine
from cmb_bidsapp.lesions.axes import network_order
from cmb_bidsapp.lesions.lesion import Mimic
from cmb_bidsapp.lesions.spots import darkest

if TYPE_CHECKING:  # torch
    from cmb_bidsapp.lesions.second_look import Namer


@dataclass(frozen=True)
class Resemblance:
    """What a candidate resembles most, and how sure the network is of it, 0..1."""

    mimic: Mimic
    share: float


def mimics_of(
    namer: Namer,
    t2star: npt.NDArray[np.float32],
    instances: npt.NDArray[np.integer],
    affine: Affine,
) -> Mapping[int, Resemblance]:
    """Say what each candidate resembles if it is no microbleed, at its darkest voxel.

    Parameters
    ----------
    namer
        Trained on simulated places (:mod:`cmb_bidsapp.train.mimics`).
    t2star
        Brain-extracted T2*w, 0 outside the brain.
    instances
        0, or the number of the candidate, on the same grid.
    affine
        Voxel to world (RAS mm).

    Returns
    -------
    resemblances
        By the number of the candidate.
    """
    # torch, which is slow to import.
    from cmb_bidsapp.lesions.second_look import name_views
    from cmb_bidsapp.lesions.views import Viewer

    ordered, (across, down, along) = network_order(t2star, affine, None)
    image = ordered.transpose(2, 1, 0).astype(np.float32)
    pieces = network_order(instances, affine, None)[0].transpose(2, 1, 0)
    viewer = Viewer.of(image, (along, down, across))
    views = viewer.brightness(darkest(image, pieces, int(pieces.max(initial=0))))
    shares = name_views(namer, views, viewer.log_voxel())
    names = list(Mimic)
    return {
        number: Resemblance(names[int(own.argmax())], float(own.max()))
        for number, own in enumerate(shares, start=1)
    }
