"""Microbleeds drawn into a scan, and which of them are found."""

import dataclasses

import numpy as np
import pytest

from cmb_bidsapp.core.decisions import Decisions
from cmb_bidsapp.evaluation.matching import lesions_of
from cmb_bidsapp.lesions import rules
from cmb_bidsapp.lesions.lesion import Reason
from cmb_bidsapp.lesions.rules import Decision, RuleKind
from cmb_bidsapp.sensitivity.measure import (
    FROM_MARKS_MM,
    Chain,
    draw_into,
    found_numbers,
    free_places,
    measure_scan,
)
from cmb_bidsapp.sensitivity.tables import Measured, share_rows
from cmb_bidsapp.simulate.case import simulate_case
from cmb_bidsapp.simulate.implants import CHI_PPM
from cmb_bidsapp.simulate.person import Person
from cmb_bidsapp.simulate.protocols import PROTOCOLS
from cmb_bidsapp.simulate.sites import Sites
from cmb_bidsapp.simulate.sources import choose_microbleeds
from tests.sensitivity.scans import AFFINE, SHAPE, DarkSpots, background, plain_scan
from tests.simulate.heads import HEAD

WINDOW = DarkSpots(0.3).window(AFFINE)
#: Microbleeds of a size that say something of it.
ENOUGH = 8


def chain_of(network, **other):
    return Chain(network=network, own_regions=True, decisions=Decisions(**other))


@pytest.fixture(scope="module")
def scan():
    return plain_scan()


@pytest.fixture(scope="module")
def drawn(scan):
    return draw_into(scan, free_places(scan), WINDOW, 8.0, (0, 0))


def test_what_is_drawn_is_dark_where_its_number_is_and_nothing_else_changes(scan, drawn):
    lost = 1 - drawn.t2star / np.where(scan.t2star > 0, scan.t2star, 1)
    assert len(drawn.rows) >= 10
    for row in drawn.rows:
        own = drawn.instances == row["lesion_id"]
        assert own.any()
        assert lost[own].mean() > 0.1
    assert sorted(row["lesion_id"] for row in drawn.rows) == list(range(1, len(drawn.rows) + 1))
    assert {row["region"] for row in drawn.rows} == {"lobar", "deep", "infratentorial"}
    assert (drawn.t2star == scan.t2star).mean() > 0.3


def test_every_microbleed_lies_in_the_middle_of_a_window(drawn):
    for lesion in lesions_of(drawn.instances, AFFINE):
        voxel = (np.array(lesion.center) - AFFINE[:3, 3]) / np.diag(AFFINE)[:3]
        off = np.abs(voxel - drawn.around)
        # An end of the image is an end of every window; in plane, sources reach 8 mm from theirs.
        assert (off[:, :2].max(axis=1) <= 15).any()


def test_the_keen_finds_more_than_the_dull_and_large_ones_first(scan):
    shares = []
    for share in (0.2, 0.5):
        rows = measure_scan(scan, chain_of(DarkSpots(share)), 2, seed=1)
        measured = Measured.of(rows)
        shares.append(measured.found.mean())
        large = measured.diameter >= np.median(measured.diameter)
        assert measured.found[large].mean() > measured.found[~large].mean()
    assert shares[0] > shares[1] + 0.2
    assert {row["draw"] for row in rows} == {1, 2}


def test_the_same_seed_gives_the_same_and_another_draw_is_elsewhere(scan):
    one, two, other = (
        measure_scan(scan, chain_of(DarkSpots(0.3)), 1, seed=seed) for seed in (3, 3, 4)
    )
    assert one == two
    assert [row["x"] for row in one] != [row["x"] for row in other]


def test_only_a_few_windows_are_looked_at(scan):
    network = DarkSpots(0.3)
    measure_scan(scan, chain_of(network), 2, seed=0)
    assert [len(around) for around in network.looked] == [6, 6]


def test_what_is_marked_already_is_never_found(scan):
    marks = np.zeros(SHAPE, bool)
    marks[20:60:8, 20:60:8, 4:14:3] = True

    class Stubborn(DarkSpots):
        def __call__(self, t2star, t1w, affine, around=None, tissues=None):
            found = super().__call__(t2star, t1w, affine, around)
            found.cmb_probability[:] = np.where(marks, 0.9, 0)
            return found

    rows = measure_scan(plain_scan(marks), chain_of(Stubborn(0.3)), 1, seed=0)
    assert rows
    assert not any(row["found"] for row in rows)


def test_microbleeds_keep_away_from_what_is_marked():
    marks = np.zeros(SHAPE, bool)
    marks[40, 40, 9] = True
    free = free_places(plain_scan(marks))
    assert not free[40, 40 - int(FROM_MARKS_MM) : 41 + int(FROM_MARKS_MM), 9].any()
    assert free[40, 40 + int(FROM_MARKS_MM) + 1, 9]
    assert not free[0, 0, 0]


def test_a_mark_that_touches_a_known_one_finds_nothing():
    instances = np.zeros((20, 20, 3), np.int16)
    instances[5, 5, 1], instances[15, 15, 1] = 1, 2
    final = instances.astype(np.int32)
    marks = np.zeros(instances.shape, bool)
    marks[15, 15, 1] = True
    assert found_numbers(instances, final, marks, np.eye(4)) == {1}


