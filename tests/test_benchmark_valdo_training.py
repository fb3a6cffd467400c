"""Labeled training scans out of points, on made-up images."""

from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import valdo_training as training

from cmb_bidsapp.bids.images import read_labels
from cmb_bidsapp.bids.outputs import read_sidecar
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.lesions.segment import Segmentation
from cmb_bidsapp.train.adapt import usable_sessions

AFFINE = np.diag([0.5, 0.5, 2.0, 1.0])


def label(*voxel, volume=14.0):
    return training.Label("0", tuple(AFFINE[:3, :3] @ voxel), volume)


@pytest.fixture
def scan():
    t2star = np.full((80, 80, 10), 400, np.float32)
    for x in (30, 36, 42, 48):
        t2star[x : x + 3, 30:33, 5] = 100
    t2star[30:33, 40:43, 5] = 100  # nobody has labeled this one
    return t2star


def test_a_mask_for_every_label(scan):
    labels = [label(x + 1, 31, 5) for x in (30, 36, 42, 48)]
    mask = training.label_mask(scan, AFFINE, labels)
    assert mask.sum() == 4 * 9
    assert scan[mask].max() == 100


def test_dark_spots_beside_a_cluster_are_doubtful(scan):
    labels = [label(x + 1, 31, 5) for x in (30, 36, 42, 48)]
    mask = training.label_mask(scan, AFFINE, labels)
    deep = np.ones(scan.shape, bool)
    found = training.doubtful(scan, AFFINE, deep, labels, mask)
    assert found.sum() == 9
    assert found[30:33, 40:43, 5].all()
    alone = training.doubtful(scan, AFFINE, deep, labels[:1], mask)
    assert not alone.any(), "one label is no cluster"
    assert not training.doubtful(scan, AFFINE, ~deep, labels, mask).any()


def test_slabs_are_stacked_in_whole_groups():
    volume = np.arange(1, 4, dtype=np.float32)[None, None] * np.ones((2, 2, 1), np.float32)
    stacked = training._apart(volume, 2)
    assert stacked[0, 0].tolist() == [1, 2, 3, 3, 0, 0]
    assert training._apart(volume, 1)[0, 0].tolist() == [1, 2, 3, 0]


def test_adapt_takes_stacks_of_slabs_for_finished_sessions(tmp_path, monkeypatch):
    """A stand-in finds dark voxels; CFPR leaves those out that lie outside the tissue."""
    slab = np.full((40, 40, 3), 400, np.float32)
    slab[20:23, 20:23, 1] = slab[2:4, 2:4, 1] = 100

    class Finder:
        def __init__(self, model):
            assert model.name == "lesions-toy"

        def __call__(self, t2star, t1w, affine):
            labels = np.zeros(t2star.shape, np.uint8)
            labels[10:35, 10:35] = 1
            return Segmentation(labels, np.where(t2star < 200, 0.9, 0).astype(np.float32))

    monkeypatch.setattr(training, "LesionNetwork", Finder)
    (tmp_path / "slabs").mkdir()
    for part in ("k001-003", "k007-009"):
        image = nib.Nifti1Image(slab, AFFINE)
        nib.save(image, tmp_path / "slabs" / f"sub-201_{part}_T2starw.nii.gz")
    (tmp_path / "slab_points.tsv").write_text("file\ti\tj\tk_in_slab\n")
    card = SimpleNamespace(threshold=0.5)
    model = SimpleNamespace(name="lesions-toy", sha256="abc", card=card)
    training.write_slabs(tmp_path, tmp_path / "out", model)
    request = SimpleNamespace(
        derivatives=tmp_path / "out/slabs", participant_label=(), exclude_participant_label=()
    )
    (files,) = usable_sessions(request, model)
    assert read_sidecar(files.probability)["Mirrored"] is True
    raw, kept = (read_labels(path).data > 0 for path in (files.raw_mask, files.mask))
    assert (raw.sum(), kept.sum()) == (2 * 13, 2 * 9)
    assert kept[20:23, 20:23, [1, 5]].all(), "an empty slice lies between the slabs"
    other = SimpleNamespace(name="lesions-other", sha256="other", card=card)
    with pytest.raises(DataError, match="made by lesions-toy"):
        usable_sessions(request, other)
