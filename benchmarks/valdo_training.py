"""Labeled training scans out of points: masks for whole scans, and slabs as scans of their own.

``whole/`` and its points become masks beside the app's outputs; the slabs of a participant are
stacked into one scan, with empty slices between them, and segmented by a lesion model, which gives
them regions and suspected places. ``cmb_bidsapp train implants`` makes a training set of either.

Usage: python benchmarks/valdo_training.py FOLDER APP_OUTPUT OUT [--model NAME|DIR]
FOLDER is laid out as for real.py. OUT gets ``masks`` (for APP_OUTPUT), ``slabs``, ``slab-masks``.
"""

import argparse
from itertools import groupby
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine, voxel_sizes
from real_scans import Label, slab_labels, whole_labels
from scipy import ndimage

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.images import read_derivative, read_labels
from cmb_bidsapp.bids.outputs import write_image
from cmb_bidsapp.convert.points import grow
from cmb_bidsapp.core.labels import PROXY
from cmb_bidsapp.lesions.axes import ras_zooms
from cmb_bidsapp.lesions.cfpr import judge
from cmb_bidsapp.lesions.instances import find_instances
from cmb_bidsapp.lesions.segment import LesionNetwork, Segmentation
from cmb_bidsapp.lesions.slabs import slices_in_slab
from cmb_bidsapp.models.nnunet import LesionModel
from cmb_bidsapp.models.registry import load_lesion_model
from cmb_bidsapp.preprocess.resampling import Grid

#: Slabs come without volumes: a slab's microbleed is about as wide as this (mm).
SLAB_DIAMETER_MM = 3.0
#: Labeled clusters of the basal ganglia have dark neighbors of which nobody said what they are:
#: so dark, relative to their surroundings of this width (mm), and so near to a label (mm).
DARK, SURROUNDINGS_MM, NEAR_MM = 0.75, 14.0, 12.0
#: From so many labels within that distance of each other they are a cluster.
CLUSTER = 4


def label_mask(t2star: np.ndarray, affine: np.ndarray, labels: list[Label]) -> np.ndarray:
    """Masks of all labels of a scan."""
    mask = np.zeros(t2star.shape, bool)
    for label in labels:
        known = np.isfinite(label.volume)
        volume = label.volume if known else np.pi / 6 * SLAB_DIAMETER_MM**3
        point = apply_affine(np.linalg.inv(affine), label.center)
        mask |= grow(t2star, voxel_sizes(affine), point.tolist(), volume)
    return mask


def doubtful(
    t2star: np.ndarray, affine: np.ndarray, deep: np.ndarray, labels: list[Label], mask: np.ndarray
) -> np.ndarray:
    """Dark voxels of the deep class beside a cluster of labels."""
    centers = np.array([label.center for label in labels]).reshape(-1, 3)
    apart = np.linalg.norm(centers[:, None] - centers[None], axis=-1)
    clustered = [
        label for label, near in zip(labels, apart <= NEAR_MM, strict=True) if near.sum() >= CLUSTER
    ]
    if not clustered:
        return np.zeros(t2star.shape, bool)
    size = voxel_sizes(affine)
    away = np.ones(t2star.shape, bool)
    for label in clustered:
        index = np.round(apply_affine(np.linalg.inv(affine), label.center)).astype(int)
        away[tuple(np.clip(index, 0, np.array(t2star.shape) - 1))] = False
    width = [max(1, round(SURROUNDINGS_MM / mm)) if mm < 2 else 1 for mm in size]
    inside = ndimage.uniform_filter((t2star > 0).astype(np.float32), width)
    around = ndimage.uniform_filter(t2star, width) / np.maximum(inside, 0.1)
    near = ndimage.distance_transform_edt(away, size) <= NEAR_MM
    return near & deep & (t2star < DARK * around) & ~mask


def write_whole(folder: Path, app: Path, out: Path) -> None:
    """Masks of the whole scans, on the grid of the app's outputs."""
    for path in sorted(folder.glob("whole/sub-*")):
        files = SessionFiles(app, path.name.removeprefix("sub-"), None)
        masks = SessionFiles(out / "masks", files.participant, None)
        read = read_derivative(files.t2star)
        t2star, affine = read.data, read.affine
        labels = whole_labels(folder, path.name)
        mask = label_mask(t2star, affine, labels)
        deep = read_labels(files.network_labels).data == PROXY["deep"]
        ignore = doubtful(t2star, affine, deep, labels, mask)
        write_image(masks.mask, mask.astype(np.uint8), affine)
        write_image(masks.ignored, ignore.astype(np.uint8), affine)
        print(f"{path.name}: {len(labels)} labels, {mask.sum()} voxels, {ignore.sum()} doubtful")


def write_slabs(folder: Path, out: Path, model: LesionModel) -> None:
    """The slabs of every participant as one scan, segmented, with the masks of its labels.

    ``cmb_bidsapp adapt`` takes them for sessions that the app has finished with this model.
    """
    network = LesionNetwork(model)
    made = {"Model": model.name, "ModelSHA256": model.sha256, "Mirrored": True}
    paths = sorted(folder.glob("slabs/*.nii.gz"))
    for name, own in groupby(paths, lambda path: path.name.partition("_")[0]):
        files, masks = (
            SessionFiles(out / kind, name.removeprefix("sub-"), None)
            for kind in ("slabs", "slab-masks")
        )
        parts: list[tuple[np.ndarray, ...]] = []
        for path in own:
            image = nib.load(path)
            affine, data = image.affine, np.asarray(image.dataobj, np.float32)
            found = network(data, None, affine)
            stem = path.name.removesuffix(".nii.gz")
            mask = label_mask(data, affine, slab_labels(folder, stem, affine))
            group = slices_in_slab(ras_zooms(affine)[2])
            marks = marks_of(found, data, affine, model.card.threshold)
            truth = mask.astype(np.uint8)
            volumes = (data, found.labels, found.cmb_probability, *marks, truth)
            parts.append(tuple(_apart(volume, group) for volume in volumes))
        stacks = (np.concatenate(kind, axis=2) for kind in zip(*parts, strict=True))
        places = (
            *(files.t2star, files.network_labels, files.probability),
            *(files.raw_mask, files.mask, masks.mask),
        )
        for place, stack in zip(places, stacks, strict=True):
            write_image(place, stack, affine, made if place == files.probability else None)
        print(f"{name}: {len(parts)} slabs")


def marks_of(
    found: Segmentation, t2star: np.ndarray, affine: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Masks of all marks of a slab, and of those that CFPR leaves."""
    instances = find_instances(found.cmb_probability, t2star, affine, threshold)
    verdicts = judge(instances, found.labels, Grid.of(t2star, affine).header_spacing)
    kept = np.isin(instances, [verdict.lesion for verdict in verdicts if verdict.kept])
    return (instances > 0).astype(np.uint8), kept.astype(np.uint8)


def _apart(volume: np.ndarray, group: int) -> np.ndarray:
    """Whole groups of the slices that networks see averaged, and an empty group after them."""
    whole = np.pad(volume, ((0, 0), (0, 0), (0, -volume.shape[2] % group)), mode="edge")
    return np.pad(whole, ((0, 0), (0, 0), (0, group)))


def main() -> None:
    """Write masks and slabs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("app_output", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="lesions")
    given = parser.parse_args()
    write_whole(given.folder, given.app_output, given.out)
    write_slabs(given.folder, given.out, load_lesion_model(given.model))


if __name__ == "__main__":
    main()