def test_what_false_positive_reduction_rejects_is_not_found(scan):
    kept, rejected = (
        sum(row["found"] for row in measure_scan(scan, chain, 1, seed=0))
        for chain in (
            chain_of(DarkSpots(0.3), cfpr=False),
            # No periphery can be brain beyond measure.
            chain_of(DarkSpots(0.3), cfpr_ratio=1.1),
        )
    )
    assert kept > 5
    assert rejected == 0


def test_a_mark_whose_size_does_not_count_finds_nothing(scan):
    def found(**other):
        rows = measure_scan(scan, chain_of(DarkSpots(0.3), **other), 1, seed=0)
        return {row["lesion_id"] for row in rows if row["found"]}

    assert found(min_size=5.0) < found()


@pytest.mark.parametrize(("width", "counted"), [(1, []), (2, [1]), (10, [1]), (11, [])])
def test_marks_of_2_to_10_mm_are_counted_in_the_plane_of_the_slices(width, counted):
    kept = np.zeros(SHAPE, np.int32)
    kept[20 : 20 + width, 20, 5:7] = 1
    final = chain_of(None).counted(kept, AFFINE)
    assert np.unique(final[final > 0]).tolist() == counted


def test_without_regions_of_its_own_those_of_the_anatomy_decide(scan):
    class NoRegions(DarkSpots):
        def __call__(self, t2star, t1w, affine, around=None, tissues=None):
            found = super().__call__(t2star, t1w, affine, around)
            found.labels[:] = 0
            return found

    own = chain_of(NoRegions(0.3))
    anatomy = dataclasses.replace(own, own_regions=False)
    assert not any(row["found"] for row in measure_scan(scan, own, 1, seed=0))
    assert any(row["found"] for row in measure_scan(scan, anatomy, 1, seed=0))


def test_a_scan_without_tissue_has_no_place_for_any():
    empty = background(np.zeros(SHAPE), np.zeros(SHAPE))
    assert measure_scan(empty, chain_of(DarkSpots(0.3)), 1, seed=0) == []


def agreeing(truth, measured):
    """Whether the shares of two tables may be one, by size where both have enough to say."""
    return {
        one["level"]: max(one["sensitivity_low"], other["sensitivity_low"])
        <= min(one["sensitivity_high"], other["sensitivity_high"])
        for one, other in zip(share_rows(truth, None), share_rows(measured, None), strict=True)
        if one["by"] in ("all", "diameter") and min(one["implants"], other["implants"]) >= ENOUGH
    }


def truth_and_measured(case, bare, share):
    """What a network finds of the microbleeds of a case, and of those drawn into its bare twin."""
    chain = chain_of(DarkSpots(share))
    scan, empty = (
        background(np.where(one.brain, one.t2star, 0), one.proxy, one.affine)
        for one in (case, bare)
    )
    found = found_numbers(case.instances, chain.final(scan, scan.t2star), scan.marks, case.affine)
    true = [
        {**row, "contrast": np.nan, "found": row["lesion_id"] in found}
        for row in case.lesions
        if row["visible"]
    ]
    known = dataclasses.replace(empty, marks=chain.final(empty, empty.t2star) > 0)
    return true, measure_scan(known, chain, 2, seed=0)


def test_a_simulated_scan_shows_the_sensitivity_that_its_truth_shows():
    """The network is the same; what differs is who put the microbleeds there."""
    sites = Sites(HEAD)
    true, drawn = {0.2: [], 0.45: []}, {0.2: [], 0.45: []}
    for seed in range(2):
        rng = np.random.default_rng(seed)
        # As faint as implants may be.
        sources = choose_microbleeds(sites, 45, rng, min_chi=CHI_PPM[0])
        case, bare = (
            simulate_case(Person.of(HEAD, some, []), PROTOCOLS["gre3t3mm"], rng)
            for some in (sources, [])
        )
        for share in true:
            own, measured = truth_and_measured(case, bare, share)
            true[share] += own
            drawn[share] += measured
    for share, rows in true.items():
        agree = agreeing(Measured.of(rows), Measured.of(drawn[share]))
        assert set(agree) >= {None, "2 to 3 mm", "3 to 5 mm", "5 to 10 mm"}
        assert all(agree.values()), agree
    # They are enough to tell a keen network from a dull one.
    assert not all(agreeing(Measured.of(true[0.2]), Measured.of(drawn[0.45])).values())


def test_a_new_rule_reaches_the_measurement(scan, monkeypatch):
    def nothing(_):
        return lambda _: Decision(kept=False, reason=Reason.READER, by="nothing")

    chain = chain_of(DarkSpots(0.3))
    assert any(row["found"] for row in measure_scan(scan, chain, 1, seed=0))
    new = RuleKind(asked=lambda _: True, goes_by="verdicts", make=nothing)
    monkeypatch.setattr(rules, "RULES", (*rules.RULES, new))
    assert not any(row["found"] for row in measure_scan(scan, chain, 1, seed=0))
