"""Tiny derivative folders: predictions as the app names them, references as simulate does."""

import json
from pathlib import Path

import numpy as np
from scipy import ndimage

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import write_image, write_table
from cmb_bidsapp.lesions.table import COLUMNS

SHAPE = (16, 16, 4)
AFFINE = np.diag([1.0, 1.0, 5.0, 1.0])


def blobs(*centres, shape=SHAPE) -> np.ndarray:
    """Lesions of 3 x 3 voxels in one slice, numbered from 1."""
    instances = np.zeros(shape, np.int32)
    for number, (x, y, z) in enumerate(centres, 1):
        instances[x - 1 : x + 2, y - 1 : y + 2, z] = number
    return instances


def write_prediction(
    root: Path, participant, session=None, *, instances, rejected=(), affine=AFFINE, **more
) -> SessionFiles:
    """Candidates (probability 0.9 + number / 100, region lobar); ``more`` are further images."""
    files = SessionFiles(root, participant, session)
    kept = (instances > 0) & ~np.isin(instances, rejected)
    write_image(files.instances, instances, affine)
    write_image(files.mask, kept.astype(np.uint8), affine)
    probability = np.where(instances > 0, 0.9 + instances / 100, 0.01).astype(np.float32)
    write_image(files.probability, probability, affine)
    rows = [
        dict.fromkeys(COLUMNS)
        | {
            "lesion_id": number,
            "status": "rejected" if number in rejected else "kept",
            "reason": "periphery-not-brain" if number in rejected else "parenchyma",
            "region": "lobar",
            "probability_max": 0.9 + number / 100,
            "cfpr_ratio": 0.2 if number in rejected else 0.8,
        }
        for number in np.unique(instances[instances > 0]).tolist()
    ]
    write_table(files.lesions, list(COLUMNS), rows, COLUMNS)
    _write_more(files, more, affine)
    return files


def write_reference(
    root: Path, participant, session=None, *, instances, regions=None, affine=AFFINE,
    protocol=None, **more,
) -> SessionFiles:  # fmt: skip
    """A CMB mask; with ``regions`` (one per lesion) instances and table as well."""
    files = SessionFiles(root, participant, session)
    write_image(files.mask, (instances > 0).astype(np.uint8), affine)
    if regions is not None:
        write_image(files.instances, instances, affine)
        faint = {"lesion_id": None, "region": "deep", "visible": False}
        rows = [
            {"lesion_id": number, "region": region, "visible": True}
            for number, region in enumerate(regions, 1)
        ]
        write_table(files.lesions, ("lesion_id", "region", "visible"), [*rows, faint])
    if protocol is not None:
        sidecar = files.anat("T2starw", ".json", desc="preproc")
        sidecar.write_text(json.dumps({"ProtocolName": protocol}), encoding="utf-8")
    _write_more(files, more, affine)
    return files


def _write_more(files, images, affine):
    paths = {
        "brain": files.t2star_brain,
        "t1w_brain": files.t1w_brain,
        "proxy": files.proxy,
        "network": files.network_labels,
        "ignore": files.anat("mask", space="T2starw", label="CMB", desc="ignore"),
        "mimics": files.anat("dseg", space="T2starw", desc="mimics"),
    }
    for name, image in images.items():
        write_image(paths[name], image.astype(np.uint8), affine)


def grown(mask):
    return ndimage.binary_dilation(mask, np.ones((3, 3, 1)))
