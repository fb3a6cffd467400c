"""Microbleeds implanted into real multi-echo GRE: what is found, and what is found falsely.

Sources are drawn and multiplied into the complex signal of real crops (their veins stay), which
are then reconstructed at several slice thicknesses. The network sees intensities relative to a
whole brain's, and CFPR needs regions, so each crop is set into a plain simulated brain; what is
found outside the crop is not counted.

Usage: python benchmarks/implant.py FOLDER [--model NAME|DIR] [--draws N]
FOLDER holds */Mag.nii and */Phase.nii with echoes along the fourth axis, in voxels of at most 1 mm.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from cmb_bidsapp.evaluation.matching import centres_of, lesions_of, match
from cmb_bidsapp.lesions.candidates import CONNECTIVITY_26, find_instances
from cmb_bidsapp.lesions.cfpr import judge
from cmb_bidsapp.lesions.segment import LesionNetwork
from cmb_bidsapp.models.registry import load_lesion_model
from cmb_bidsapp.simulate.acquisition import Grid, apply_source, background
from cmb_bidsapp.simulate.anatomy import atlas_head
from cmb_bidsapp.simulate.physics import Source
from cmb_bidsapp.simulate.protocols import Protocol
from cmb_bidsapp.simulate.truth import LESION_LOSS, VISIBLE_LOSS

#: Field (T) and echo time (ms) of the last echo of the public crops.
B0, TE_MS = 7.0, 12.0
#: Slices averaged together: 1, 3 and 5 mm of the crops' 1 mm.
MERGED = (1, 3, 5)
IMPLANTED = 3


def read_complex(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Last echo as complex numbers, and voxel size; the phase is rescaled to +-pi."""
    magnitude = nib.as_closest_canonical(nib.load(folder / "Mag.nii"))
    phase = nib.as_closest_canonical(nib.load(folder / "Phase.nii")).get_fdata()[..., -1]
    radians = phase / np.abs(phase).max() * np.pi
    return magnitude.get_fdata()[..., -1] * np.exp(1j * radians), magnitude.header.get_zooms()[:3]


def implant(signal: np.ndarray, voxel: tuple, rng: np.random.Generator) -> np.ndarray:
    """What a few microbleeds multiply the signal with, drawn in places that are not dark."""
    grid = Grid((0.0, 0.0, 0.0), tuple(map(float, voxel)), signal.shape, 2, 2, 2)
    fine = np.ones((*signal.shape[:2], 2 * signal.shape[2]), np.complex64)
    bright = np.abs(signal) > np.median(np.abs(signal))
    inside = np.zeros_like(bright)
    inside[8:-8, 8:-8, 5:-5] = True
    places = np.argwhere(ndimage.binary_erosion(bright) & inside)
    chosen: list[np.ndarray] = []
    for place in rng.permutation(places):
        centre = place * np.array(voxel)
        if all(np.linalg.norm(centre - other) >= 6 for other in chosen):
            chosen.append(centre)
            radius, chi = rng.uniform(0.5, 1.5), np.exp(rng.uniform(np.log(0.2), np.log(2.0)))
            source = Source("cmb", float(chi), (float(radius),) * 3, centre[None])
            apply_source(fine, source, grid, Protocol("7T", B0, TE_MS, grid.voxel, 30), rng)
        if len(chosen) == IMPLANTED:
            break
    return grid.mean_of_slices(fine)


def plain_brain(voxel: tuple, slices: int) -> np.ndarray:
    """Slices of a simulated brain above its ventricles, without lesions, veins or noise."""
    head = atlas_head()
    protocol = Protocol("3T", 3.0, 20, tuple(map(float, voxel)), 30)
    whole = Grid.around(head, protocol, margin=0)
    ventricles = np.argwhere(np.isin(head.dseg, (4, 43)))[:, 2]
    bottom = float(np.percentile(ventricles, 95))
    grid = replace(
        whole,
        origin=(*whole.origin[:2], bottom),
        shape=(*whole.shape[:2], slices),
        slab=1,
        excited=1,
    )
    magnitude, _ = background(head, protocol, np.random.default_rng(0))
    inside = grid.to_slices(head.brain.astype(np.float32)) > 0.5
    return np.where(inside, grid.to_slices(magnitude), 0)


