"""Brain extraction: SynthStrip where it is installed, our own network otherwise."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt

from cmb_bidsapp.bids.images import open_image
from cmb_bidsapp.core.arrays import Affine
from cmb_bidsapp.core.errors import CommandMissingError, DataError
from cmb_bidsapp.core.scratch import scratch_folder
from cmb_bidsapp.tools import external

#: The FreeSurfer command, and its stand-alone port, which needs the weights file beside it.
FREESURFER, PORT = "mri_synthstrip", "nipreps-synthstrip"
PORT_WEIGHTS = "SYNTHSTRIP_MODEL"


def synthstrip_command() -> list[str] | None:
    """Start of the SynthStrip command line on this machine, or ``None``."""
    if shutil.which(FREESURFER):
        return [FREESURFER]
    weights = os.environ.get(PORT_WEIGHTS)
    if shutil.which(PORT) and weights and Path(weights).is_file():
        return [PORT, "--model", weights]
    return None


def choose_brain_extraction(wanted: str) -> str:
    """Turn ``auto`` into the backend to use.

    Raises
    ------
    CommandMissingError
        ``synthstrip`` was asked for and is not installed.
    """
    found = synthstrip_command()
    if wanted == "synthstrip" and found is None:
        raise CommandMissingError(
            f"--brain-extraction synthstrip: neither {FREESURFER} nor {PORT} with "
            f"{PORT_WEIGHTS}=FILE is there; use the image with FreeSurfer, or embedded"
        )
    if wanted == "auto":
        return "synthstrip" if found else "embedded"
    return wanted


def run_synthstrip(data: npt.NDArray[np.float32], affine: Affine) -> npt.NDArray[np.bool_]:
    """Brain mask (with CSF, SynthStrip's default border of 1 mm) on the grid of the image.

    Parameters
    ----------
    data, affine
        Head with skull, three axes, and where its voxels lie (RAS mm).

    Raises
    ------
    CommandMissingError
        SynthStrip is not installed.
    TemporaryError
        It was killed.
    DataError
        It failed, or wrote no mask of the image's shape.
    """
    command = synthstrip_command() or [FREESURFER]
    with scratch_folder("cmb-synthstrip-") as folder:
        image, mask = folder / "image.nii.gz", folder / "mask.nii.gz"
        nib.save(nib.Nifti1Image(data, affine), image)
        argv = [*command, "-i", str(image), "-m", str(mask)]
        external.run(argv, instead="--brain-extraction embedded")
        if not mask.exists():
            raise DataError(f"{command[0]} ended without an error but wrote no mask")
        brain: npt.NDArray[np.bool_] = np.asarray(open_image(mask).dataobj) > 0
    if brain.shape != data.shape:
        raise DataError(f"{command[0]} wrote a mask of shape {brain.shape} for {data.shape} voxels")
    return brain
