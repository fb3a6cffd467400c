"""Protocols, slices and their gaps, iron-rich nuclei, motion and noise."""

import numpy as np
import pytest

from cmb_bidsapp.simulate.acquisition import Grid, background, scan_t2star
from cmb_bidsapp.simulate.artefacts import add_noise, ghost, interpolate
from cmb_bidsapp.simulate.nuclei import iron_nuclei
from cmb_bidsapp.simulate.physics import Source
from cmb_bidsapp.simulate.protocols import PROTOCOLS, Protocol, read_protocol
from tests.simulate.heads import HEAD


def test_protocols_go_by_their_name():
    for name, protocol in PROTOCOLS.items():
        assert protocol.name == name
        assert read_protocol(name) is protocol
    assert PROTOCOLS["paper"].voxel == (0.4286, 0.4286, 6.5)


def test_any_protocol_can_be_written_out():
    protocol = read_protocol("b0=1.5,te=40,voxel=0.5x0.6x4,gap=0.4,snr=18,name=mine")
    assert protocol == Protocol("mine", 1.5, 40, (0.5, 0.6, 4.4), 18, 0.4)
    assert protocol.thickness == pytest.approx(4.0)
    assert read_protocol("b0=3,te=20,voxel=1x1x2").gap == 0


@pytest.mark.parametrize(
    "text",
    [
        "unheard-of",
        "b0=3,te=20",
        "b0=3,te=20,voxel=1x1",
        "b0=3,te=20,voxel=1x1xthick",
        "b0=-3,te=20,voxel=1x1x2",
        "b0=3,te=20,voxel=1x1x2,gap=-1",
        "b0=3,te=20,voxel=1x1x2,colour=red",
    ],
)
def test_what_is_no_protocol_is_named_with_what_is_expected(text):
    with pytest.raises(ValueError, match=rf"^{text}: one of paper, .*b0=T,te=MS,voxel=XxYxZ"):
        read_protocol(text)


def loss_at(z, protocol):
    """Largest loss by slice of a small microbleed at height ``z`` in the toy head."""
    source = Source("cmb", 1.0, (1.0,) * 3, np.array([[20.0, 35.0, z]]))
    grid = Grid.around(HEAD, protocol)
    scan = scan_t2star(HEAD, protocol, grid, [source], [], np.random.default_rng(0))
    return grid, scan.loss.max(axis=(0, 1))


def test_a_gap_between_slices_hides_what_lies_in_it():
    whole = read_protocol("b0=3,te=5,voxel=1x1x6")
    grid, _ = loss_at(35.0, whole)
    edge = grid.origin[2] + 3.5 * grid.voxel[2]
    _, contiguous = loss_at(edge, whole)
    _, gapped = loss_at(edge, read_protocol("b0=3,te=5,voxel=1x1x3,gap=3"))
    assert gapped.max() < 0.5 * contiguous.max()


def test_a_gap_leaves_the_slice_distance_and_what_lies_in_the_slice():
    gapped = read_protocol("b0=3,te=20,voxel=1x1x3,gap=3")
    grid = Grid.around(HEAD, gapped)
    assert (grid.voxel[2], grid.slab, grid.excited) == (6.0, 12, 6)
    centre = grid.origin[2] + 3 * grid.voxel[2]
    _, contiguous = loss_at(centre, read_protocol("b0=3,te=20,voxel=1x1x6"))
    _, loss = loss_at(centre, gapped)
    assert loss[3] > contiguous[3] > 0.1


def test_susceptibility_weighting_darkens_a_vein_and_no_white_matter():
    vein = Source("vein", 0.4, (0.8,) * 3, np.array([[20.0, 35.0, 25.0], [20.0, 35.0, 45.0]]))
    plain = read_protocol("b0=3,te=20,voxel=1x1x2,snr=200")
    weighted = read_protocol("b0=3,te=20,voxel=1x1x2,snr=200,sequence=swi")
    grid = Grid.around(HEAD, plain)
    # The same person and noise twice.
    gre, swi = (
        scan_t2star(HEAD, protocol, grid, [], [vein], np.random.default_rng(0))
        for protocol in (plain, weighted)
    )
    dark = gre.mimic_loss["vein"] > 0.3
    white = grid.to_slices(np.isin(HEAD.dseg, (2, 41)).astype(np.float32)) > 0.99
    quiet = white & (gre.mimic_loss["vein"] < 0.01)
    assert np.median(swi.magnitude[dark]) < 0.8 * np.median(gre.magnitude[dark])
    # Near the air around this small head the phase changes too fast for the filter.
    assert np.percentile(swi.magnitude[quiet] / gre.magnitude[quiet], 90) > 0.95


