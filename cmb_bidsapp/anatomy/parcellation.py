"""The common shape that every parcellation ends in, whoever made it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.anatomy.standard import StandardTransforms
from cmb_bidsapp.preprocess.resampling import Grid


@dataclass(frozen=True, kw_only=True)
class Parcellation:
    """A head labeled in FreeSurfer ids.

    Attributes
    ----------
    dseg
        Ids of ``aseg``, with those of ``aparc`` (1001-2035) where the cortex is named.
    grid
        Its voxels, about 1 mm; world coordinates are those of the labeled image (RAS mm).
    white
        Ids of ``wmparc`` on the same grid, where there are any: white matter by the nearest
        cortical area (3001-4035), or too deep to have one (5001, 5002).
    subject_dir
        Folder of the FreeSurfer subject it was read from; its transforms lead to MNI305.
    source
        Who made it, in words for the sidecar: ``embedded``, ``FastSurfer (2.4.2+1b9423c)``, ...
    standard
        Ways between the head and MNI152, once it is aligned with the atlas.
    """

    dseg: npt.NDArray[np.int32]
    grid: Grid
    white: npt.NDArray[np.int32] | None = None
    subject_dir: Path | None = None
    source: str = "embedded"
    standard: StandardTransforms | None = None
