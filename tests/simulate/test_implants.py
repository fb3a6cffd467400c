"""Microbleeds in a made-up scan whose truth is simple: flat tissue, known noise."""

import numpy as np
import pytest

from cmb_bidsapp.simulate import implants
from cmb_bidsapp.simulate.acquisition import apply_source
from cmb_bidsapp.simulate.grid import ScanGrid
from cmb_bidsapp.simulate.implants import draw_implants, noise_level, with_implants
from cmb_bidsapp.simulate.physics import Source
from cmb_bidsapp.simulate.protocols import ScanProtocol

VOXEL = (0.5, 0.5, 3.0)
AFFINE = np.array([[0.5, 0, 0, -20], [0, 0.5, 0, 5], [0, 0, 3.0, 7], [0, 0, 0, 1.0]])


@pytest.fixture(scope="module")
def scan():
    t2star = np.zeros((100, 100, 16), np.float32)
    t2star[5:-5, 5:-5, 1:-1] = 500
    proxy = (t2star > 0).astype(np.uint8)
    proxy[50:] *= 2
    return t2star, proxy


@pytest.fixture(scope="module")
def drawn(scan):
    return draw_implants(*scan, AFFINE, 12, np.random.default_rng(3))


def test_every_source_has_a_row_and_every_visible_lesion_a_number(drawn):
    numbers = [row["lesion_id"] for row in drawn.rows if row["lesion_id"]]
    assert len(drawn.rows) == 12
    assert sorted(numbers) == list(range(1, drawn.instances.max() + 1))
    assert len(numbers) >= 3


def test_a_visible_lesion_is_as_dark_as_its_row_says(drawn):
    for row in drawn.rows:
        if row["lesion_id"]:
            loss = 1 - np.abs(drawn.factor[drawn.instances == row["lesion_id"]])
            assert loss.max() == pytest.approx(row["contrast"])
            assert row["contrast"] >= 0.28


def test_rows_tell_the_world_coordinates(scan, drawn):
    for row in drawn.rows:
        voxel = np.linalg.inv(AFFINE) @ [row["x"], row["y"], row["z"], 1]
        index = tuple(np.round(voxel[:3]).astype(int))
        assert {1: "lobar", 2: "deep"}[int(scan[1][index])] == row["region"]


def test_nothing_beyond_the_reach_of_an_implant_changes(scan, drawn):
    t2star, _ = scan
    noisy = t2star * np.random.default_rng(0).normal(1, 0.05, t2star.shape).astype(np.float32)
    changed = with_implants(noisy, drawn.factor, 20.0, np.random.default_rng(1))
    untouched = np.abs(drawn.factor - 1) <= 1e-4
    assert untouched.mean() > 0.3
    np.testing.assert_array_equal(changed[untouched], noisy[untouched])
    assert (changed[t2star == 0] == 0).all()


def test_what_is_ignored_is_darkened_and_no_lesion(drawn):
    assert (1 - np.abs(drawn.factor[drawn.ignore > 0]) >= 0.05).all()
    assert not (drawn.ignore.astype(bool) & (drawn.instances > 0)).any()


def test_voids_hold_as_much_noise_as_the_scan():
    flat = np.full((60, 60, 4), 300, np.float32)
    void = np.zeros(flat.shape, np.complex64)
    dark = with_implants(flat, void, 15.0, np.random.default_rng(0))
    # The magnitude of complex noise alone has a Rayleigh distribution.
    assert dark.mean() == pytest.approx(15 * np.sqrt(np.pi / 2), rel=0.03)


def test_the_noise_of_a_scan_is_measured():
    noise = np.random.default_rng(2).normal(0, 8, (80, 80, 10))
    assert noise_level((400 + noise).astype(np.float32)) == pytest.approx(8, rel=0.05)
    assert noise_level(np.zeros((5, 5, 5), np.float32)) == 0


def test_the_factor_of_a_source_follows_the_physics(scan, monkeypatch):
    """One source, no blur: the same factor as the simulated scanner draws."""
    source = Source(
        kind="cmb", chi=1.0, semi_axes=(1.2, 1.2, 1.2), path=np.array([[25.0, 25.0, 24.0]])
    )
    monkeypatch.setattr(implants, "choose_sources", lambda *_: [source])
    monkeypatch.setattr(implants, "BLUR_MM", 0.0)
    found = draw_implants(*scan, AFFINE, 1, np.random.default_rng(7), b0=3.0, te_ms=20.0)
    grid = ScanGrid(
        origin=(0.0, 0.0, 0.0), voxel=VOXEL, shape=(100, 100, 16), slab=6, excited=6, in_plane=2
    )
    signal = np.ones((100, 100, 96), np.complex64)
    apply_source(
        signal,
        source,
        grid,
        ScanProtocol(name="x", b0=3.0, te_ms=20, voxel=VOXEL, snr=1),
        np.random.default_rng(7),
    )
    np.testing.assert_allclose(found.factor, grid.mean_of_slices(signal), atol=1e-5)


def test_a_scan_without_tissue_gets_no_implant():
    empty = np.zeros((20, 20, 5), np.float32)
    found = draw_implants(empty, empty.astype(np.uint8), AFFINE, 5, np.random.default_rng(0))
    assert found.rows == []
    assert (found.factor == 1).all()
