"""What is left of a head in archives, and what stays true of it."""

import nibabel as nib
import numpy as np

from cmb_bidsapp.simulate.dataset import SimulatedCohort, simulate_dataset
from cmb_bidsapp.simulate.protocols import PROTOCOLS
from cmb_bidsapp.simulate.request import Kept
from cmb_bidsapp.simulate.sharing import left_over
from tests.simulate.heads import HEAD

MM = np.eye(4)


def left(kept, seed=0):
    return left_over(HEAD.brain, MM, kept, np.random.default_rng(seed))


def test_a_whole_head_loses_nothing_and_a_brain_all_around_it():
    assert left(Kept.WHOLE).all()
    np.testing.assert_array_equal(left(Kept.BRAIN), HEAD.brain)


def test_a_half_stripped_head_has_its_brain_and_the_rest_in_places():
    mask = left(Kept.PARTLY)
    assert mask[HEAD.brain].all()
    outside = mask[~HEAD.brain].mean()
    assert 0.05 < outside < 0.6
    # Cut elsewhere in another head.
    assert (mask != left(Kept.PARTLY, seed=1)).any()


def test_a_dataset_of_brains_has_no_skull_and_the_t1w_on_the_grid_of_the_t2star(tmp_path):
    options = {"kept": Kept.BRAIN, "t1w_on_t2star": True}
    simulate_dataset(
        SimulatedCohort(
            heads=[HEAD],
            participants=1,
            protocols=[PROTOCOLS["gre3t3mm"]],
            microbleeds=(1, 1),
            seed=0,
            **options,
        ),
        tmp_path,
    )
    anat = tmp_path / "sub-01" / "anat"
    t2star, t1w = (nib.load(anat / f"sub-01_{name}.nii.gz") for name in ("T2starw", "T1w"))
    np.testing.assert_array_equal(t2star.affine, t1w.affine)
    truth = tmp_path / "derivatives/truth/sub-01/anat/sub-01_space-T2starw_desc-brain_mask.nii.gz"
    brain = np.asarray(nib.load(truth).dataobj) > 0
    for image in (t2star, t1w):
        data = np.asarray(image.dataobj)
        assert not data[~brain].any()
        assert (data[brain] > 0).mean() > 0.95
