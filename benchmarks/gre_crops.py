"""Small crops of real gradient echo as scans without microbleeds, at several resolutions.

The second look learns from their vessels: ``cmb_bidsapp train second-look ... --also OUT``.

Usage: python benchmarks/gre_crops.py FOLDER OUT
FOLDER/NAME/Mag.nii is a magnitude image, 4D ones by echo; the second echo is taken.
"""

import argparse
from pathlib import Path

import nibabel as nib
import numpy as np

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import write_image

#: Voxels of the crop that are averaged along each axis.
MEANS = ((1, 1, 1), (1, 1, 2), (1, 1, 4), (2, 2, 3), (2, 2, 4))
ECHO = 1
#: The crops are of 7 T; in voxels this wide they look like 3 T and 20 ms.
SIDECAR = {"MagneticFieldStrength": 3, "EchoTime": 0.02}


def averaged(image: np.ndarray, means: tuple[int, int, int], first: int = 0) -> np.ndarray:
    """Means of groups of voxels, from slice ``first`` on; what is left over is cut off.

    Complex images average as one thicker slice would.
    """
    image = image[:, :, first:]
    for axis, count in enumerate(means):
        whole = image.shape[axis] // count
        image = image.take(range(whole * count), axis)
        shape = (*image.shape[:axis], whole, count, *image.shape[axis + 1 :])
        image = image.reshape(shape).mean(axis + 1)
    return image


def main() -> None:
    """Write one session per resolution and first slice."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    for number, path in enumerate(sorted(given.folder.glob("*/Mag.nii*")), start=1):
        image = nib.as_closest_canonical(nib.load(path))
        data = np.asarray(image.dataobj, np.float32)
        data = data[..., min(ECHO, data.shape[3] - 1)] if data.ndim == 4 else data
        for means in MEANS:
            for first in range(min(means[2], 2)):
                session = "x".join(map(str, (*means, first)))
                files = SessionFiles(given.out, f"crop{number}", session)
                crop = averaged(data, means, first)
                affine = image.affine @ np.diag([*means, 1.0])
                write_image(files.t2star, crop, affine, SIDECAR)
                write_image(files.proxy, np.ones(crop.shape, np.uint8), affine)
                write_image(files.mask, np.zeros(crop.shape, np.uint8), affine)
                print(f"{files.label}: {crop.shape}")


if __name__ == "__main__":
    main()
