"""Brain extraction: SynthStrip where it is installed, our own network otherwise."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from cmb_bidsapp.bids.images import open_image
from cmb_bidsapp.core.arrays import Mask, Volume
from cmb_bidsapp.core.errors import CommandMissingError, DataError
from cmb_bidsapp.core.scratch import scratch_folder
from cmb_bidsapp.preprocess.resampling import Grid
from cmb_bidsapp.tools import external

#: The FreeSurfer command, and its stand-alone port, which needs the weights file beside it.
FREESURFER, PORT = "mri_synthstrip", "nipreps-synthstrip"
PORT_WEIGHTS = "SYNTHSTRIP_MODEL"


@dataclass(frozen=True, eq=False)
class BrainImage(Volume[np.float32]):
    """An image of a head, and where in it the brain with its CSF is."""

    brain: Mask

    @property
    def grid(self) -> Grid:
        """Voxels of the image."""
        return Grid.of(self.data, self.affine)

    @property
    def brain_ml(self) -> float:
        """Volume of the brain with its CSF."""
        return float(self.brain.sum() * np.prod(self.grid.spacing) / 1000)


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


def run_synthstrip(head: Volume[np.float32]) -> Mask:
    """Brain mask (with CSF, SynthStrip's default border of 1 mm) on the grid of the image.

    Parameters
    ----------
    head
        With its skull.

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
        nib.save(nib.Nifti1Image(head.data, head.affine), image)
        argv = [*command, "-i", str(image), "-m", str(mask)]
        external.run(argv, instead="--brain-extraction embedded")
        if not mask.exists():
            raise DataError(f"{command[0]} ended without an error but wrote no mask")
        brain: Mask = np.asarray(open_image(mask).dataobj) > 0
    if brain.shape != head.data.shape:
        raise DataError(
            f"{command[0]} wrote a mask of shape {brain.shape} for {head.data.shape} voxels"
        )
    return brain
