"""``reference`` mode against the authors' published rule, computed with SimpleITK."""

import math

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from cmb_bidsapp.lesions.cfpr import judge

LOBAR, CMB = 1, 4
PAPER = (0.4286, 0.4286, 6.5)
ISOTROPIC = (1.0, 1.0, 1.0)
#: Some are no numbers of single precision; of some, multiples are 2 mm to the last digit.
SPACINGS = (
    PAPER,
    ISOTROPIC,
    (0.45, 0.45, 2.0),
    (0.49, 0.49, 0.8),
    (0.4, 0.4, 0.4),
    (1.0, 1.0, 4.0),
    (3.0, 1.0, 1.0),
    tuple(float(np.float32(step)) for step in PAPER),
    tuple(float(np.float32(step)) for step in (0.4, 0.4, 0.4)),
)


def sitk_image(data, spacing):
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(data.astype(np.uint8).T))
    image.SetSpacing(spacing)
    return image


def published_rule(labels, spacing, radius, share):
    """Voxels of label 4 that stay, by the rule of the authors' code, and what was seen on the way.

    Per 26-connected piece of label 4: a signed Maurer distance map of the whole image, negative
    inside; its part from 0 to the radius, exclusive-or the piece; brain is labels 1 to 3 alone.
    """
    prediction = sitk_image(labels, spacing)
    pieces = SimpleITK.ConnectedComponent(prediction == CMB, True)
    brain = SimpleITK.GetArrayFromImage(SimpleITK.BinaryThreshold(prediction, 1, 3)).T == 1
    stays = np.zeros(labels.shape, bool)
    ratios, undecided = [], 0
    for number in range(1, int(SimpleITK.GetArrayFromImage(pieces).max()) + 1):
        piece = SimpleITK.BinaryThreshold(pieces, number, number)
        distance = SimpleITK.SignedMaurerDistanceMap(
            piece, insideIsPositive=False, squaredDistance=False, useImageSpacing=True
        )
        periphery = SimpleITK.Xor(piece, SimpleITK.BinaryThreshold(distance, 0.0, radius))
        around = SimpleITK.GetArrayFromImage(periphery).T == 1
        if around.any():
            ratios.append(np.count_nonzero(brain[around]) / np.count_nonzero(around))
        undecided += not around.any()  # the published code divides by zero
        if not around.any() or ratios[-1] >= share:
            stays |= SimpleITK.GetArrayFromImage(piece).T == 1
    return stays, ratios, undecided


def random_labels(rng):
    """Regions and background in patches, with microbleeds of all sizes, some at the edges."""
    shape = tuple(int(n) for n in rng.integers((9, 9, 1), (26, 24, 9)))
    patches = ndimage.gaussian_filter(rng.standard_normal((4, *shape)), (0, 1.5, 1.5, 1.0))
    labels = patches.argmax(axis=0).astype(np.uint8)
    spots = ndimage.gaussian_filter(rng.standard_normal(shape), rng.uniform(0.5, 1.4))
    labels[spots > np.quantile(spots, rng.uniform(0.93, 0.99))] = CMB
    return labels


def judged(labels, spacing, **options):
    instances, _ = ndimage.label(labels == CMB, np.ones((3, 3, 3)))
    return instances, judge(instances, labels, spacing, mode="reference", **options)


def test_500_random_cases_are_decided_as_by_the_published_rule():
    rng = np.random.default_rng(20)
    seen = {True: 0, False: 0}
    near, interior, undecided, other = 0, 0, 0, 0
    for case in range(500):
        labels, spacing = random_labels(rng), SPACINGS[case % len(SPACINGS)]
        radius, share = (2.0, 0.5) if case % 2 else (rng.uniform(0.5, 4), rng.uniform(0.3, 0.7))
        instances, verdicts = judged(labels, spacing, radius=radius, min_ratio=share)
        stays, ratios, without = published_rule(labels, spacing, radius, share)
        kept = np.isin(instances, [v.lesion for v in verdicts if v.kept])
        np.testing.assert_array_equal(kept, stays, err_msg=f"case {case}")
        own = sorted(v.ratio for v in verdicts if v.reason != "no-periphery")
        assert own == pytest.approx(sorted(ratios), abs=1e-12), f"case {case}"
        undecided += without
        paper = judge(instances, labels, spacing, radius=radius, min_ratio=share)
        for verdict, by_paper in zip(verdicts, paper, strict=True):
            seen[verdict.kept] += 1
            near += abs(verdict.ratio - share) < 0.05
            interior += verdict.own > 0
            other += verdict.kept is not by_paper.kept
    # The cases would say little if all came out alike, or as in the other mode.
    assert min(seen.values()) > 500
    assert min(near, interior, other) > 50
    assert undecided > 0


def inside_brain(depth, spacing):
    """A lesion of 5 x 5 voxels in several slices, wholly in lobar tissue."""
    labels = np.full((17, 17, 11), LOBAR, np.uint8)
    labels[6:11, 6:11, 5 : 5 + depth] = CMB
    ((verdict,),) = (judged(labels, spacing)[1],)
    return verdict


