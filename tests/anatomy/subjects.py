"""Small heads, and the folders of other apps that they lie in."""

from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

from cmb_bidsapp.anatomy.backend import existing
from cmb_bidsapp.anatomy.backends import BACKENDS
from cmb_bidsapp.anatomy.existing import ExistingParcellation

#: FreeSurfer's axes (L, I, A), 4 mm, off-center.
AFFINE = np.array([[-4.0, 0, 0, 85], [0, 0, 4, -60], [0, -4, 0, 92], [0, 0, 0, 1]])
SHAPE = (40, 44, 42)


def head(names=True, full=True):
    """Cortex around white matter, ventricles, thalami; x grows with falling index.

    Without ``names`` the cortex is known by its side alone; SynthSeg's heads are not ``full``:
    they have no callosum.
    """
    i, j, k = np.indices(SHAPE)
    radius = np.sqrt(((i - 20) / 15) ** 2 + ((j - 22) / 16) ** 2 + ((k - 21) / 17) ** 2)
    left = i > 20
    dseg = np.zeros(SHAPE, np.int32)
    cortex = (1028, 2028) if names else (3, 42)
    for limit, (left_id, right_id) in (
        (1.0, cortex),
        (0.75, (2, 41)),
        (0.3, (10, 49)),
        (0.2, (4, 43)),
    ):
        dseg[radius < limit] = np.where(left, left_id, right_id)[radius < limit]
    if full:
        dseg[19:22, 20:24, 26:30] = 253
    return dseg


def wmparc():
    dseg = head()
    return np.where(dseg == 2, 5001, np.where(dseg == 41, 4028, dseg))


def save(path: Path, dseg, affine=AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = nib.MGHImage if path.suffix == ".mgz" else nib.Nifti1Image
    nib.save(kind(np.asarray(dseg), affine), path)
    return path


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def pointer(path: Path) -> Path:
    """A file of a DataLad dataset that is not fetched."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(path.parent / "annex")
    return path


def find_parcellation(
    folders: Sequence[Path], participant: str, session: str | None
) -> ExistingParcellation | None:
    """The best parcellation in the folders."""
    return next(existing(BACKENDS["auto"], folders, participant, session), None)


#: What makes a folder of outputs be of a kind.
LAYOUTS = {
    "FreeSurfer": "sub-01/mri/aparc+aseg.mgz",
    "FastSurfer": "sub-01/mri/aparc.DKTatlas+aseg.mapped.mgz",
    "sMRIPrep": "sub-01/anat/sub-01_desc-aparcaseg_dseg.nii.gz",
    "SynthSeg": "sub-01/anat/sub-01_desc-synthseg_dseg.nii.gz",
}
