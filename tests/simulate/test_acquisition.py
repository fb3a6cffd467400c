"""The brightness of tissues, and what weighting with the phase makes of it."""

import numpy as np

from cmb_bidsapp.simulate.acquisition import background, scan_t2star
from cmb_bidsapp.simulate.grid import ScanGrid
from cmb_bidsapp.simulate.nuclei import iron_nuclei
from cmb_bidsapp.simulate.physics import Source
from cmb_bidsapp.simulate.protocols import PROTOCOLS, read_protocol
from tests.simulate.heads import HEAD


def test_iron_darkens_the_dentate():
    dentate = iron_nuclei(HEAD.dseg)["dentate"]
    white = np.isin(HEAD.dseg, (7, 46)) & ~dentate
    # How much iron there is differs from person to person.
    people = [background(HEAD, PROTOCOLS["paper"], np.random.default_rng(n))[0] for n in range(4)]
    darkness = [np.median(one[dentate]) / np.median(one[white]) for one in people]
    assert np.mean(darkness) < 0.88
    assert max(darkness) < 0.96


def test_susceptibility_weighting_darkens_a_vein_and_no_white_matter():
    vein = Source(
        kind="vein",
        chi=0.4,
        semi_axes=(0.8,) * 3,
        path=np.array([[20.0, 35.0, 25.0], [20.0, 35.0, 45.0]]),
    )
    plain = read_protocol("b0=3,te=20,voxel=1x1x2,snr=200")
    weighted = read_protocol("b0=3,te=20,voxel=1x1x2,snr=200,sequence=swi")
    grid = ScanGrid.around(HEAD, plain)
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
