"""Perivascular spaces, lacunes, white-matter lesions, choroid plexus: where, and how bright."""

import numpy as np
import pytest

from cmb_bidsapp.core.labels import ids
from cmb_bidsapp.simulate.acquisition import background, scan_t1w
from cmb_bidsapp.simulate.inclusions import LOOKS, choose_inclusions, included, shares
from cmb_bidsapp.simulate.physics import Source
from cmb_bidsapp.simulate.protocols import PROTOCOLS
from cmb_bidsapp.simulate.sites import Sites
from tests.simulate.heads import HEAD

SITES = Sites(HEAD)
CENTER = np.array([[34.0, 40.0, 40.0]])


def test_every_kind_is_drawn_and_how_many_differs_from_brain_to_brain():
    people = [choose_inclusions(SITES, np.random.default_rng(seed)) for seed in range(12)]
    assert {source.kind for person in people for source in person} == set(LOOKS)
    spaces = [sum(s.kind == "perivascular-space" for s in person) for person in people]
    assert max(spaces) > 4 * (min(spaces) + 1)


def test_shares_are_the_volume_that_was_asked_for():
    blob = Source(kind="lacune", chi=0.0, semi_axes=(4.0, 3.0, 3.0), path=CENTER)
    tube = Source(
        kind="perivascular-space",
        chi=0.0,
        semi_axes=(0.5,) * 3,
        path=np.concatenate([CENTER, CENTER + 10]),
    )
    found = shares([blob, tube], HEAD, np.random.default_rng(0))
    assert found["lacune"].sum() == pytest.approx(4 / 3 * np.pi * 36, rel=0.15)
    assert found["perivascular-space"].sum() == pytest.approx(
        np.pi * 0.25 * 10 * np.sqrt(3), rel=0.4
    )
    assert all(share.min() >= 0 and share.max() <= 1 for share in found.values())


@pytest.mark.parametrize(
    ("kind", "structure"),
    [("white-matter-lesion", "cerebral-wm"), ("choroid-plexus", "lateral-ventricle")],
)
def test_some_do_not_leave_their_structure(kind, structure):
    inside = np.isin(HEAD.dseg, ids(structure=structure))
    edge = np.argwhere(inside)[:1].astype(float)
    found = shares(
        [Source(kind=kind, chi=0.0, semi_axes=(6.0,) * 3, path=edge)],
        HEAD,
        np.random.default_rng(0),
    )[kind]
    assert found[inside].max() > 0.8
    assert not found[~inside].any()


def test_what_reaches_beyond_the_head_is_cut_off():
    corner = Source(kind="lacune", chi=0.0, semi_axes=(3.0,) * 3, path=np.zeros((1, 3)))
    away = Source(kind="lacune", chi=0.0, semi_axes=(3.0,) * 3, path=np.full((1, 3), -50.0))
    found = shares([corner, away], HEAD, np.random.default_rng(0))["lacune"]
    assert found[0, 0, 0] == 1
    assert not found[8:].any()


def test_values_are_mixed_by_the_share():
    share = np.array([[[0, 0.25, 1]]], np.float32)
    mixed = included(np.full((1, 1, 3), 80, np.float32), {"lacune": share}, {"lacune": 120})
    assert mixed.ravel().tolist() == [80, 90, 120]


def test_a_lacune_is_bright_in_t2star_and_dark_in_t1w():
    lacune = Source(kind="lacune", chi=0.0, semi_axes=(4.0,) * 3, path=CENTER)
    filled = shares([lacune], HEAD, np.random.default_rng(0))
    core = filled["lacune"] > 0.8
    plain = background(HEAD, PROTOCOLS["paper"], np.random.default_rng(1))[0]
    lesioned = background(HEAD, PROTOCOLS["paper"], np.random.default_rng(1), filled=filled)[0]
    assert np.median(lesioned[core]) > 1.05 * np.median(plain[core])
    before, after = (scan_t1w(HEAD, np.random.default_rng(2), f) for f in ({}, filled))
    assert np.median(after[core]) < 0.5 * np.median(before[core])