def head_with_ventral_dc():
    dseg = HEAD.dseg.copy()
    i, j, k = np.indices(dseg.shape) - 29.5
    here = (np.abs(i) < 14) & (np.abs(j - 2) < 10) & (k >= -8) & (k < -1)
    dseg[here] = np.where(i < 0, 28, 60)[here]
    return dseg


def test_iron_nuclei_lie_with_their_neighbours_on_both_sides():
    dseg = head_with_ventral_dc()
    nuclei = iron_nuclei(dseg)
    for name, homes in (
        ("red-nucleus", (28, 60, 16)),
        ("substantia-nigra", (28, 60, 16)),
        ("dentate", (7, 46)),
    ):
        mask = nuclei[name]
        assert np.isin(dseg[mask], homes).all(), name
        left, right = mask[:30].sum(), mask[30:].sum()
        assert min(left, right) > 20, name
        assert max(left, right) < 1.5 * min(left, right), name
    assert not (nuclei["red-nucleus"] & nuclei["substantia-nigra"]).any()


def test_a_head_without_a_brainstem_gets_no_nuclei():
    nothing = iron_nuclei(np.zeros((20, 20, 20), np.int16))
    assert not any(mask.any() for mask in nothing.values())


def test_iron_darkens_the_dentate():
    dentate = iron_nuclei(HEAD.dseg)["dentate"]
    white = np.isin(HEAD.dseg, (7, 46)) & ~dentate
    # How much iron there is differs from person to person.
    people = [background(HEAD, PROTOCOLS["paper"], np.random.default_rng(n))[0] for n in range(4)]
    darkness = [np.median(one[dentate]) / np.median(one[white]) for one in people]
    assert np.mean(darkness) < 0.88
    assert max(darkness) < 0.96


def square(size=64):
    image = np.zeros((size, size, 2), np.complex64)
    image[20:44, 20:44] = 1
    return image


def test_motion_makes_ghosts_along_the_phase_encoding_axis_only():
    still = square()
    moved = ghost(still, 0.5, np.random.default_rng(0))
    assert moved.shape == still.shape
    outside = np.abs(moved[20:44, :15]).max()
    assert outside > 0.01
    np.testing.assert_allclose(np.abs(moved[:20]), 0, atol=1e-5)
    energy = (np.abs(moved) ** 2).sum()
    assert energy == pytest.approx((np.abs(still) ** 2).sum(), rel=1e-4)


def test_noise_has_the_given_strength_and_makes_the_background_rician():
    noisy = add_noise(np.zeros((50, 50, 20), np.complex64), 2.0, np.random.default_rng(0))
    assert noisy.real.std() == pytest.approx(2.0, rel=0.03)
    assert np.abs(noisy).mean() == pytest.approx(2.0 * np.sqrt(np.pi / 2), rel=0.03)


def test_an_interpolated_image_has_nothing_beyond_what_was_acquired():
    image = np.random.default_rng(0).normal(size=(64, 48, 3)).astype(np.complex64)
    spectrum = np.abs(np.fft.fft2(interpolate(image, 0.5), axes=(0, 1)))
    outside = np.abs(np.fft.fftfreq(64)) > 0.25
    assert spectrum[outside].max() < 1e-3 * spectrum.max()
    flat = np.full((32, 32, 2), 5, np.complex64)
    np.testing.assert_allclose(interpolate(flat, 0.6), flat, atol=1e-4)
    assert interpolate(image, 1.0) is image


def test_noise_of_an_interpolated_image_is_coarse_but_as_strong():
    flat = np.zeros((128, 128, 4), np.complex64)
    fine, coarse = (add_noise(flat, 2.0, np.random.default_rng(0), share) for share in (1, 0.6))
    assert coarse.real.std() == pytest.approx(fine.real.std(), rel=0.25)
    neighbours = [
        np.corrcoef(n.real[1:].ravel(), n.real[:-1].ravel())[0, 1] for n in (fine, coarse)
    ]
    assert abs(neighbours[0]) < 0.02
    assert neighbours[1] > 0.3