def in_a_brain(crop: np.ndarray, brain: np.ndarray, rng: np.random.Generator) -> tuple:
    """The crop in the middle of a brain of its brightness, and where it is."""
    start = [(n - m) // 2 for n, m in zip(brain.shape, crop.shape, strict=True)]
    place = tuple(slice(s, s + m) for s, m in zip(start, crop.shape, strict=True))
    noise = rng.normal(1, 0.04, brain.shape)
    whole = brain * noise * (np.median(crop) / np.median(brain[place]))
    whole[place] = crop
    return whole.astype(np.float32), place


def merge(volume: np.ndarray, slices: int) -> np.ndarray:
    """Average groups of slices, as a thicker slice would."""
    whole = volume.shape[2] // slices * slices
    return volume[..., :whole].reshape(*volume.shape[:2], -1, slices).mean(axis=-1)


def truth(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Visible implants by number, as the simulation defines them."""
    loss = (np.abs(before) - np.abs(after)) / np.abs(before)
    pieces, count = ndimage.label(loss >= LESION_LOSS, CONNECTIVITY_26)
    strongest = ndimage.maximum(loss, pieces, range(1, count + 1)) if count else []
    visible = 1 + np.flatnonzero(np.array(strongest) >= VISIBLE_LOSS)
    return np.where(np.isin(pieces, visible), pieces, 0)


def main() -> None:
    """Print found, missed and false lesions per slice thickness."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="lesions")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--threshold", type=float, help="the model's own")
    given = parser.parse_args()
    model = load_lesion_model(given.model)
    network, threshold = LesionNetwork(model), given.threshold or model.card.threshold
    crops = []
    for path in sorted(given.folder.glob("*/Mag.nii")):
        signal, voxel = read_complex(path.parent)
        crops.append((signal, voxel, plain_brain(voxel, signal.shape[2])))
    print(f"{len(crops)} crops, {given.draws} draws, up to {IMPLANTED} implants each")
    print("slice mm  visible  found  (after CFPR)  false per crop  (after CFPR)  false, no implant")
    for slices in MERGED:
        visible, found, extra, scans, clean = 0, [0, 0], [0, 0], 0, 0
        for number, (signal, voxel, surroundings) in enumerate(crops):
            thick = (*map(float, voxel[:2]), float(voxel[2]) * slices)
            affine = np.diag([*thick, 1.0])
            before = merge(signal, slices)
            # The images are about 5e-4 bright; half precision would lose them.
            scale = 600 / np.median(np.abs(before))
            brain = merge(surroundings, slices)
            for draw in range(given.draws + 1):
                rng = np.random.default_rng((number, draw))
                factor = implant(signal, voxel, rng) if draw else 1.0
                after = merge(signal * factor, slices)
                whole, place = in_a_brain(np.abs(after) * scale, brain, rng)
                result = network(whole, None, affine)
                instances = find_instances(result.cmb_probability, threshold)
                verdicts = judge(instances, result.labels, thick)
                kept = np.isin(instances, [v.lesion for v in verdicts if v.kept])[place]
                instances = instances[place]
                if not draw:
                    clean += len(lesions_of(instances, affine))
                    continue
                reference = lesions_of(truth(before, after), affine)
                scans, visible = scans + 1, visible + len(reference)
                for stage, image in enumerate((instances, np.where(kept, instances, 0))):
                    predicted = lesions_of(image, affine)
                    pairs = match(centres_of(reference), centres_of(predicted))
                    found[stage] += len(pairs)
                    extra[stage] += len(predicted) - len(pairs)
        print(
            f"{thick[2]:8.1f}{visible:9d}{found[0]:7d}{found[1]:14d}{extra[0] / scans:16.2f}"
            f"{extra[1] / scans:14.2f}{clean / len(crops):19.2f}"
        )


if __name__ == "__main__":
    main()
