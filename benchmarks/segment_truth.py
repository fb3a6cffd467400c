"""A lesion model on the true preprocessing of simulated scans, for ``cmb_bidsapp evaluate``.

What the model does without the errors of brain extraction and registration, at the price of the
segmentation alone: for comparing models, slice thicknesses and inputs.

Usage: python benchmarks/segment_truth.py TRUTH OUT [--model NAME|DIR] [--without-t1w] [--slab MM]
"""

import argparse
import multiprocessing
import time
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np

from cmb_bidsapp.anatomy.network import AnatomyNetwork
from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import write_image
from cmb_bidsapp.bids.tables import read_table, write_dseg
from cmb_bidsapp.core.arrays import Volume
from cmb_bidsapp.core.contrast import Contrast
from cmb_bidsapp.core.defaults import ANATOMY_MODEL
from cmb_bidsapp.core.labels import PROXY_LOOK
from cmb_bidsapp.lesions.axes import ras_zooms
from cmb_bidsapp.lesions.candidates import measure
from cmb_bidsapp.lesions.cfpr import judge
from cmb_bidsapp.lesions.instances import find_instances
from cmb_bidsapp.lesions.rules import cfpr_rule, to_lesions
from cmb_bidsapp.lesions.segment import LesionNetwork, with_regions
from cmb_bidsapp.lesions.slabs import SLAB_MM
from cmb_bidsapp.lesions.table import write_lesions
from cmb_bidsapp.lesions.tissues import tissues_on
from cmb_bidsapp.models.registry import load_bundle, load_lesion_model


def segment(session: Path, given: argparse.Namespace) -> str:
    """Segment one session and write what ``evaluate`` reads."""
    import torch

    torch.set_num_threads(1)
    entities = dict(p.split("-", 1) for p in session.parts if p[:4] in ("sub-", "ses-"))
    truth, out = (
        SessionFiles(root, entities["sub"], entities.get("ses"))
        for root in (given.truth, given.out)
    )
    if out.lesions.exists():
        return f"{out.label}: there"
    began = time.perf_counter()
    model = load_lesion_model(given.model)
    network = LesionNetwork(model, mirror=given.tta, slab_mm=given.slab)
    image = nib.load(truth.t2star)
    affine, t2star = image.affine, image.get_fdata(dtype=np.float32)
    t1w = None if given.without_t1w else nib.load(truth.t1w_on_t2star).get_fdata(dtype=np.float32)
    spacing = ras_zooms(affine)
    brain = Volume(t2star, affine)
    anatomy = AnatomyNetwork(load_bundle(ANATOMY_MODEL))(brain, Contrast.T2STARW)
    tissues = tissues_on(Volume(anatomy.structures, anatomy.grid.affine), brain)
    result = network(t2star, t1w, affine, tissues=tissues)
    instances = find_instances(
        result.cmb_probability, t2star, affine, given.threshold or model.card.threshold
    )
    proxy = np.asarray(nib.load(truth.proxy).dataobj)
    # As the app does: CFPR needs regions.
    labels = result.labels if model.classes.regions else with_regions(result.labels, proxy)
    mars = np.asarray(nib.load(truth.mars).dataobj)
    candidates = measure(instances, result.cmb_probability, t2star, mars, affine)
    verdicts = judge(instances, labels, spacing)
    lesions = to_lesions(candidates, verdicts, [cfpr_rule(verdicts)], min_diameter=0.0)
    kept = [lesion.number for lesion in lesions if lesion.kept]
    write_image(out.probability, result.cmb_probability, affine, {})
    write_dseg(out.network_labels, labels, affine, PROXY_LOOK, {})
    write_image(out.instances, instances, affine, {})
    write_image(out.raw_mask, (instances > 0).astype(np.uint8), affine, {})
    write_image(out.mask, np.isin(instances, kept).astype(np.uint8), affine, {})
    write_lesions(out.lesions, lesions)
    visible = sum(row["visible"] == "true" for row in read_table(truth.lesions))
    seconds = time.perf_counter() - began
    return f"{out.label}: {len(kept)} kept, {visible} visible, {seconds:.0f} s"


def main() -> None:
    """Segment all sessions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("truth", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="lesions")
    parser.add_argument("--without-t1w", action="store_true")
    parser.add_argument("--slab", type=float, default=SLAB_MM, help="mm; 0 takes slices as are")
    parser.add_argument("--no-tta", dest="tta", action="store_false")
    parser.add_argument("--threshold", type=float, help="the model's own")
    parser.add_argument("--only", nargs="*", default=[""], help="texts, one of which a label has")
    parser.add_argument("--nprocs", type=int, default=1)
    given = parser.parse_args()
    sessions = sorted(
        path.parent
        for path in given.truth.glob("sub-*/**/*_space-T2starw_label-CMB_mask.nii.gz")
        if any(text in path.name for text in given.only)
    )
    with multiprocessing.get_context("spawn").Pool(given.nprocs) as pool:
        for line in pool.imap(partial(segment, given=given), sessions):
            print(line, flush=True)


if __name__ == "__main__":
    main()
