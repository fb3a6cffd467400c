"""Tiny derivative folders, named as the app and simulate do, and the verb on them."""

import json
from pathlib import Path

import numpy as np
from scipy import ndimage

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import write_image
from cmb_bidsapp.bids.tables import read_table, write_table
from cmb_bidsapp.cli import main
from cmb_bidsapp.lesions.table import COLUMNS

SHAPE = (16, 16, 4)
AFFINE = np.diag([1.0, 1.0, 5.0, 1.0])


def blobs(*centers, shape=SHAPE) -> np.ndarray:
    """Lesions of 3 x 3 voxels in one slice, numbered from 1."""
    instances = np.zeros(shape, np.int32)
    for number, (x, y, z) in enumerate(centers, 1):
        instances[x - 1 : x + 2, y - 1 : y + 2, z] = number
    return instances


def halves(values):
    """Labels side by side along the first axis, in equal parts."""
    image = np.zeros(SHAPE, np.uint8)
    for part, value in zip(np.array_split(np.arange(SHAPE[0]), len(values)), values, strict=True):
        image[part] = value
    return image


def write_prediction(
    root: Path, participant, session=None, *, instances, rejected=(), affine=AFFINE,
    cells=None, columns=tuple(COLUMNS), **more,
) -> SessionFiles:  # fmt: skip
    """Candidates (probability 0.9 + number / 100, region lobar); ``more`` are further images.

    ``cells`` are other cells of the lesion table by lesion; ``columns`` are those it has.
    """
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
            "grade": "possible",
            "region": "lobar",
            "probability_max": 0.9 + number / 100,
            "cfpr_ratio": 0.2 if number in rejected else 0.8,
        }
        | (cells or {}).get(number, {})
        for number in np.unique(instances[instances > 0]).tolist()
    ]
    write_table(files.lesions, columns, rows, COLUMNS)
    _write_more(files, more, affine)
    return files


def write_reference(
    root: Path, participant, session=None, *, instances, regions=None, mars_regions=None,
    affine=AFFINE, protocol=None, **more,
) -> SessionFiles:  # fmt: skip
    """A CMB mask; with ``regions`` (one per lesion) instances and table as well.

    ``mars_regions`` are pairs of side and MARS region, one per lesion.
    """
    files = SessionFiles(root, participant, session)
    write_image(files.mask, (instances > 0).astype(np.uint8), affine)
    if regions is not None:
        write_image(files.instances, instances, affine)
        faint = {"lesion_id": None, "region": "deep", "visible": False}
        rows = [
            {"lesion_id": number, "region": region, "visible": True}
            for number, region in enumerate(regions, 1)
        ]
        columns = ["lesion_id", "region", "visible"]
        if mars_regions is not None:
            columns += ["side", "mars_region"]
            for row, (side, region) in zip(rows, mars_regions, strict=True):
                row |= {"side": side, "mars_region": region}
        write_table(files.lesions, columns, [*rows, faint])
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
        "mars": files.mars,
        "network": files.network_labels,
        "ignore": files.anat("mask", space="T2starw", label="CMB", desc="ignore"),
        "mimics": files.anat("dseg", space="T2starw", desc="mimics"),
    }
    for name, image in images.items():
        write_image(paths[name], image.astype(np.uint8), affine)


def grown(mask):
    return ndimage.binary_dilation(mask, np.ones((3, 3, 1)))


def evaluate(predicted, reference, *options, processes="1"):
    out = predicted.parent / "out"
    code = main(
        ["evaluate", *map(str, (predicted, reference, out)), "--nprocs", processes, *options]
    )
    return code, out


def table(out, name, **wanted):
    rows = read_table(out / f"evaluation_{name}.tsv")
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def picked(row, *columns):
    return [row[column] for column in columns]
