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
from gre_crops import averaged
from scipy import ndimage

from cmb_bidsapp.core.labels import ids
from cmb_bidsapp.evaluation.matching import centers_of, lesions_of, match
from cmb_bidsapp.lesions.cfpr import judge
from cmb_bidsapp.lesions.instances import CONNECTIVITY_26, find_instances
from cmb_bidsapp.lesions.segment import LesionNetwork
from cmb_bidsapp.models.registry import load_lesion_model
from cmb_bidsapp.simulate.acquisition import apply_source, background
from cmb_bidsapp.simulate.anatomy import atlas_head
from cmb_bidsapp.simulate.grid import ScanGrid
from cmb_bidsapp.simulate.physics import Source
from cmb_bidsapp.simulate.protocols import ScanProtocol
from cmb_bidsapp.simulate.truth import LESION_LOSS, is_visible

#: Field (T) and echo time (ms) of the last echo of the public crops.
B0, TE_MS = 7.0, 12.0
#: Slices averaged together: 1, 3 and 5 mm of the crops' 1 mm.
MERGED = (1, 3, 5)
IMPLANTED = 3
#: Voxels of the brain that are shown around a crop: half of what the network sees at a time.
MARGIN = 64


def read_complex(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Last echo as complex numbers, and voxel size; the phase is rescaled to +-pi."""
    magnitude = nib.as_closest_canonical(nib.load(folder / "Mag.nii"))
    phase = nib.as_closest_canonical(nib.load(folder / "Phase.nii")).get_fdata()[..., -1]
    radians = phase / np.abs(phase).max() * np.pi
    return magnitude.get_fdata()[..., -1] * np.exp(1j * radians), magnitude.header.get_zooms()[:3]


def implant(signal: np.ndarray, voxel: tuple, rng: np.random.Generator) -> np.ndarray:
    """What a few microbleeds multiply the signal with, drawn in places that are not dark."""
    grid = ScanGrid(
        origin=(0.0, 0.0, 0.0),
        voxel=tuple(map(float, voxel)),
        shape=signal.shape,
        slab=2,
        excited=2,
        in_plane=2,
    )
    fine = np.ones((*signal.shape[:2], 2 * signal.shape[2]), np.complex64)
    bright = np.abs(signal) > np.median(np.abs(signal))
    inside = np.zeros_like(bright)
    inside[8:-8, 8:-8, 5:-5] = True
    places = np.argwhere(ndimage.binary_erosion(bright) & inside)
    chosen: list[np.ndarray] = []
    for place in rng.permutation(places):
        center = place * np.array(voxel)
        if all(np.linalg.norm(center - other) >= 6 for other in chosen):
            chosen.append(center)
            radius, chi = rng.uniform(0.5, 1.5), np.exp(rng.uniform(np.log(0.2), np.log(2.0)))
            source = Source(
                kind="cmb", chi=float(chi), semi_axes=(float(radius),) * 3, path=center[None]
            )
            apply_source(
                fine,
                source,
                grid,
                ScanProtocol(name="7T", b0=B0, te_ms=TE_MS, voxel=grid.voxel, snr=30),
                rng,
            )
        if len(chosen) == IMPLANTED:
            break
    return grid.mean_of_slices(fine)


def plain_brain(voxel: tuple, shape: tuple) -> tuple[np.ndarray, tuple[slice, slice]]:
    """A simulated brain without lesions, veins or noise, and the place for a crop of a shape.

    As many slices as the crop has, those where most of it comes to lie in white matter: in a
    fissure, a network would be right not to look for microbleeds.
    """
    head = atlas_head()
    protocol = ScanProtocol(name="3T", b0=3.0, te_ms=20, voxel=tuple(map(float, voxel)), snr=30)
    grid = replace(ScanGrid.around(head, protocol, margin=0), slab=1, excited=1)
    white = grid.to_slices(np.isin(head.dseg, ids(structure="cerebral-wm")).astype(np.float32))
    low = [n // 2 for n in shape]
    inside = tuple(slice(a, n - m + a) for a, n, m in zip(low, grid.shape, shape, strict=True))
    share = ndimage.uniform_filter(white, shape)[inside]
    x, y, z = np.unravel_index(share.argmax(), share.shape)
    magnitude, _ = background(head, protocol, np.random.default_rng(0))
    brain = grid.to_slices(head.brain.astype(np.float32)) > 0.5
    whole = np.where(brain, grid.to_slices(magnitude), 0)[..., z : z + shape[2]]
    print(f"crop of {shape} voxels: {share.max():.0%} in white matter")
    left, front = max(0, x - MARGIN), max(0, y - MARGIN)
    around = whole[left : x + shape[0] + MARGIN, front : y + shape[1] + MARGIN]
    x, y = x - left, y - front
    return around, (slice(x, x + shape[0]), slice(y, y + shape[1]))


def in_a_brain(
    crop: np.ndarray, brain: np.ndarray, place: tuple[slice, slice], rng: np.random.Generator
) -> np.ndarray:
    """The crop at its place in a brain of its brightness."""
    noise = rng.normal(1, 0.04, brain.shape)
    whole = brain * noise * (np.median(crop) / np.median(brain[place]))
    whole[place] = crop
    return whole.astype(np.float32)


def truth(before: np.ndarray, after: np.ndarray, voxel: tuple) -> tuple[np.ndarray, np.ndarray]:
    """Visible implants by number, as the simulation defines them, and all that implants darken."""
    loss = (np.abs(before) - np.abs(after)) / np.abs(before)
    pieces, _ = ndimage.label(loss >= LESION_LOSS, CONNECTIVITY_26)
    for number, box in enumerate(ndimage.find_objects(pieces), start=1):
        mask = pieces[box] == number
        if not is_visible(mask, loss[box], voxel):
            pieces[box][mask] = 0
    return pieces, loss >= LESION_LOSS / 2


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
        crops.append((signal, voxel, *plain_brain(voxel, signal.shape)))
    print(f"{len(crops)} crops, {given.draws} draws, up to {IMPLANTED} implants each")
    print("slice mm  visible  found  (after CFPR)  false per crop  (after CFPR)  false, no implant")
    for slices in MERGED:
        visible, found, extra, scans, clean = 0, [0, 0], [0, 0], 0, 0
        for number, (signal, voxel, surroundings, place) in enumerate(crops):
            thick = (*map(float, voxel[:2]), float(voxel[2]) * slices)
            affine = np.diag([*thick, 1.0])
            before = averaged(signal, (1, 1, slices))
            # The images are about 5e-4 bright; half precision would lose them.
            scale = 600 / np.median(np.abs(before))
            brain = averaged(surroundings, (1, 1, slices))
            for draw in range(given.draws + 1):
                rng = np.random.default_rng((number, draw))
                factor = implant(signal, voxel, rng) if draw else 1.0
                after = averaged(signal * factor, (1, 1, slices))
                whole = in_a_brain(np.abs(after) * scale, brain, place, rng)
                result = network(whole, None, affine)
                instances = find_instances(result.cmb_probability, whole, affine, threshold)
                verdicts = judge(instances, result.labels, thick)
                kept = np.isin(instances, [v.lesion for v in verdicts if v.kept])[place]
                instances = instances[place]
                if not draw:
                    clean += len(lesions_of(instances, affine))
                    continue
                visible_ones, darkened = truth(before, after, thick)
                reference = lesions_of(visible_ones, affine)
                scans, visible = scans + 1, visible + len(reference)
                for stage, image in enumerate((instances, np.where(kept, instances, 0))):
                    predicted = lesions_of(image, affine)
                    pairs = match(centers_of(reference), centers_of(predicted))
                    found[stage] += len(pairs)
                    # Implants too small to count are no false positives where they are found.
                    faint = np.unique(image[darkened & (visible_ones == 0) & (image > 0)])
                    matched = {predicted[pair.predicted].number for pair in pairs}
                    extra[stage] += sum(
                        lesion.number not in matched and lesion.number not in faint
                        for lesion in predicted
                    )
        print(
            f"{thick[2]:8.1f}{visible:9d}{found[0]:7d}{found[1]:14d}{extra[0] / scans:16.2f}"
            f"{extra[1] / scans:14.2f}{clean / len(crops):19.2f}"
        )


if __name__ == "__main__":
    main()
