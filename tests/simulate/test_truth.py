"""What is true of a simulated scan."""

import numpy as np
import pytest
from nibabel.affines import apply_affine

from cmb_bidsapp.simulate.acquisition import scan_t2star
from cmb_bidsapp.simulate.grid import ScanGrid
from cmb_bidsapp.simulate.sources import choose_mimics
from cmb_bidsapp.simulate.truth import (
    LESION_COLUMNS,
    LESION_LOSS,
    VISIBLE_DIAMETER_MM,
)
from tests.simulate.cases import CENTER, PROTOCOL, SITES
from tests.simulate.heads import HEAD


def test_lesions_lie_inside_the_brain(case):
    assert (case.instances > 0).any()
    assert not (case.instances[case.brain == 0]).any()
    assert not case.ignore[case.brain == 0].any()
    assert not case.proxy[case.brain == 0].any()


def test_the_table_and_the_mask_hold_the_same_lesions(case):
    assert len(case.lesions) == 6
    visible = [row for row in case.lesions if row["visible"]]
    assert visible
    numbers = [row["lesion_id"] for row in visible]
    assert numbers == list(range(1, len(visible) + 1))
    assert np.unique(case.instances[case.instances > 0]).tolist() == numbers
    for row in visible:
        mask = case.instances == row["lesion_id"]
        assert row["volume"] == pytest.approx(mask.sum() * np.prod(PROTOCOL.voxel))
        assert row["apparent_diameter"] >= VISIBLE_DIAMETER_MM
        voxels = apply_affine(case.affine, np.argwhere(mask))
        distance = np.linalg.norm(voxels - [row["x"], row["y"], row["z"]], axis=1)
        assert distance.min() < 3
    for row in case.lesions:
        assert set(row) == set(LESION_COLUMNS)
        if not row["visible"]:
            assert (row["lesion_id"], row["volume"], row["apparent_diameter"]) == (None,) * 3


def test_what_is_too_faint_is_to_be_ignored_and_never_counted(case):
    assert set(np.unique(case.ignore)) <= {0, 1}
    assert not case.ignore[case.instances > 0].any()


def test_lesions_tell_their_side(case):
    for row in case.lesions:
        assert row["side"] in ("left", "right", None)
        if abs(row["x"]) > 10:
            assert row["side"] in (("right" if row["x"] > 0 else "left"), None)


def test_a_microbleed_lies_where_it_was_put(strong):
    point, case = strong
    (row,) = case.lesions
    np.testing.assert_allclose([row["x"], row["y"], row["z"]], point - CENTER, atol=1e-6)
    assert row["visible"]
    assert row["region"] == "lobar"
    assert row["true_diameter"] == pytest.approx(3.0)
    assert row["apparent_diameter"] > 3.0
    mask = case.instances == 1
    middle = apply_affine(case.affine, np.argwhere(mask).mean(axis=0))
    assert np.linalg.norm(middle - (point - CENTER)) < 2


def test_a_microbleed_is_dark(strong):
    _, case = strong
    mask = case.instances == 1
    around = case.proxy == 1
    darkest = case.t2star[mask].min()
    assert darkest < 0.5 * np.median(case.t2star[around])
    assert case.t2star[mask].mean() < (1 - LESION_LOSS) * np.median(case.t2star[around])


def test_no_lesions_give_an_empty_mask(empty):
    assert empty.lesions == []
    assert not empty.instances.any()
    assert empty.brain.any()
    assert empty.mimics  # veins and calcifications are no lesions


def test_no_lesions_leave_nothing_to_ignore(empty):
    assert not empty.ignore.any()


def test_without_microbleeds_no_signal_is_lost():
    rng = np.random.default_rng(0)
    grid = ScanGrid.around(HEAD, PROTOCOL)
    scan = scan_t2star(HEAD, PROTOCOL, grid, [], choose_mimics(SITES, rng, 5), rng)
    assert scan.loss.max() == 0
