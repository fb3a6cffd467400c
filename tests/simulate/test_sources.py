"""Where microbleeds, veins and calcifications are put, and what is marked as a mimic."""

import numpy as np
from nibabel.affines import apply_affine

from cmb_bidsapp.simulate.acquisition import scan_t2star
from cmb_bidsapp.simulate.grid import ScanGrid
from cmb_bidsapp.simulate.physics import Source
from cmb_bidsapp.simulate.protocols import PROTOCOLS
from cmb_bidsapp.simulate.sites import Sites
from cmb_bidsapp.simulate.sources import (
    CALCIFIED,
    SMALL_VESSELS,
    STRIATE,
    VEINS,
    choose_calcifications,
    choose_microbleeds,
    choose_mimics,
    choose_small_vessels,
)
from cmb_bidsapp.simulate.truth import mimic_truth
from tests.simulate.heads import HEAD

SMALL_SITES = ("sulcus", "striatum")

PROTOCOL = PROTOCOLS["gre3t3mm"]
SITES = Sites(HEAD)


def test_microbleeds_keep_their_distance_and_range():
    chosen = choose_microbleeds(SITES, 12, np.random.default_rng(3))
    centers = np.array([source.path[0] for source in chosen])
    distance = np.linalg.norm(centers[:, None] - centers[None], axis=-1)
    assert len(chosen) == 12
    assert distance[~np.eye(12, dtype=bool)].min() >= 6
    for source in chosen:
        assert source.kind == "cmb"
        assert 0.05 <= source.chi <= 2.0
        assert 0.4 <= source.diameter <= 5
        at = np.round(source.path[0]).astype(int)
        assert HEAD.brain[tuple(at)]


def test_a_crowded_head_gets_fewer_microbleeds():
    assert 0 < len(choose_microbleeds(SITES, 200, np.random.default_rng(0))) < 200


def test_mimics_are_veins_and_calcifications():
    mimics = [m for seed in range(5) for m in choose_mimics(SITES, np.random.default_rng(seed), 8)]
    assert {m.kind for m in mimics} == {"vein", "calcification"}
    for mimic in mimics:
        if mimic.kind == "vein":
            assert 0.15 <= mimic.chi <= 0.45
            assert len(mimic.path) > 1
        else:
            assert -3 <= mimic.chi <= -0.1
            assert len(mimic.path) == 1


def test_calcium_lies_where_people_have_it_and_no_more_often():
    heads = [choose_calcifications(SITES, np.random.default_rng(seed)) for seed in range(400)]
    for together, share, most in CALCIFIED:
        for site in together:
            counts = [sum(SITES.contains(site, stone.path[0]) for stone in head) for head in heads]
            if max(counts):  # the small head of the tests lacks some sites
                assert np.mean(np.array(counts) > 0) <= share + 0.1
                assert max(counts) <= most + 2  # sites touch
    assert np.mean([any(head) for head in heads]) < 0.85


def test_the_number_of_veins_varies_within_its_range():
    numbers = [
        sum(m.kind == "vein" for m in choose_mimics(SITES, np.random.default_rng(seed)))
        for seed in range(3)
    ]
    assert len(set(numbers)) > 1
    # The last group may go a little beyond; small vessels start where there is room for them.
    most = VEINS[1] + 5 + SMALL_VESSELS[1] + STRIATE
    assert all(VEINS[0] + SMALL_VESSELS[0] <= number <= most for number in numbers)


def test_small_vessels_start_in_sulci_and_rise_through_the_nuclei():
    vessels = choose_small_vessels(SITES, np.random.default_rng(0))
    start = {site: sum(SITES.contains(site, v.path[0]) for v in vessels) for site in SMALL_SITES}
    assert start["sulcus"] >= SMALL_VESSELS[0] / 2
    rising = [v for v in vessels if SITES.contains("striatum", v.path[0])]
    assert len(rising) <= STRIATE
    for vessel in rising:
        way = vessel.path[-1] - vessel.path[0]
        assert way[2] > 0
    assert all(0.15 <= v.semi_axes[0] <= 0.5 for v in vessels)


def test_most_veins_keep_to_their_sulcus_or_ventricle():
    veins = [m for m in choose_mimics(SITES, np.random.default_rng(0), 30) if m.kind == "vein"]
    kept = [
        all(SITES.contains(site, point) for point in vein.path)
        for vein in veins
        for site in ("sulcus", "periventricular")
    ]
    assert sum(kept) > len(veins) / 2


def test_a_mimic_is_marked_where_it_darkens_the_image():
    rng = np.random.default_rng(1)
    vein = Source(
        kind="vein",
        chi=0.45,
        semi_axes=(1.0,) * 3,
        path=np.array([[20.0, 35.0, 30.0], [20.0, 35.0, 48.0]]),
    )
    stone = Source(
        kind="calcification", chi=-2.0, semi_axes=(1.5,) * 3, path=np.array([[40.0, 35.0, 40.0]])
    )
    grid = ScanGrid.around(HEAD, PROTOCOL)
    scan = scan_t2star(HEAD, PROTOCOL, grid, [], [vein, stone], rng)
    brain = np.ones(grid.shape, np.uint8)
    marked = mimic_truth(scan.mimic_loss, brain)
    to_voxel = np.linalg.inv(grid.affine(np.zeros(3)))
    for number, source in ((1, vein), (2, stone)):
        voxel = np.round(apply_affine(to_voxel, source.path.mean(axis=0))).astype(int)
        around = marked[tuple(slice(i - 1, i + 2) for i in voxel)]
        assert (around == number).any()
    assert not mimic_truth(scan.mimic_loss, np.zeros(grid.shape, np.uint8)).any()