def test_the_interior_of_a_lesion_counts_as_not_brain():
    verdict = inside_brain(5, ISOTROPIC)
    assert verdict.own == 3 * 3 * 3
    brain = verdict.lobar
    assert verdict.ratio == brain / (brain + 27)
    assert 0.61 < verdict.ratio < 0.95
    assert (verdict.kept, verdict.background, verdict.other_cmb) == (True, 0, 0)


def test_a_lesion_of_one_slice_has_no_interior_but_by_rounding():
    header = tuple(float(np.float32(step)) for step in PAPER)
    assert inside_brain(1, header).own == 0
    assert inside_brain(1, header).ratio == 1.0
    rounded = inside_brain(1, PAPER)
    assert 0 < rounded.own < 25
    assert rounded.ratio == rounded.lobar / (rounded.lobar + rounded.own)


def test_other_microbleeds_count_as_not_brain():
    labels = np.full((15, 15, 5), LOBAR, np.uint8)
    labels[7, 7, 2] = labels[9, 7, 2] = CMB
    _, (first, second) = judged(labels, ISOTROPIC)
    assert (first.lobar, first.other_cmb, first.ratio) == (31, 1, 31 / 32)
    assert second.ratio == first.ratio
    instances, _ = ndimage.label(labels == CMB, np.ones((3, 3, 3)))
    assert judge(instances, labels, ISOTROPIC)[0].ratio == 1.0


def test_thick_slices_take_part_where_the_radius_reaches_them():
    labels = np.full((15, 15, 5), LOBAR, np.uint8)
    labels[7, 7, 2] = CMB
    labels[:, :, [1, 3]] = 0
    _, (near,) = judged(labels, (1.0, 1.0, 4.0), radius=2.0)
    _, (far,) = judged(labels, (1.0, 1.0, 4.0), radius=4.0)
    assert (near.background, far.background) == (0, 2)


def test_an_empty_periphery_is_kept_where_the_published_code_divides_by_zero():
    labels = np.zeros((9, 9, 9), np.uint8)
    labels[4, 4, 4] = CMB
    _, (verdict,) = judged(labels, (3.0, 3.0, 3.0))
    assert (verdict.kept, verdict.reason, verdict.own) == (True, "no-periphery", 0)
    assert math.isnan(verdict.ratio)


@pytest.mark.parametrize(("brain", "kept"), [(15, False), (16, True)])
def test_exactly_half_brain_is_kept(brain, kept):
    labels = np.zeros((9, 9, 9), np.uint8)
    labels[4, 4, 4] = CMB
    offsets = np.argwhere(np.ones((5, 5, 5), bool)) - 2
    shell = offsets[((offsets**2).sum(axis=1) <= 4) & offsets.any(axis=1)] + 4
    assert len(shell) == 32
    labels[tuple(shell[:brain].T)] = LOBAR
    _, (verdict,) = judged(labels, ISOTROPIC)
    assert (verdict.ratio, verdict.kept) == (brain / 32, kept)


def test_the_two_modes_say_which_they_are():
    labels = np.full((7, 7, 3), LOBAR, np.uint8)
    labels[3, 3, 1] = CMB
    instances = (labels == CMB).astype(np.int16)
    modes = [
        judge(instances, labels, ISOTROPIC, mode=mode)[0].mode for mode in ("paper", "reference")
    ]
    assert modes == ["paper", "reference"]


def test_a_candidate_that_fills_the_image_has_interior_alone():
    labels = np.full((4, 4, 4), CMB, np.uint8)
    _, (verdict,) = judged(labels, ISOTROPIC)
    assert (verdict.own, verdict.ratio, verdict.kept) == (64, 0.0, False)


@settings(max_examples=25, derandomize=True)
@given(
    st.integers(0, 2**32 - 1), st.sampled_from((ISOTROPIC, (0.5, 0.5, 1.0), (3.0, 1.0, 1.0))),
    st.sets(st.integers(0, 2)), st.permutations(range(3)),
)  # fmt: skip
def test_flips_and_axis_order_do_not_matter(seed, spacing, flipped, order):
    labels = random_labels(np.random.default_rng(seed))
    turned = np.flip(labels, tuple(flipped)).transpose(order)
    found = judged(labels, spacing)[1], judged(turned, tuple(spacing[a] for a in order))[1]
    one, other = (sorted((v.ratio, v.kept, v.own, v.lobar) for v in verdicts) for verdicts in found)
    assert one == other


@settings(max_examples=25, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.sampled_from(SPACINGS), st.floats(0, 1), st.floats(0, 1))
def test_a_stricter_threshold_never_keeps_more(seed, spacing, a, b):
    labels = random_labels(np.random.default_rng(seed))
    low, high = (
        {v.lesion for v in judged(labels, spacing, min_ratio=share)[1] if v.kept}
        for share in sorted((a, b))
    )
    assert high <= low
