"""Tiny folders as the challenge's: four files per participant on one grid."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np

SHAPE = (24, 28, 6)
AFFINE = np.array([[-0.5, 0, 0, 6], [0, 0.5, 0, -7], [0, 0, 4, -10], [0, 0, 0, 1.0]])


def head(seed=0):
    return np.random.default_rng(seed).integers(1, 900, SHAPE).astype(np.float32)


def rated(value=1, dtype=np.float32):
    """Two microbleeds, the first over two slices."""
    mask = np.zeros(SHAPE, dtype)
    mask[4:6, 5:7, 2:4] = value
    mask[15, 20, 4] = value
    return mask


def save(path, data, affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(data, affine)
    image.set_qform(affine, code=1)
    nib.save(image, path)
    return path


def participant(
    root: Path, label="101", *, name="{sub}_space-T2S{masked}_{kind}.nii.gz", without=(), **images
) -> dict[str, Path]:
    """Write a participant's files; ``images`` are data, or data with their own affine."""
    contents = {"T1": head(1), "T2": head(2), "T2S": head(3), "CMB": rated(), **images}
    paths = {}
    for kind, content in contents.items():
        if kind in without:
            continue
        data, affine = content if isinstance(content, tuple) else (content, AFFINE)
        masked = "" if kind == "CMB" else "_desc-masked"
        file = name.format(sub=f"sub-{label}", masked=masked, kind=kind, label=label)
        paths[kind] = save(root / "Task2" / f"sub-{label}" / file, data, affine)
    return paths


RAW = "sub-{0}/anat/sub-{0}_{1}"


RATED = "derivatives/valdo/sub-{0}/anat/sub-{0}_space-T2starw_{1}"


def image(bids_dir, pattern, label, what):
    return nib.load(bids_dir / pattern.format(label, f"{what}.nii.gz"))


def sidecar(bids_dir, pattern, label, what):
    return json.loads((bids_dir / pattern.format(label, f"{what}.json")).read_text())
