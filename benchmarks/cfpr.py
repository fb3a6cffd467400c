"""CFPR beside its plain form, which looks at the whole image for every lesion.

Usage: python benchmarks/cfpr.py [--lesions 100] [--shape 560 560 30] [--spacing 0.4286 0.4286 6.5]

The plain form is a distance transform of the whole image per lesion: SciPy's for ``paper`` mode;
for ``reference`` mode SimpleITK's signed Maurer map, as in the authors' published code. Both take
one thread, and their decisions are compared with ours.
"""

import argparse
import time
from collections.abc import Callable, Iterator

import numpy as np
import SimpleITK
from scipy import ndimage

from cmb_bidsapp.core.defaults import CFPR_RADIUS_MM, CFPR_RATIO
from cmb_bidsapp.core.labels import CMB
from cmb_bidsapp.lesions.cfpr import FAR_MM, THICK_SLICE_MM, TOLERANCE_MM, Verdict, judge

Case = tuple[np.ndarray, np.ndarray, tuple[float, ...]]


def made(shape: tuple[int, ...], spacing: tuple[float, ...], lesions: int) -> Case:
    """Round lesions, none touching another, in and around a ball of lobar tissue."""
    rng = np.random.default_rng(0)
    x, y, z = np.ogrid[tuple(slice(-1, 1, n * 1j) for n in shape)]
    labels = (x**2 + y**2 + z**2 < 0.8).astype(np.uint8)
    instances = np.zeros(shape, np.int32)
    steps = np.array(spacing)
    while instances.max() < lesions:
        radius = rng.uniform(1, 4)
        reach = np.ceil(radius / steps).astype(int)
        center = rng.integers(reach + 1, np.array(shape) - reach - 1)
        box = tuple(slice(c - r - 1, c + r + 2) for c, r in zip(center, reach, strict=True))
        if instances[box].any():
            continue
        offsets = (np.moveaxis(np.indices(2 * reach + 3), 0, -1) - reach - 1) * steps
        ball = np.linalg.norm(offsets, axis=-1) <= radius
        instances[box][ball] = instances.max() + 1
        labels[box][ball] = CMB
    return instances, labels, spacing


def plain_paper(instances: np.ndarray, labels: np.ndarray, spacing: tuple[float, ...]) -> Iterator:
    steps = [FAR_MM if step > THICK_SLICE_MM + TOLERANCE_MM else step for step in spacing]
    for number in range(1, instances.max() + 1):
        own = instances == number
        near = ndimage.distance_transform_edt(~own, steps) <= CFPR_RADIUS_MM + TOLERANCE_MM
        kinds = labels[near & (instances == 0)]
        yield np.isin(kinds, (1, 2, 3)).mean() >= CFPR_RATIO


def plain_reference(
    instances: np.ndarray, labels: np.ndarray, spacing: tuple[float, ...]
) -> Iterator:
    pieces = SimpleITK.GetImageFromArray(instances.T)
    pieces.SetSpacing(spacing)
    for number in range(1, instances.max() + 1):
        own = SimpleITK.BinaryThreshold(pieces, number, number)
        distance = SimpleITK.SignedMaurerDistanceMap(
            own, insideIsPositive=False, squaredDistance=False, useImageSpacing=True
        )
        near = SimpleITK.BinaryThreshold(distance, 0.0, CFPR_RADIUS_MM)
        around = SimpleITK.GetArrayFromImage(SimpleITK.Xor(own, near)).T == 1
        yield np.isin(labels[around], (1, 2, 3)).mean() >= CFPR_RATIO


def timed(work: Callable[[], list]) -> tuple[list, float]:
    began = time.perf_counter()
    found = work()
    return found, time.perf_counter() - began


def main() -> None:
    """Print the seconds of each form and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lesions", type=int, default=100)
    parser.add_argument("--shape", type=int, nargs=3, default=(560, 560, 30))
    parser.add_argument("--spacing", type=float, nargs=3, default=(0.4286, 0.4286, 6.5))
    given = parser.parse_args()
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    case = made(tuple(given.shape), tuple(given.spacing), given.lesions)
    for mode, plain in (("paper", plain_paper), ("reference", plain_reference)):
        verdicts: list[Verdict]
        verdicts, seconds = timed(lambda mode=mode: judge(*case, mode=mode))
        decisions, plain_seconds = timed(lambda plain=plain: list(plain(*case)))
        same = [v.kept for v in verdicts] == decisions
        kept = sum(decisions)
        print(
            f"{mode:10s} {seconds:8.3f} s   plain {plain_seconds:8.1f} s   "
            f"{plain_seconds / seconds:8.0f} times   {kept} of {len(decisions)} kept, "
            f"{'the same' if same else 'NOT THE SAME'}",
            flush=True,
        )


if __name__ == "__main__":
    main()
