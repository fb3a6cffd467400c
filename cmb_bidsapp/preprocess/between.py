"""How a head lies in a later session: T2*w registered to the T2*w of the first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from nibabel.affines import apply_affine
from scipy.spatial.transform import Rotation

from cmb_bidsapp.core.arrays import Affine
from cmb_bidsapp.preprocess.brain import BrainImage
from cmb_bidsapp.preprocess.registration import GOOD_DICE, register_rigid

#: Mean distance (mm) between the two directions of a registration above which neither is believed:
#: lesions are matched within 5 mm, and the error may take up a part of that only.
MOST_RESIDUAL_MM = 2.0
#: Every so many-th voxel of the brain takes part in mean distances.
STRIDE = 101


@dataclass(frozen=True, kw_only=True)
class SessionRegistration:
    """Where the head is in a later session, and how sure that is.

    Attributes
    ----------
    pull
        World of the baseline to the world of the later session (RAS mm), rigid.
    mask_dice
        Overlap of the two brain masks in the field of view of one session, of the better one.
    residual
        Mean distance (mm) in the brain between the registration of the later session to the
        baseline and that of the baseline to the later session.
    rotation, shift
        How far the head has turned (degrees), and its middle moved (mm).
    """

    pull: Affine
    mask_dice: float
    residual: float
    rotation: float
    shift: float

    @property
    def good(self) -> bool:
        """Whether lesions may be compared by it."""
        return self.mask_dice >= GOOD_DICE and self.residual <= MOST_RESIDUAL_MM


def register_between(
    baseline: BrainImage, later: BrainImage, *, seed: int = 0
) -> SessionRegistration:
    """Register the brain of a later session to that of the baseline, once in each direction.

    The directions are independent: where both fail, they seldom fail alike, so their distance
    tells more than the overlap of two masks, which a turned brain keeps. The one whose masks
    overlap better is used: where one session shows less of the head, that is the way from it.

    Parameters
    ----------
    baseline, later
        Brain-extracted T2*w of each session with its mask.
    seed
        Of the sampling of the metric.

    Returns
    -------
    registration
        Whose ``pull`` leads from world coordinates of the baseline to those of the later session.
    """
    there = register_rigid(baseline, later, seed=seed)
    back = register_rigid(later, baseline, seed=seed)
    inverse = np.asarray(np.linalg.inv(back.pull), np.float64)
    ways = (there.mask_dice, there.pull), (back.mask_dice, inverse)
    points = apply_affine(baseline.affine, np.argwhere(baseline.brain)[::STRIDE])
    one_way, other_way = (apply_affine(pull, points) for _, pull in ways)
    dice, pull = max(ways, key=lambda way: way[0])
    middle = points.mean(axis=0)
    return SessionRegistration(
        pull=pull,
        mask_dice=dice,
        residual=float(np.linalg.norm(one_way - other_way, axis=1).mean()),
        rotation=float(np.degrees(Rotation.from_matrix(pull[:3, :3]).magnitude())),
        shift=float(np.linalg.norm(apply_affine(pull, middle) - middle)),
    )
