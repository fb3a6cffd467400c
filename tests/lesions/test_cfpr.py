"""Every decision of CFPR that the paper fixes, and an independent implementation to agree with."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.distance import cdist

from cmb_bidsapp.lesions.cfpr import judge, paper_periphery

LOBAR, DEEP, INFRATENTORIAL, CMB = 1, 2, 3, 4
PAPER = (0.4286, 0.4286, 6.5)
ISOTROPIC = (1.0, 1.0, 1.0)
SPACINGS = (
    PAPER,
    ISOTROPIC,
    (0.45, 0.45, 2.0),
    (0.49, 0.49, 0.8),
    (1.0, 1.0, 4.0),
    (3.0, 1.0, 1.0),
)
SEEDS = st.integers(0, 2**32 - 1)
quick = settings(max_examples=25, derandomize=True)


def one_voxel(shape=(15, 15, 7), at=None):
    """A single candidate voxel and its label image, all lobar."""
    instances = np.zeros(shape, np.int16)
    instances[at or tuple(n // 2 for n in shape)] = 1
    return instances, np.full(shape, LOBAR, np.uint8)


def shell_of(instances, spacing=ISOTROPIC, radius=2.0):
    """Flat indices of the periphery of the only candidate."""
    return np.flatnonzero(paper_periphery(instances > 0, spacing, radius))


def random_case(seed, shape=(12, 11, 6)):
    """Candidates and smooth random labels with background among them."""
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.standard_normal((4, *shape)), (0, 1.5, 1.5, 1.0))
    labels = noise.argmax(axis=0).astype(np.uint8)
    spots = ndimage.gaussian_filter(rng.standard_normal(shape), 0.7)
    cmb = spots > np.quantile(spots, rng.uniform(0.9, 0.98))
    labels[cmb] = CMB
    instances, _ = ndimage.label(cmb, np.ones((3, 3, 3)))
    return instances.astype(np.int16), labels


def brute_force(instances, labels, spacing, radius=2.0):
    """Distances between all voxels and those of each candidate; none across slices over 2 mm."""
    result = {}
    everywhere = np.argwhere(np.ones(instances.shape, bool))
    thick = np.array(spacing) > 2.0 + 1e-6
    for number in np.unique(instances[instances > 0]).tolist():
        own = instances == number
        apart = cdist(everywhere * spacing, np.argwhere(own) * spacing)
        across = cdist(everywhere[:, thick], np.argwhere(own)[:, thick]) if thick.any() else 0
        near = ((apart <= radius + 1e-6) & (across == 0)).any(axis=1).reshape(own.shape)
        shell = near & ~own
        other = shell & (instances > 0)
        counted = shell & ~other
        brain = counted & np.isin(labels, (LOBAR, DEEP, INFRATENTORIAL))
        n, b = int(counted.sum()), int(brain.sum())
        result[number] = (
            2 * b >= n,
            b / n if n else math.nan,
            int((counted & (labels == LOBAR)).sum()),
            int((counted & (labels == DEEP)).sum()),
            int((counted & (labels == INFRATENTORIAL)).sum()),
            n - b,
            int(other.sum()),
        )
    return result


def summary(verdicts):
    return {
        v.lesion: (v.kept, v.ratio, v.lobar, v.deep, v.infratentorial, v.background, v.other_cmb)
        for v in verdicts
    }


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for number, values in expected.items():
        np.testing.assert_equal(found[number], values)


@pytest.mark.parametrize(
    ("spacing", "voxels", "slices"),
    [
        (PAPER, 68, 1),
        ((0.45, 0.45, 2.0), 62, 3),
        ((0.49, 0.49, 0.8), 180, 5),
        (ISOTROPIC, 32, 5),
        ((1.0, 1.0, 4.0), 12, 1),
        ((3.0, 3.0, 3.0), 0, 0),
    ],
)
def test_shell_of_one_voxel_has_the_known_size(spacing, voxels, slices):
    instances, labels = one_voxel()
    shell = np.argwhere(paper_periphery(instances > 0, spacing))
    assert len(shell) == voxels
    assert len(np.unique(shell[:, 2])) == slices
    (verdict,) = judge(instances, labels, spacing)
    assert verdict.lobar == voxels
    assert verdict.background + verdict.other_cmb == 0


@pytest.mark.parametrize("order", itertools.permutations(range(3)))
def test_slices_may_lie_along_any_axis(order):
    own = np.zeros((15, 15, 15), bool)
    own[7, 7, 7] = True
    shell = np.argwhere(paper_periphery(own, tuple(PAPER[axis] for axis in order)))
    assert len(shell) == 68
    assert set(shell[:, order.index(2)]) == {7}


@pytest.mark.parametrize("radius", [2.0, 7.0, 14.0])
def test_thick_slices_are_judged_in_plane_whatever_the_radius(radius):
    instances, labels = one_voxel()
    labels[:, :, [0, 1, 2, 4, 5, 6]] = 0
    (thick,) = judge(instances, labels, (1.0, 1.0, 4.0), radius=radius)
    (thin,) = judge(instances, labels, (1.0, 1.0, 2.0), radius=radius)
    assert thick.background == 0
    assert thin.background > 0


def test_slices_just_above_2_mm_are_thick():
    instances, _ = one_voxel()
    shells = [paper_periphery(instances > 0, (1.0, 1.0, step), 4.0) for step in (2.0, 2.01)]
    assert [len(np.unique(np.argwhere(shell)[:, 2])) for shell in shells] == [5, 1]


def test_a_spacing_read_from_float32_still_is_2_mm():
    step = float(np.float32(0.1) * 20)
    assert len(shell_of(one_voxel()[0], (0.45, 0.45, step))) == 62
    assert len(shell_of(one_voxel()[0], (0.45, 0.45, 2.000001))) == 62


@pytest.mark.parametrize(("step", "voxels"), [(0.4, 80), (0.1, 1256), (float(np.float32(0.4)), 80)])
def test_what_is_2_mm_away_is_in_the_periphery_whatever_the_rounding(step, voxels):
    """All pairs of whole numbers of steps that are 2 mm long or less, counted in whole numbers."""
    reach = round(2 / step)
    steps = np.indices((2 * reach + 1,) * 2) - reach
    assert int(((steps**2).sum(axis=0) <= reach**2).sum()) - 1 == voxels
    instances, _ = one_voxel((2 * reach + 3, 2 * reach + 3, 3))
    assert len(shell_of(instances, (step, step, 5.0))) == voxels


def test_a_radius_of_zero_has_no_periphery():
    instances, labels = one_voxel()
    labels[:] = 0
    (verdict,) = judge(instances, labels, ISOTROPIC, radius=0.0)
    assert (verdict.kept, verdict.reason) == (True, "no-periphery")


def test_background_in_the_neighboring_thick_slices_is_not_seen():
    instances, labels = one_voxel()
    labels[:, :, [2, 4]] = 0
    (verdict,) = judge(instances, labels, PAPER)
    assert (verdict.kept, verdict.ratio, verdict.background) == (True, 1.0, 0)


def test_background_in_the_neighboring_thin_slices_is_seen():
    instances, labels = one_voxel()
    labels[:, :, [1, 2, 4, 5]] = 0
    (verdict,) = judge(instances, labels, ISOTROPIC)
    assert (verdict.lobar, verdict.background) == (12, 20)
    assert (verdict.kept, verdict.reason) == (False, "periphery-not-brain")


@pytest.mark.parametrize("spacing", SPACINGS)
def test_a_lesion_inside_brain_has_a_ratio_of_one(spacing):
    """Its own interior is no part of its periphery, however large it is."""
    labels = np.full((17, 17, 9), DEEP, np.uint8)
    instances = np.zeros(labels.shape, np.int16)
    instances[6:11, 6:11, 3:6] = 1
    for inside in (CMB, 0):  # whatever the labels hold inside the candidate
        labels[instances > 0] = inside
        (verdict,) = judge(instances, labels, spacing)
        assert (verdict.kept, verdict.reason, verdict.ratio) == (True, "parenchyma", 1.0)
        assert (verdict.background, verdict.other_cmb) == (0, 0)


def test_own_voxels_are_never_in_the_shell():
    own = np.zeros((20, 20, 20), bool)
    own[5:9, 5:8, 5:7] = True
    shell = paper_periphery(own, ISOTROPIC)
    assert shell.any()
    assert not (shell & own).any()


def test_voxels_of_other_candidates_are_neither_brain_nor_background():
    instances, labels = one_voxel()
    instances[9, 7, 3] = 2
    labels[instances > 0] = CMB
    first, second = judge(instances, labels, ISOTROPIC)
    assert (first.ratio, first.lobar, first.other_cmb) == (1.0, 31, 1)
    assert (second.ratio, second.lobar, second.other_cmb) == (1.0, 31, 1)


def test_a_cluster_does_not_reject_its_members():
    """Nine lesions two voxels apart: counted as background, their neighbors would outvote."""
    instances = np.zeros((15, 15, 5), np.int16)
    labels = np.zeros(instances.shape, np.uint8)
    for number, (i, j) in enumerate(itertools.product((5, 7, 9), repeat=2), 1):
        instances[i, j, 2] = number
    labels[6, 7, 2] = labels[7, 6, 2] = labels[8, 7, 2] = labels[7, 8, 2] = LOBAR
    labels[6, 6, 2] = labels[8, 8, 2] = LOBAR
    labels[instances > 0] = CMB
    middle = judge(instances, labels, (1.0, 1.0, 4.0))[4]
    assert (middle.lobar, middle.background, middle.other_cmb) == (6, 2, 4)
    assert (middle.kept, middle.ratio) == (True, 0.75)


def test_predicted_microbleed_voxels_without_a_number_do_not_count():
    """The class map may say CMB where the probability is under the threshold."""
    instances, labels = one_voxel()
    labels[8, 7, 3] = CMB
    (verdict,) = judge(instances, labels, ISOTROPIC)
    assert (verdict.other_cmb, verdict.lobar, verdict.background) == (1, 31, 0)


def test_an_empty_shell_is_kept_and_says_so():
    instances, labels = one_voxel()
    labels[:] = 0
    (verdict,) = judge(instances, labels, (3.0, 3.0, 3.0))
    assert (verdict.kept, verdict.reason) == (True, "no-periphery")
    assert math.isnan(verdict.ratio)


def test_a_shell_of_other_candidates_only_is_no_periphery():
    instances = np.zeros((7, 7, 3), np.int16)
    instances[:, :, 1] = 2
    instances[3, 3, 1] = 1
    first, _ = judge(instances, np.zeros(instances.shape, np.uint8), (1.0, 1.0, 4.0))
    assert (first.kept, first.reason, first.other_cmb) == (True, "no-periphery", 12)
    assert math.isnan(first.ratio)


@pytest.mark.parametrize(("brain", "kept"), [(16, True), (15, False), (17, True)])
def test_exactly_half_brain_is_kept(brain, kept):
    instances, labels = one_voxel()
    labels[:] = 0
    shell = shell_of(instances)
    labels.flat[shell[:brain]] = INFRATENTORIAL
    (verdict,) = judge(instances, labels, ISOTROPIC)
    assert verdict.ratio == brain / 32
    assert verdict.kept is kept
    assert verdict.infratentorial == brain


FIFTY_FIVE = 55


@pytest.mark.parametrize("percent", [*range(5, 55, 5), FIFTY_FIVE, *range(60, 100, 5)])
def test_exactly_the_chosen_share_is_kept(percent):
    """One voxel with a shell of a hundred, of which the chosen share is brain."""
    instances = np.zeros((21, 21, 3), np.int16)
    instances[10, 10, 1] = 1
    labels = np.zeros(instances.shape, np.uint8)
    shell = shell_of(instances, (1.0, 1.0, 4.0), 5.7)
    assert len(shell) == 100
    labels.flat[shell[:percent]] = LOBAR
    (verdict,) = judge(instances, labels, (1.0, 1.0, 4.0), radius=5.7, min_ratio=percent / 100)
    assert verdict.kept


def test_the_shell_is_reported_by_class():
    instances, labels = one_voxel()
    shell = shell_of(instances)
    for value, (start, stop) in {LOBAR: (0, 5), DEEP: (5, 12), 3: (12, 21), 0: (21, 32)}.items():
        labels.flat[shell[start:stop]] = value
    (v,) = judge(instances, labels, ISOTROPIC)
    assert (v.lobar, v.deep, v.infratentorial, v.background, v.other_cmb) == (5, 7, 9, 11, 0)
    assert v.ratio == 21 / 32


@pytest.mark.parametrize("at", list(itertools.product((0, 6), (0, 6), (0, 4))))
def test_at_a_corner_of_the_image_only_voxels_inside_it_count(at):
    instances, labels = one_voxel((7, 7, 5), at)
    (verdict,) = judge(instances, labels, ISOTROPIC)
    # An eighth of the ball without its center: 3 faces x 2 steps, 3 diagonals, 1 more at (1, 1, 1).
    assert (verdict.lobar, verdict.background) == (10, 0)
    assert verdict.kept


def test_the_image_border_does_not_wrap_around():
    instances, labels = one_voxel((7, 7, 5), (0, 3, 2))
    labels[-2:] = 0
    (verdict,) = judge(instances, labels, ISOTROPIC)
    assert verdict.background == 0


def test_no_candidates_no_verdicts():
    assert judge(np.zeros((5, 5, 5), np.int16), np.ones((5, 5, 5), np.uint8), ISOTROPIC) == []


def test_missing_numbers_are_passed_over():
    instances, labels = one_voxel()
    instances[instances > 0] = 7
    assert [v.lesion for v in judge(instances, labels, ISOTROPIC)] == [7]


def test_nothing_is_changed_in_place():
    instances, labels = random_case(3)
    before = instances.copy(), labels.copy()
    judge(instances, labels, ISOTROPIC)
    np.testing.assert_array_equal(instances, before[0])
    np.testing.assert_array_equal(labels, before[1])


@quick
@given(SEEDS, st.sampled_from(SPACINGS), st.sampled_from([0.5, 1.0, 2.0, 3.5]))
def test_agrees_with_distances_over_the_whole_image(seed, spacing, radius):
    instances, labels = random_case(seed)
    found = summary(judge(instances, labels, spacing, radius=radius))
    assert_same(found, brute_force(instances, labels, spacing, radius))


def test_random_cases_hold_every_kind_of_verdict():
    """The comparison above would say little if every case came out alike."""
    seen = {v.reason for seed in range(20) for v in judge(*random_case(seed), (1.0, 1.0, 4.0))}
    assert seen == {"parenchyma", "periphery-not-brain"}


@quick
@given(SEEDS, st.sampled_from(SPACINGS))
def test_never_rejects_a_lesion_in_parenchyma(seed, spacing):
    instances, labels = random_case(seed)
    labels[labels == 0] = LOBAR
    assert all(v.kept for v in judge(instances, labels, spacing))


@quick
@given(SEEDS, st.sampled_from(SPACINGS))
def test_always_rejects_a_lesion_without_parenchyma(seed, spacing):
    instances, labels = random_case(seed)
    labels[labels != CMB] = 0
    assert not any(v.kept for v in judge(instances, labels, spacing) if v.background)


@quick
@given(SEEDS, st.sampled_from(SPACINGS), st.sets(st.integers(0, 2)), st.permutations(range(3)))
def test_flips_and_axis_order_do_not_matter(seed, spacing, flipped, order):
    instances, labels = random_case(seed)
    turned = [np.flip(a, tuple(flipped)).transpose(order) for a in (instances, labels)]
    expected = summary(judge(instances, labels, spacing))
    assert_same(summary(judge(*turned, tuple(spacing[a] for a in order))), expected)


@quick
@given(SEEDS, st.sampled_from(SPACINGS))
def test_the_order_of_the_candidates_does_not_matter(seed, spacing):
    instances, labels = random_case(seed)
    count = int(instances.max())
    renumber = np.append(0, np.random.default_rng(seed).permutation(count) + 1)
    expected = {
        int(renumber[number]): values
        for number, values in summary(judge(instances, labels, spacing)).items()
    }
    assert_same(summary(judge(renumber[instances], labels, spacing)), expected)


@quick
@given(SEEDS, st.sampled_from(SPACINGS), st.floats(0, 1), st.floats(0, 1))
def test_a_stricter_threshold_never_keeps_more(seed, spacing, a, b):
    instances, labels = random_case(seed)
    kept = [
        {v.lesion for v in judge(instances, labels, spacing, min_ratio=ratio) if v.kept}
        for ratio in sorted((a, b))
    ]
    assert kept[1] <= kept[0]


@quick
@given(SEEDS, st.sampled_from(SPACINGS))
def test_more_brain_never_turns_kept_into_rejected(seed, spacing):
    instances, labels = random_case(seed)
    more = np.where((labels == 0) & (np.indices(labels.shape).sum(axis=0) % 2 == 0), DEEP, labels)
    before, after = (
        {v.lesion for v in judge(instances, image, spacing) if v.kept} for image in (labels, more)
    )
    assert before <= after


@quick
@given(SEEDS, st.sampled_from(SPACINGS))
def test_thresholds_at_the_ends_keep_all_or_only_the_surrounded(seed, spacing):
    instances, labels = random_case(seed)
    assert all(v.kept for v in judge(instances, labels, spacing, min_ratio=0.0))
    for v in judge(instances, labels, spacing, min_ratio=1.0):
        assert v.kept == (v.background == 0)
