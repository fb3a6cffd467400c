"""Naming of the network's structures; neither network nor registration is run."""

import numpy as np
import pytest

from cmb_bidsapp.anatomy.atlas import BRIGHTNESS, load_atlas, merge
from cmb_bidsapp.core.labels import STRUCTURES, table, to_structures

SHAPE = (20, 12, 10)
#: MNI x of the toy head: left half negative.
X = np.broadcast_to(np.linspace(-9.5, 9.5, SHAPE[0])[:, None, None], SHAPE).astype(np.float32)
LEFT, RIGHT = X < 0, X > 0


def structures_of(name):
    return np.full(SHAPE, STRUCTURES.index(name), np.uint8)


def no_atlas():
    return np.zeros(SHAPE, np.int32)


def found(dseg, where):
    return set(np.unique(dseg[where]).tolist())


@pytest.mark.parametrize(
    ("structure", "left", "right"),
    [
        ("cerebral-wm", 2, 41),
        ("cerebral-cortex", 3, 42),
        ("lateral-ventricle", 4, 43),
        ("cerebellar-wm", 7, 46),
        ("cerebellar-cortex", 8, 47),
        ("thalamus", 10, 49),
        ("caudate", 11, 50),
        ("putamen", 12, 51),
        ("pallidum", 13, 52),
        ("hippocampus", 17, 53),
        ("amygdala", 18, 54),
        ("accumbens", 26, 58),
        ("ventral-dc", 28, 60),
        ("third-ventricle", 14, 14),
        ("fourth-ventricle", 15, 15),
        ("brainstem", 16, 16),
        ("csf", 24, 24),
    ],
)
def test_structures_take_the_id_of_their_side(structure, left, right):
    dseg = merge(structures_of(structure), no_atlas(), X)
    assert found(dseg, LEFT) == {left}
    assert found(dseg, RIGHT) == {right}


def test_background_stays_background_whatever_the_atlas_says():
    atlas = np.full(SHAPE, 1035, np.int32)
    assert not merge(structures_of("background"), atlas, X).any()


def test_the_structure_of_every_voxel_is_kept():
    rng = np.random.default_rng(0)
    structures = rng.integers(0, len(STRUCTURES), SHAPE).astype(np.uint8)
    atlas = rng.choice([0, 2, 41, 4, 44, 10, 253, 1028, 2028, 2035], SHAPE).astype(np.int32)
    dseg = merge(structures, atlas, X)
    np.testing.assert_array_equal(to_structures(dseg), structures)


def test_cortex_takes_the_name_of_the_nearest_area():
    atlas = no_atlas()
    atlas[2, 2, :] = 1028
    atlas[2, 9, :] = 1024
    atlas[17, 5, :] = 2035
    dseg = merge(structures_of("cerebral-cortex"), atlas, X)
    assert dseg[2, 3, 5] == 1028
    assert dseg[2, 8, 5] == 1024
    assert found(dseg, np.s_[14:]) == {2035}


def test_an_area_of_the_other_side_is_mirrored():
    atlas = no_atlas()
    atlas[11:, 4, 4] = 2011  # right, and all there is
    dseg = merge(structures_of("cerebral-cortex"), atlas, X)
    assert found(dseg, LEFT) == {1011}
    assert found(dseg, RIGHT) == {2011}


def test_cortex_without_named_areas_keeps_its_plain_id():
    atlas = np.full(SHAPE, 41, np.int32)
    dseg = merge(structures_of("cerebral-cortex"), atlas, X)
    assert (found(dseg, LEFT), found(dseg, RIGHT)) == ({3}, {42})


def test_only_cortex_is_named_after_areas():
    atlas = np.where(LEFT, 1028, 2028).astype(np.int32)
    for structure in ("cerebral-wm", "hippocampus", "thalamus", "csf"):
        assert found(merge(structures_of(structure), atlas, X), ...) <= set(range(100))


def test_the_inferior_horn_is_told_from_the_ventricles_body():
    atlas = no_atlas()
    atlas[:10, :3], atlas[:10, 9:] = 4, 5
    dseg = merge(structures_of("lateral-ventricle"), atlas, X)
    assert found(dseg[:10], np.s_[:, :5]) == {4}
    assert found(dseg[:10], np.s_[:, 7:]) == {5}
    assert found(dseg, RIGHT) <= {43, 44}


def test_white_matter_in_the_atlas_callosum_takes_its_id():
    structures = structures_of("cerebral-wm")
    structures[:, :, 5:] = STRUCTURES.index("lateral-ventricle")
    atlas = no_atlas()
    atlas[8:12, 2:10] = 253
    dseg = merge(structures, atlas, X)
    assert found(dseg, np.s_[8:12, 2:10, :5]) == {253}
    assert found(dseg, np.s_[8:12, 2:10, 5:]) == {4, 43}
    assert found(dseg, np.s_[:8]) == {2, 4}


def test_the_packaged_atlas_has_only_known_labels_and_lies_in_mni_space():
    atlas = load_atlas()
    present = set(np.unique(atlas.data).tolist()) - {0}
    assert present <= set(table())
    assert {2, 41, 10, 49, 16, 1035, 2035} <= present
    for label, sign in ((10, -1), (49, 1)):  # left is negative
        index = np.argwhere(atlas.data == label).mean(axis=0)
        x, y, z = atlas.affine[:3, :3] @ index + atlas.affine[:3, 3]
        assert 5 < sign * x < 18
        assert -30 < y < -8
        assert 0 < z < 15


def test_every_picture_brightness_names_a_structure():
    assert set(BRIGHTNESS) <= set(STRUCTURES)
    assert "background" not in BRIGHTNESS
    assert BRIGHTNESS["cerebral-wm"] > BRIGHTNESS["cerebral-cortex"] > 0
