"""The border to antspyx: arrays with RAS affines on our side, ANTs images (LPS) on the other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from nibabel.affines import voxel_sizes

from cmb_bidsapp.core.arrays import Affine

if TYPE_CHECKING:  # slow to import
    from ants import ANTsImage

#: RAS to LPS and back.
FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


def to_ants(data: npt.NDArray[Any], affine: Affine) -> ANTsImage:
    """Turn an array with its RAS affine into an ANTs image.

    Parameters
    ----------
    data, affine
        Three axes, and where their voxels lie (RAS mm).
    """
    import ants

    lps = FLIP @ affine
    spacing = voxel_sizes(lps)
    return ants.from_numpy(
        np.ascontiguousarray(data, dtype=np.float32),
        origin=lps[:3, 3].tolist(),
        spacing=spacing.tolist(),
        direction=lps[:3, :3] / spacing,
    )


def register(fixed: ANTsImage, moving: ANTsImage, *, seed: int, **options: Any) -> dict[str, Any]:
    """Register with ANTs, its metric sampling by a seed.

    antspyx takes a seed from its configuration only: as an argument it is ignored without a word.
    Zero would mean the clock.

    Parameters
    ----------
    fixed, moving
        Images of ANTs, in physical space (LPS mm).
    seed
        0 or more.
    options
        Of ``ants.registration``.

    Returns
    -------
    found
        As ``ants.registration``: ``fwdtransforms``, ``invtransforms``, ``warpedmovout``, ...
    """
    import ants

    ants.config.set_ants_deterministic(on=False, seed_value=seed + 1)
    found: dict[str, Any] = ants.registration(fixed, moving, **options)
    return found


def read_linear(path: str | Path) -> Affine:
    """Read a linear ITK transform as a RAS matrix.

    The matrix maps world coordinates of the fixed image to those of the moving image, as ITK
    applies it ("pull").
    """
    import SimpleITK

    transform = SimpleITK.ReadTransform(str(path))
    origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    columns = [np.array(transform.TransformPoint(p)) - origin for p in np.eye(3).tolist()]
    lps = np.eye(4)
    lps[:3, :3], lps[:3, 3] = np.array(columns).T, origin
    ras: Affine = FLIP @ lps @ FLIP
    return ras


def write_linear(matrix: Affine, path: Path) -> None:
    """Write a RAS matrix (fixed to moving) as an ITK text transform that ANTs reads.

    Parameters
    ----------
    matrix
        Shape ``(4, 4)``, from world coordinates of the fixed image to those of the moving one (mm).
    path
        Ends in ``.txt`` or ``.mat``.
    """
    import SimpleITK

    lps = FLIP @ matrix @ FLIP
    transform = SimpleITK.AffineTransform(3)
    transform.SetMatrix(lps[:3, :3].ravel().tolist())
    transform.SetTranslation(lps[:3, 3].tolist())
    SimpleITK.WriteTransform(transform, str(path))
