"""Labeled training scans out of points, on made-up images."""

import numpy as np
import pytest
import valdo_training as training

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
