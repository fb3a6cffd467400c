"""Slices and their gaps, and the brightness of tissues."""

import numpy as np

from cmb_bidsapp.simulate.acquisition import Grid, background, scan_t2star
from cmb_bidsapp.simulate.nuclei import iron_nuclei
from cmb_bidsapp.simulate.physics import Source
from cmb_bidsapp.simulate.protocols import PROTOCOLS, read_protocol
from tests.simulate.heads import HEAD


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


def test_iron_darkens_the_dentate():
    dentate = iron_nuclei(HEAD.dseg)["dentate"]
    white = np.isin(HEAD.dseg, (7, 46)) & ~dentate
    # How much iron there is differs from person to person.
    people = [background(HEAD, PROTOCOLS["paper"], np.random.default_rng(n))[0] for n in range(4)]
    darkness = [np.median(one[dentate]) / np.median(one[white]) for one in people]
    assert np.mean(darkness) < 0.88
    assert max(darkness) < 0.96


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
