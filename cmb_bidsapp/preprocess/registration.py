"""Rigid registration T1w -> T2*w of one participant (paper, section 3.2), in-process with ANTs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cmb_bidsapp.core.arrays import Affine, Volume
from cmb_bidsapp.core.scratch import scratch_folder
from cmb_bidsapp.preprocess.ants import read_linear, register, to_ants, write_linear
from cmb_bidsapp.preprocess.brain import BrainImage
from cmb_bidsapp.preprocess.resampling import IDENTITY, isotropic_grid, resample

#: Registration runs at this voxel size; thick slices are interpolated to it.
WORKING_MM = 2.0
#: Overlap of the two brain masks after registration below which other starts are tried.
GOOD_DICE = 0.90
#: Start rotations in degrees (x, y, z) that are tried when the plain ones end badly.
RESTARTS = ((20.0, 0.0, 0.0), (-20.0, 0.0, 0.0), (0.0, 0.0, 20.0), (0.0, 0.0, -20.0))
#: Share of the voxels that the metric is measured in. Three times as many leave the error in
#: simulated sessions at 0.28 mm.
SAMPLED = 0.1
#: Width of the brain's rim that does not count at the end.
RIM_MM = 4.0


@dataclass(frozen=True)
class Levels:
    """A coarse-to-fine schedule of ANTs; shrink factors and sigmas in voxels."""

    iterations: tuple[int, ...]
    shrink: tuple[int, ...]
    sigmas: tuple[int, ...]


COARSE = Levels((500, 250, 100), (4, 2, 1), (2, 1, 0))
FINE = Levels((200, 100), (2, 1), (1, 0))


@dataclass(frozen=True, kw_only=True)
class Registration:
    """Result of a rigid registration.

    Attributes
    ----------
    pull
        T2*w world to T1w world (RAS mm): where to sample the T1w for a T2*w voxel.
    mutual_information
        Mutual information of the two images inside both masks, in nats.
    correlation
        Pearson's, of their brightness there.
    mask_dice
        Overlap of the two brain masks, within the field of view of the T2*w.
    start
        Which start won: ``header``, ``center`` or a rotation.
    attempts
        Number of starts tried.
    """

    pull: Affine
    mutual_information: float
    correlation: float
    mask_dice: float
    start: str
    attempts: int

    @property
    def score(self) -> float:
        """What the best start is chosen by: the images and the masks must agree."""
        return self.mutual_information * self.mask_dice

    @property
    def good(self) -> bool:
        """Whether the masks overlap as those of one head should."""
        return self.mask_dice >= GOOD_DICE


def register_rigid(fixed: BrainImage, moving: BrainImage, *, seed: int = 0) -> Registration:
    """Register the T1w (moving) brain to the T2*w (fixed) brain.

    The scanner's own coordinates are the first start, the centers of the brains the second; when
    both end with poorly overlapping masks, tilted starts follow. The best of all is refined on the
    inside of the brain.

    Parameters
    ----------
    fixed, moving
        T2*w and T1w, each on its own grid.
    seed
        Of the sampling of the metric.

    Returns
    -------
    registration
        Whose ``pull`` leads from world coordinates of the T2*w to those of the T1w.
    """
    working = isotropic_grid(fixed.grid, WORKING_MM)
    still = resample(fixed.data * fixed.brain, fixed.affine, working, smooth=True)
    still_mask = resample(fixed.brain, fixed.affine, working, smooth=True) > 0.5
    moving_grid = isotropic_grid(moving.grid, WORKING_MM)
    move = resample(moving.data * moving.brain, moving.affine, moving_grid, smooth=True)
    move_mask = resample(moving.brain, moving.affine, moving_grid, smooth=True) > 0.5

    def measured(pull: Affine, name: str, attempts: int) -> Registration:
        carried = resample(move, moving_grid.affine, working, pull=pull)
        carried_mask = resample(move_mask, moving_grid.affine, working, pull=pull) > 0.5
        both = still_mask & carried_mask
        # A T2*w slab shows part of the brain: compare only where it was imaged.
        slab = np.zeros(working.shape, np.bool_)
        for box in ndimage.find_objects(still_mask.astype(np.uint8)):
            slab[:, :, box[2]] = True
        total = still_mask.sum() + (carried_mask & slab).sum()
        dice = float(2 * both.sum() / total) if total else 0.0
        seen = (still[both], carried[both])
        return Registration(
            pull=pull,
            mutual_information=mutual_information(*seen) if both.any() else 0.0,
            correlation=correlation(*seen) if both.any() else float("nan"),
            mask_dice=dice,
            start=name,
            attempts=attempts,
        )

    fixed_center = _center(still_mask, working.affine)
    moving_center = _center(move_mask, moving_grid.affine)
    shift = IDENTITY.copy()
    shift[:3, 3] = moving_center - fixed_center
    starts = [("header", IDENTITY), ("center", shift)]
    starts += [
        (f"rotated {angles}", _about(fixed_center, moving_center, angles)) for angles in RESTARTS
    ]
    volumes = Volume(still, working.affine), Volume(move, moving_grid.affine)
    best: Registration | None = None
    for number, (name, start) in enumerate(starts, 1):
        pull = _ants_rigid(*volumes, start, COARSE, seed)
        found = measured(pull, name, number)
        if best is None or found.score > best.score:
            best = found
        if best.good:
            break
    assert best is not None
    # The outlines of the two masks differ by contrast and pull the images apart: at the end only
    # the inside of the brain counts.
    inside = ndimage.binary_erosion(
        still_mask, iterations=round(RIM_MM / WORKING_MM), border_value=True
    )
    if inside.any():
        pull = _ants_rigid(*volumes, best.pull, FINE, seed, inside)
        refined = measured(pull, best.start, number)
        if refined.mutual_information > best.mutual_information:
            best = refined
    return replace(best, attempts=number)


def _ants_rigid(
    fixed: Volume[np.float32],
    moving: Volume[np.float32],
    start: Affine,
    levels: Levels,
    seed: int,
    inside: npt.NDArray[np.bool_] | None = None,
) -> Affine:
    """Pull of a rigid registration; voxels outside ``inside`` do not count."""
    with scratch_folder("cmb-rigid-") as folder:
        initial = folder / "start.mat"
        write_linear(start, initial)
        result = register(
            to_ants(fixed.data, fixed.affine),
            to_ants(moving.data, moving.affine),
            type_of_transform="Rigid",
            initial_transform=str(initial),
            outprefix=f"{folder}/",
            aff_metric="mattes",
            aff_sampling=32,
            aff_random_sampling_rate=SAMPLED,
            aff_iterations=levels.iterations,
            aff_shrink_factors=levels.shrink,
            aff_smoothing_sigmas=levels.sigmas,
            mask=None if inside is None else to_ants(inside.astype(np.float32), fixed.affine),
            seed=seed,
        )
        matrix = IDENTITY
        # ANTs lists the transforms in the order they are multiplied.
        for path in result["fwdtransforms"]:
            matrix = read_linear(path) @ matrix
    return matrix


def mutual_information(
    a: npt.NDArray[np.float32], b: npt.NDArray[np.float32], bins: int = 48
) -> float:
    """Mutual information in nats of paired samples.

    Parameters
    ----------
    a, b
        Values of two images at the same voxels, shape ``(n,)``.
    bins
        Of either value in their joint histogram.
    """
    joint, _, _ = np.histogram2d(_clip(a), _clip(b), bins=bins)
    p = joint / joint.sum()
    outer = p.sum(axis=1, keepdims=True) * p.sum(axis=0, keepdims=True)
    filled = p > 0
    return float((p[filled] * np.log(p[filled] / outer[filled])).sum())


def correlation(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    """Pearson's correlation of paired samples, extreme values cut; NaN where either is constant.

    Parameters
    ----------
    a, b
        Values of two images at the same voxels, shape ``(n,)``.
    """
    left, right = _clip(a), _clip(b)
    if left.min() == left.max() or right.min() == right.max():
        return float("nan")
    return float(np.corrcoef(left, right)[0, 1])


def _clip(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    low, high = np.percentile(values, (0.5, 99.5))
    return np.clip(values, low, high)


def _center(mask: npt.NDArray[np.bool_], affine: Affine) -> npt.NDArray[np.float64]:
    index = np.argwhere(mask).mean(axis=0) if mask.any() else (np.array(mask.shape) - 1) / 2
    center: npt.NDArray[np.float64] = affine[:3, :3] @ index + affine[:3, 3]
    return center


def _about(
    fixed_center: npt.NDArray[np.float64],
    moving_center: npt.NDArray[np.float64],
    degrees: tuple[float, float, float],
) -> Affine:
    """Rotate about the center of the fixed brain, then move onto the center of the other."""
    from scipy.spatial.transform import Rotation

    matrix = IDENTITY.copy()
    matrix[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    matrix[:3, 3] = moving_center - matrix[:3, :3] @ fixed_center
    return matrix
