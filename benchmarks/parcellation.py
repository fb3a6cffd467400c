"""The embedded parcellation against FreeSurfer's own labels of the same head.

Usage: python benchmarks/parcellation.py SUBJECT_DIR ...
SUBJECT_DIR is a finished FreeSurfer subject; its ``mri/brain.mgz`` is labelled.
"""

import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np

from cmb_bidsapp.anatomy.atlas import parcellate
from cmb_bidsapp.anatomy.mars import mars_labels, on_grid
from cmb_bidsapp.anatomy.network import AnatomyNetwork
from cmb_bidsapp.anatomy.proxy import to_proxy
from cmb_bidsapp.anatomy.reuse import find_parcellation, read_parcellation
from cmb_bidsapp.evaluation.metrics import Overlap
from cmb_bidsapp.labels import MARS, PROXY, RIGHT, SIDES
from cmb_bidsapp.models.registry import load_bundle


def main() -> None:
    """Print Dice by class and by region, and the voxels whose side differs."""
    network = AnatomyNetwork(load_bundle("anatomy"))
    for argument in sys.argv[1:]:
        subject = Path(argument)
        found = find_parcellation((subject.parent,), subject.name.removeprefix("sub-"), None)
        if found is None:
            sys.exit(f"{subject}: no finished FreeSurfer subject")
        reference = read_parcellation(found)
        truth = mars_labels(reference)
        image = nib.load(subject / "mri" / "brain.mgz")
        data = np.asarray(image.dataobj, np.float32)
        began = time.perf_counter()
        labelled = parcellate(network(data, image.affine, "T1w"), data, image.affine)
        seconds = time.perf_counter() - began
        _, mars = on_grid(mars_labels(labelled), labelled.grid, reference.grid)
        print(f"{subject.name}: {seconds:.0f} s")
        for name, number in PROXY.items():
            if number:
                dice = Overlap.of(to_proxy(truth) == number, to_proxy(mars) == number).dice
                print(f"  {name:20s} {dice:.3f}")
        for name, number in MARS.items():
            sides = [
                Overlap.of(truth == side + number, mars == side + number).dice for side in SIDES
            ]
            print(f"  {name:20s} left {sides[0]:.3f}  right {sides[1]:.3f}")
        both = (truth > 0) & (mars > 0)
        differ = both & ((truth >= RIGHT) != (mars >= RIGHT))
        print(f"  other side: {differ.sum()} of {both.sum()} voxels")


if __name__ == "__main__":
    main()
