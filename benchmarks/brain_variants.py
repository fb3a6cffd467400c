"""Brain extraction where an image shows less than a head: Dice with the truth of a simulation.

Usage: python benchmarks/brain_variants.py BIDS_DIR [--only sub-01 sub-02 ...] [--model NAME|DIR]
BIDS_DIR is written by ``cmb_bidsapp simulate``.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np

from cmb_bidsapp.anatomy.network import AnatomyNetwork
from cmb_bidsapp.core.arrays import Volume
from cmb_bidsapp.core.contrast import Contrast
from cmb_bidsapp.models.registry import load_bundle
from cmb_bidsapp.preprocess.resampling import Grid, isotropic_grid, resample

Variant = tuple[str, np.ndarray, np.ndarray, np.ndarray]


def variants(image: np.ndarray, brain: np.ndarray, affine: np.ndarray) -> Iterator[Variant]:
    """Name, image, true brain and affine of what is left of an image."""
    yield "whole", image, brain, affine
    yield "skull-stripped", image * brain, brain, affine
    inside = np.flatnonzero(brain.any(axis=(0, 1)))
    middle = int(inside[len(inside) // 2])
    yield "lower half", image[..., :middle], brain[..., :middle], affine
    above = affine.copy()
    above[:3, 3] += affine[:3, 2] * middle
    yield "upper half", image[..., middle:], brain[..., middle:], above
    grid = isotropic_grid(Grid.of(image, affine), 3.0, multiple=1)
    coarse = [resample(v.astype(np.float32), affine, grid, smooth=True) for v in (image, brain)]
    yield "3 mm voxels", coarse[0], coarse[1] > 0.5, grid.affine


def main() -> None:
    """Print the mean and the lowest Dice per contrast and variant."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bids_dir", type=Path)
    parser.add_argument("--only", nargs="*", default=["sub-"])
    parser.add_argument("--model", default="anatomy")
    given = parser.parse_args()
    network = AnatomyNetwork(load_bundle(given.model))
    dice: dict[tuple[str, str], list[float]] = defaultdict(list)
    contrasts: tuple[Contrast, ...] = (Contrast.T1W, Contrast.T2STARW)
    for contrast in contrasts:
        for path in sorted(given.bids_dir.glob(f"sub-*/**/*_{contrast}.nii.gz")):
            if not any(text in path.name for text in given.only):
                continue
            name = path.name.replace(f"_{contrast}", f"_space-{contrast}_desc-brain_mask")
            truth = given.bids_dir / "derivatives/truth" / path.parent.relative_to(given.bids_dir)
            brain = np.asarray(nib.load(truth / name).dataobj) > 0
            image = nib.load(path)
            whole = image.get_fdata(dtype=np.float32)
            for variant, data, true, affine in variants(whole, brain, image.affine):
                data = np.ascontiguousarray(data, np.float32)
                found = network(Volume(data, affine), contrast).brain_mask(Grid.of(data, affine))
                score = 2 * (found & true).sum() / (found.sum() + true.sum())
                dice[contrast, variant].append(float(score))
    for (contrast, variant), values in dice.items():
        print(
            f"{contrast:8s} {variant:16s} mean {np.mean(values):.3f}  lowest {np.min(values):.3f}  "
            f"(n={len(values)})"
        )


if __name__ == "__main__":
    main()
