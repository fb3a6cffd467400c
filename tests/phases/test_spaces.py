"""Results in a standard space, for a head whose place in it is known."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine

from cmb_bidsapp.anatomy.standard import Field, write_field
from cmb_bidsapp.anatomy.templates import Space
from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import write_image
from cmb_bidsapp.phases.spaces import write_in_space
from cmb_bidsapp.preprocess.ants import write_linear
from cmb_bidsapp.preprocess.resampling import Grid

#: A point of MNI152 lies here in the T2*w, and from there in the T1w.
SHIFT, TO_T1W = np.array([5.0, -10.0, 20.0]), np.array([-3.0, 2.0, 1.0])
#: Where things are in MNI152.
LESION, SPECK = np.array([-20.0, -40.0, 10.0]), np.array([30.0, 10.0, 14.0])
SPACE = Space("MNI152NLin6Asym", 2)


def ball(shape, affine, center, radius):
    points = apply_affine(affine, np.moveaxis(np.indices(shape), 0, -1))
    return np.linalg.norm(points - center, axis=-1) <= radius


@pytest.fixture
def files(tmp_path: Path) -> SessionFiles:
    """A T2*w of 0.8 x 0.8 x 4 mm and a T1w of 2 mm, with a ball at ``LESION``."""
    files = SessionFiles(tmp_path, "01", None)
    shape, affine = (120, 130, 20), np.diag([0.8, -0.8, 4.0, 1.0])
    affine[:3, 3] = [-40, 30, -5]
    large = ball(shape, affine, LESION + SHIFT, 6.0)
    speck = ball(shape, affine, SPECK + SHIFT, 0.6)
    assert large.any()
    assert speck.sum() <= 1
    if not speck.any():
        index = np.round(apply_affine(np.linalg.inv(affine), SPECK + SHIFT)).astype(int)
        speck[tuple(index)] = True
    rejected = np.zeros(shape, bool)
    rejected[5:9, 5:9, 3] = True
    write_image(files.t2star, (1000.0 * large).astype(np.float32), affine)
    write_image(files.probability, (0.9 * large).astype(np.float32), affine)
    write_image(files.instances, (large + 2 * speck + 3 * rejected).astype(np.int32), affine)
    write_image(files.mask, (large | speck).astype(np.uint8), affine)
    t1w_affine = np.diag([2.0, 2.0, 2.0, 1.0])
    t1w_affine[:3, 3] = [-60, -90, -20]
    shown = ball((60, 60, 50), t1w_affine, LESION + SHIFT + TO_T1W, 6.0)
    write_image(files.t1w, (500.0 * shown).astype(np.float32), t1w_affine)
    pull = np.eye(4)
    pull[:3, 3] = TO_T1W
    write_linear(pull, files.transform)
    grid = Grid((50, 60, 50), np.diag([4.0, 4.0, 4.0, 1.0]))
    grid.affine[:3, 3] = [-95, -130, -75]
    write_field(
        Field(np.broadcast_to(SHIFT, (*grid.shape, 3)).astype(np.float32), grid),
        files.from_standard,
    )
    return files


def center_of(path):
    image = nib.load(path)
    weights = image.get_fdata()
    points = apply_affine(image.affine, np.argwhere(weights > 0))
    return np.average(points, axis=0, weights=weights[weights > 0])


def test_images_and_masks_lie_where_they_are_in_the_standard_space(files: SessionFiles):
    written = write_in_space(files, SPACE, with_t1w=True)
    targets = files.in_space("MNI152NLin6Asym", 2)
    assert set(written) == set(targets.values())
    assert all(nib.load(path).shape == (91, 109, 91) for path in written)
    for native in (files.t2star, files.t1w, files.probability):
        assert np.linalg.norm(center_of(targets[native]) - LESION) < 0.7
    image = nib.load(targets[files.mask])
    mask = image.get_fdata()
    at = np.round(apply_affine(np.linalg.inv(image.affine), [LESION, SPECK])).astype(int)
    assert mask[tuple(at[0])] == 1
    near = mask[tuple(slice(i - 1, i + 2) for i in at[1])]
    assert near.sum() == 1, "a lesion smaller than a voxel is one voxel"
    assert 8 * mask.sum() == pytest.approx(4 / 3 * np.pi * 6**3, rel=0.25)


def test_sidecars_say_where_it_comes_from(files: SessionFiles):
    write_in_space(files, SPACE, with_t1w=False)
    targets = files.in_space("MNI152NLin6Asym", 2)
    assert not targets[files.t1w].exists()
    assert targets[files.mask].name == "sub-01_space-MNI152NLin6Asym_res-2_label-CMB_mask.nii.gz"
    sidecar = json.loads(targets[files.mask].with_suffix("").with_suffix(".json").read_text())
    assert sidecar["Type"] == "Lesion"
    assert sidecar["SpatialReference"] == "MNI152NLin6Asym:res-2"
    assert sidecar["Sources"] == [
        "bids::sub-01/anat/sub-01_space-T2starw_label-CMB_mask.nii.gz",
        "bids::sub-01/anat/sub-01_from-T2starw_to-MNI152NLin6Asym_mode-image_xfm.nii.gz",
    ]
