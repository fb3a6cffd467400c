"""Where in a head microbleeds and what looks like them may lie."""

import numpy as np

from cmb_bidsapp.simulate.anatomy import Head
from cmb_bidsapp.simulate.sites import Sites
from tests.simulate.cases import SITES
from tests.simulate.heads import HEAD


def test_the_toy_head_has_what_the_simulation_looks_for():
    rng = np.random.default_rng(0)
    sites = (
        "junction",
        "subcortical",
        "sulcus",
        "periventricular",
        "choroid",
        "basal-ganglia",
        "thalamus",
        "cerebellum",
        "brainstem",
    )
    for site in sites:
        assert SITES.draw(site, rng) is not None, site


def test_a_point_lies_in_the_site_it_was_drawn_from():
    rng = np.random.default_rng(1)
    for site in ("junction", "thalamus", "brainstem", "left-pallidum"):
        points = [SITES.draw(site, rng) for _ in range(20)]
        assert all(SITES.contains(site, point) for point in points), site
        assert not any(SITES.contains("sulcus", point) for point in points), site
    assert not SITES.contains("thalamus", np.full(3, -50.0))
    assert not SITES.contains("thalamus", np.full(3, 500.0))


def test_sides_are_kept_apart():
    rng = np.random.default_rng(2)
    left, right = (
        np.array([SITES.draw(f"{side}-pallidum", rng)[0] for _ in range(20)])
        for side in ("left", "right")
    )
    assert left.max() < right.min()


def test_a_site_that_a_head_lacks_gives_no_point():
    dseg = np.where(np.isin(HEAD.dseg, (10, 49)), 2, HEAD.dseg)
    assert Sites(Head(dseg)).draw("thalamus", np.random.default_rng(0)) is None


def test_away_from_the_ventricle_is_where_its_distance_grows():
    # Left and right of the middle there are ventricles, nuclei, and white matter farther out.
    for x, sign in ((16.0, -1), (43.0, 1)):
        assert np.sign(SITES.away_from_ventricle(np.array([x, 34.0, 30.0]))[0]) == sign
